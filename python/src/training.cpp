// Model.train() and Model.tune().

#include "attn/tune_data.hpp"
#include "attn/tune_run.hpp"
#include "python/src/bindings.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <exception>
#include <filesystem>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>
#include <optional>
#include <variant>

namespace attn::python {
namespace {

using Path = std::filesystem::path;

constexpr std::array<std::pair<const char*, TuneTask>, 3> tasks{
    {{"language", TuneTask::language},
     {"attention", TuneTask::attention},
     {"similarity", TuneTask::similarity}}};
constexpr std::array<std::pair<const char*, TuneMethod>, 2> methods{
    {{"lora", TuneMethod::lora}, {"full", TuneMethod::full}}};
constexpr std::array<std::pair<const char*, Schedule>, 2> schedules{
    {{"constant", Schedule::constant}, {"cosine", Schedule::cosine}}};

/// A callback's answer: False stops, numpy's too, anything else goes on.
bool goes_on(const nb::object& answer) {
  const std::string_view type = Py_TYPE(answer.ptr())->tp_name;
  const bool boolean = PyBool_Check(answer.ptr()) || type == "numpy.bool_" || type == "numpy.bool";
  return !boolean || PyObject_IsTrue(answer.ptr()) != 0;
}

/// Calls from the library's callbacks, which come without the GIL, into Python. Ctrl-C stops a run
/// as a callback that returns False does, so that it leaves its checkpoint, and is raised
/// afterwards.
class Callbacks {
 public:
  explicit Callbacks(Turn& turn) : turn_(turn) {}

  /// `callback` may be None. The model may be used in it. Throws what it raises.
  template <class... Arguments>
  bool call(const nb::object& callback, const Arguments&... arguments) {
    const Acquired acquire;
    try {
      check_signals();
    } catch (const nb::python_error&) {
      interrupt_ = std::current_exception();
      return false;
    }
    if (callback.is_none()) return true;
    const Turn::Pause pause(turn_);
    return goes_on(python_code([&] { return callback(arguments...); }));
  }

  /// Throws what a signal's handler has raised, if one has.
  void rethrow() const {
    if (interrupt_) std::rethrow_exception(interrupt_);
  }

 private:
  Turn& turn_;
  std::exception_ptr interrupt_;
};

TrainResult train(const PythonModel& self, std::string sentence,
                  std::vector<std::string> size_words, int epochs, double learning_rate,
                  const nb::object& on_epoch) {
  const std::shared_ptr<Shared> shared = self.shared();
  const Turn::Held held(shared->turn);
  TrainOptions options;
  options.epochs = epochs;
  options.learning_rate = learning_rate;
  options.on_epoch = [&](const EpochReport& report) {
    const Acquired acquire;
    check_signals();  // what it raises leaves the model as it was
    if (on_epoch.is_none()) return true;
    return goes_on(python_code([&] { return on_epoch(report.epoch, report.loss); }));
  };
  const Released release;
  return shared->model.train({std::move(sentence), std::move(size_words)}, options);
}

/// attn._values.DataFile: a file of examples, or one that is written of those in memory.
class DataFile {
 public:
  explicit DataFile(const nb::object& data) {
    const nb::object type = nb::module_::import_("attn._values").attr("DataFile");
    file_ = python_code([&] { return type(data); });
    path_ = nb::cast<Path>(file_.attr("path"));
  }
  ~DataFile() {
    try {
      const nb::object close = file_.attr("close");
      python_code([&] { return close(); });
    } catch (nb::python_error& error) {
      error.discard_as_unraisable("closing a file of examples");
    }
  }
  DataFile(const DataFile&) = delete;
  DataFile& operator=(const DataFile&) = delete;
  [[nodiscard]] const Path& path() const { return path_; }

 private:
  nb::object file_;
  Path path_;
};

std::vector<TuneExample> read(const Model& model, const nb::object& data, TuneTask task,
                              const std::vector<std::string>& look_at, const DataOptions& options) {
  const DataFile file(data);
  const Released release;
  switch (task) {
    case TuneTask::language: return language_examples(model, file.path(), options);
    case TuneTask::attention: return attention_examples(model, file.path(), look_at, options);
    case TuneTask::similarity: return similarity_examples(model, file.path(), options);
  }
  return {};
}

struct Job {
  TuneOptions tune;
  TuneRunOptions run;
  std::vector<std::string> look_at;
  std::optional<int> context;
  nb::object held_out;
  nb::object on_step, on_evaluation;
};

SplitExamples examples_of(const Model& model, const nb::object& data, const Job& job) {
  DataOptions options;
  options.context = job.context.value_or(0);
  options.context_asked = job.context.has_value();
  std::vector<TuneExample> all = read(model, data, job.tune.task, job.look_at, options);
  if (job.held_out.is_none()) return {std::move(all), {}};
  if (PyFloat_Check(job.held_out.ptr())) {
    return split_held_out(std::move(all), nb::cast<double>(job.held_out), job.tune.seed);
  }
  options.context_asked = false;  // what is evaluated on may be short
  return {std::move(all), read(model, job.held_out, job.tune.task, job.look_at, options)};
}

TuneResult tune(const PythonModel& self, const nb::object& data, const Path& output, Job job) {
  const std::shared_ptr<Shared> shared = self.shared();
  const SplitExamples examples = examples_of(shared->model, data, job);
  job.tune.context = job.context.value_or(
      std::max(longest_example(examples.train), longest_example(examples.held_out)));
  job.tune.scored = !std::isnan(examples.train.front().score);
  // a constant rate knows of no end, so that a run may be resumed to go on for longer
  const std::int64_t steps = tune_steps(examples.train.size(), job.tune, job.run);
  if (job.tune.schedule != Schedule::constant) job.tune.steps = steps;

  const Turn::Held held(shared->turn);
  Callbacks callbacks(shared->turn);
  job.run.on_step = [&](const TuneStep& step) { return callbacks.call(job.on_step, step); };
  job.run.on_evaluation = [&](const TuneEvaluation& evaluation, std::int64_t step) {
    return callbacks.call(job.on_evaluation, evaluation, step);
  };
  const Released release;
  Tuner tuner(shared->model, job.tune);
  TuneResult result = attn::tune(tuner, examples.train, examples.held_out, job.run);
  callbacks.rethrow();
  tuner.save(output);
  return result;
}

}  // namespace

void bind_training(nb::class_<PythonModel>& model) {
  model.def(
      "train", &train, nb::arg("sentence") = "", nb::arg("size_words") = std::vector<std::string>{},
      nb::kw_only(), nb::arg("epochs") = 200, nb::arg("learning_rate") = 0.001,
      nb::arg("on_epoch") = nb::none(),
      nb::sig("def train(self, sentence: str = '', size_words: collections.abc.Sequence[str] "
              "= (), *, epochs: int = 200, learning_rate: float = 0.001, on_epoch: "
              "collections.abc.Callable[[int, float], object] | None = None) -> TrainResult"),
      "Teaches a size_loss_attention model, in place, to look from the last word of a sentence "
      "at its size words (empty: the model's own). on_epoch gets the number of the epoch and "
      "the loss before its update; False ends the training after it. After an error the model "
      "is the one before the call.");
  model.def(
      "tune",
      [](const PythonModel& self, const nb::object& data, const Path& output, std::string_view task,
         std::string_view method, const nb::object& held_out, std::vector<std::string> look_at,
         std::vector<int> layers, std::vector<int> heads, std::optional<double> attention_weight,
         int rank, double alpha, double dropout, std::vector<std::string> targets,
         const std::optional<Path>& start, std::int64_t steps, std::int64_t epochs,
         std::optional<int> context, int batch_size, int accumulate, double learning_rate,
         double weight_decay, double clip, std::string_view schedule, std::int64_t warmup,
         std::string_view precision, bool checkpoint_activations, std::size_t memory_limit,
         std::uint64_t seed, bool shuffle, std::int64_t evaluate_every, int most_worse,
         const std::optional<Path>& checkpoints, std::int64_t checkpoint_every, bool resume,
         const nb::object& on_step, const nb::object& on_evaluation) {
        Job job;
        job.tune.task = chosen("task", task, tasks);
        job.tune.method = chosen("method", method, methods);
        job.tune.lora = {rank, alpha, dropout, std::move(targets), start.value_or(Path())};
        job.tune.attention = {std::move(layers), std::move(heads), attention_weight};
        job.tune.batch_size = batch_size;
        job.tune.accumulate = accumulate;
        job.tune.learning_rate = learning_rate;
        job.tune.weight_decay = weight_decay;
        job.tune.clip = clip;
        job.tune.schedule = chosen("schedule", schedule, schedules);
        job.tune.warmup = warmup;
        job.tune.precision = chosen("precision", precision, precisions);
        job.tune.checkpoint_activations = checkpoint_activations;
        job.tune.memory_limit = memory_limit;
        job.tune.seed = seed;
        job.run.steps = steps;
        job.run.epochs = epochs;
        job.run.shuffle = shuffle;
        job.run.evaluate_every = evaluate_every;
        job.run.patience = most_worse;
        job.run.checkpoints = checkpoints.value_or(Path());
        job.run.checkpoint_every = checkpoint_every;
        job.run.resume = resume;
        job.look_at = std::move(look_at);
        job.held_out = held_out;
        job.on_step = on_step;
        job.on_evaluation = on_evaluation;
        job.context = context;
        return tune(self, data, output, std::move(job));
      },
      nb::arg("data"), nb::arg("output"), nb::kw_only(), nb::arg("task") = "language",
      nb::arg("method") = "lora", nb::arg("held_out") = nb::none(),
      nb::arg("look_at") = std::vector<std::string>{}, nb::arg("layers") = std::vector<int>{},
      nb::arg("heads") = std::vector<int>{}, nb::arg("attention_weight") = nb::none(),
      nb::arg("rank") = 8, nb::arg("alpha") = 16.0, nb::arg("dropout") = 0.0,
      nb::arg("targets") = std::vector<std::string>{}, nb::arg("start") = nb::none(),
      nb::arg("steps") = 0, nb::arg("epochs") = 1, nb::arg("context") = nb::none(),
      nb::arg("batch_size") = 4, nb::arg("accumulate") = 1, nb::arg("learning_rate") = 1e-4,
      nb::arg("weight_decay") = 0.01, nb::arg("clip") = 0.0, nb::arg("schedule") = "constant",
      nb::arg("warmup") = 0, nb::arg("precision") = "automatic",
      nb::arg("checkpoint_activations") = false, nb::arg("memory_limit") = 0, nb::arg("seed") = 0,
      nb::arg("shuffle") = true, nb::arg("evaluate_every") = 0, nb::arg("patience") = 0,
      nb::arg("checkpoints") = nb::none(), nb::arg("checkpoint_every") = 0,
      nb::arg("resume") = false, nb::arg("on_step") = nb::none(),
      nb::arg("on_evaluation") = nb::none(),
      nb::sig(
          "def tune(self, data: str | os.PathLike[str] | collections.abc.Iterable[str | "
          "collections.abc.Mapping[str, object]], output: str | os.PathLike[str], *, task: "
          "typing.Literal['language', 'attention', 'similarity'] = 'language', method: "
          "typing.Literal['lora', 'full'] = 'lora', held_out: str | os.PathLike[str] | "
          "collections.abc.Iterable[str | collections.abc.Mapping[str, object]] | float | None = "
          "None, look_at: collections.abc.Sequence[str] = (), layers: "
          "collections.abc.Sequence[int] = (), heads: collections.abc.Sequence[int] = (), "
          "attention_weight: float | None = None, rank: int = 8, alpha: float = 16.0, dropout: "
          "float = 0.0, targets: collections.abc.Sequence[str] = (), start: str | "
          "os.PathLike[str] | None = None, steps: int = 0, epochs: int = 1, context: int | None = "
          "None, "
          "batch_size: int = 4, accumulate: int = 1, learning_rate: float = 1e-4, weight_decay: "
          "float = 0.01, clip: float = 0.0, schedule: typing.Literal['constant', 'cosine'] = "
          "'constant', warmup: int = 0, precision: typing.Literal['automatic', 'f32', 'bf16'] = "
          "'automatic', checkpoint_activations: bool = False, memory_limit: int = 0, seed: int = "
          "0, shuffle: bool = True, evaluate_every: int = 0, patience: int = 0, checkpoints: str | "
          "os.PathLike[str] | None = None, checkpoint_every: int = 0, resume: bool = False, "
          "on_step: "
          "collections.abc.Callable[[TuneStep], object] | None = None, on_evaluation: "
          "collections.abc.Callable[[TuneEvaluation, int], object] | None = None) -> TuneResult"),
      "Fine-tunes a language model or an encoder, and writes what was learned to `output`: an "
      "adapter in PEFT's layout (method lora) or a model.bin (full). The model itself stays as it "
      "is: open it again with adapters=[output]. data: a file as attn-tune reads it "
      "(docs/training.md), or its lines: {'messages': [...]}, {'text': ...} or just the text; "
      "{'text': ..., 'size_words': [...]} for task attention; {'a': ..., 'b': ..., 'score': ...} "
      "for similarity. held_out: more of them, or the share of data that is kept to evaluate on. "
      "layers, heads, look_at, attention_weight: of task attention. targets: names that the "
      "adapted "
      "projections end in. start: an adapter to go on from. steps: updates; 0 for as many as "
      "epochs "
      "take. context: tokens of an example at most; None for what the model was trained on, at "
      "most 512. checkpoints: "
      "their "
      "folder, from which resume goes on. on_step and on_evaluation are called in this thread, and "
      "may use the model; False stops the run, which is then saved. Ctrl-C is seen between "
      "updates: "
      "a checkpoint is written where there is a folder, `output` is not, and KeyboardInterrupt "
      "raised.");
}

}  // namespace attn::python
