#include "python/src/answer.hpp"

#include <array>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>
#include <system_error>

namespace attn::python {

Answer::Answer(std::shared_ptr<Shared> shared, Request request) : shared_(std::move(shared)) {
  apart_->request = std::move(request);
  const Released release;
  apart_->lent = shared_->generators.take(shared_->model, apart_->request.generator);
  apart_->request.options.on_token = [this](const GeneratedToken& token) { return put(token); };
  try {
    apart_->thread = std::thread([this] { generate(); });
  } catch (const std::system_error& error) {
    shared_->generators.give(std::move(apart_->lent));
    throw Error(ErrorKind::memory,
                std::string("generate: the system refused to start a thread: ") + error.what());
  }
}

Answer::~Answer() {
  if (forked()) {
    (void)apart_.release();  // nobody to wait for, and nothing that can be destroyed
  } else {
    close();
  }
}

bool Answer::forked() const noexcept { return ::getpid() != process_; }

void Answer::generate() {
  std::exception_ptr error;
  std::optional<Generation> result;
  bool cut = false;  // in the middle of a forward pass
  try {
    result = apart_->lent.generator->generate(apart_->request.prompt, apart_->request.options);
  } catch (const Error& failure) {
    cut = failure.kind() == ErrorKind::cancelled;
    error = std::current_exception();
  } catch (...) {
    error = std::current_exception();
  }
  const std::lock_guard lock(mutex_);
  if (cut) {
    result.emplace();
    result->prompt = std::move(apart_->request.prompt);
    result->tokens = std::move(apart_->tokens);
    result->finish = Finish::cancelled;
  }
  apart_->result = std::move(result);
  if (!apart_->cancelled) apart_->error = error;
  apart_->done = true;
  apart_->changed.notify_all();
}

// Waits until the piece before was read.
bool Answer::put(const GeneratedToken& token) {
  std::unique_lock lock(mutex_);
  apart_->tokens.push_back(token.id);
  if (token.text.empty()) return !apart_->cancelled;
  apart_->changed.wait(lock, [this] { return apart_->cancelled || !apart_->piece; });
  if (apart_->cancelled) return false;
  apart_->piece = std::string(token.text);
  apart_->changed.notify_all();
  return true;
}

void Answer::join() {
  const Released release;
  const std::lock_guard alone(joining_);
  if (!apart_->thread.joinable()) return;
  apart_->thread.join();
  shared_->generators.give(std::move(apart_->lent));
  const std::lock_guard lock(mutex_);
  ended_ = true;
}

std::optional<std::string> Answer::next() {
  if (forked()) throw Error(ErrorKind::usage, "this answer is generated in another process");
  for (;;) {
    std::optional<std::string> piece;
    bool done = false;
    {
      const Released release;
      std::unique_lock lock(mutex_);
      apart_->changed.wait_for(lock, patience, [this] { return apart_->piece || apart_->done; });
      piece.swap(apart_->piece);
      done = apart_->done;
      if (piece) apart_->changed.notify_all();
    }
    if (piece) return piece;
    if (done) {
      join();
      std::unique_lock lock(mutex_);
      const std::exception_ptr error = std::exchange(apart_->error, nullptr);
      lock.unlock();
      if (error) std::rethrow_exception(error);
      return std::nullopt;
    }
    try {
      check_signals();
    } catch (...) {
      close();
      throw;
    }
  }
}

void Answer::close() noexcept {
  if (forked()) return;
  {
    const std::lock_guard lock(mutex_);
    apart_->cancelled = true;
    if (!apart_->done)
      apart_->lent.options.cancel->cancel();  // then it may be another answer's already
    apart_->piece.reset();
    apart_->error = nullptr;
    apart_->changed.notify_all();
  }
  join();
}

const Generation* Answer::result() const {
  if (forked()) return nullptr;
  const std::lock_guard lock(mutex_);
  return ended_ && apart_->result ? &*apart_->result : nullptr;
}

namespace {

constexpr std::array<std::pair<const char*, KvType>, 3> kv_types{
    {{"f32", KvType::f32}, {"bf16", KvType::bf16}, {"q8_0", KvType::q8_0}}};

const char* name_of(Finish finish) {
  switch (finish) {
    case Finish::end_token: return "end_token";
    case Finish::stop_string: return "stop_string";
    case Finish::length: return "length";
    case Finish::context_full: return "context_full";
    case Finish::cancelled: return "cancelled";
  }
  return "cancelled";
}

std::vector<std::string> stops_of(nb::handle stop) {
  if (PyUnicode_Check(stop.ptr())) return {std::string(text_view(stop, "stop"))};
  if (PyBytes_Check(stop.ptr()))
    throw nb::type_error("stop: a str or a sequence of str, not bytes");
  std::vector<std::string> all;
  for (const nb::handle each : list_of(stop)) all.emplace_back(text_view(each, "stop"));
  return all;
}

std::unique_ptr<Answer> generate(const PythonModel& self, const nb::object& prompt,
                                 std::optional<int> max_tokens, const Sampling& sampling,
                                 const nb::object& stop, bool lookup, int context,
                                 std::string_view kv_type) {
  const std::shared_ptr<Shared> shared = self.shared();
  Request request;
  request.generator.context = context;
  request.generator.kv_type = chosen("kv_type", kv_type, kv_types);
  if (max_tokens && *max_tokens < 0) {
    throw Error(ErrorKind::usage, "max_tokens: " + std::to_string(*max_tokens) + " is below 0");
  }
  request.options.max_tokens = max_tokens.value_or(-1);
  request.options.sampling = sampling;
  request.options.stop = stops_of(stop);
  request.options.lookup = lookup;
  request.prompt = prompt_tokens(shared->model, prompt);
  return std::make_unique<Answer>(shared, std::move(request));
}

}  // namespace

void bind_answer(nb::module_& module) {
  nb::class_<Answer>(
      module, "Answer",
      "The pieces of text of an answer, each some whole characters, as they are "
      "generated; at most one piece is computed before it is asked for. Ctrl-C while "
      "one is waited for raises KeyboardInterrupt and ends the answer, and so do "
      "close(), from any thread, and dropping it. One thread at a time reads it.")
      .def(
          "__iter__", [](nb::object self) { return self; }, nb::sig("def __iter__(self) -> Answer"))
      .def("__next__",
           [](Answer& self) {
             std::optional<std::string> piece = self.next();
             if (!piece) throw nb::stop_iteration();
             return std::move(*piece);
           })
      .def("close", &Answer::close, "Ends the answer where it is.")
      .def_prop_ro(
          "finish",
          [](const Answer& self) -> std::optional<std::string> {
            const Generation* const result = self.result();
            return result != nullptr ? std::optional<std::string>(name_of(result->finish))
                                     : std::nullopt;
          },
          "Why it ended: end_token, stop_string, length, context_full or cancelled. None before "
          "the "
          "end and after an error.")
      .def_prop_ro(
          "tokens",
          [](const Answer& self) {
            return self.result() ? self.result()->tokens : std::vector<std::int32_t>();
          },
          "Ids of what was generated, the end token included; empty before the end.")
      .def_prop_ro(
          "prompt",
          [](const Answer& self) {
            return self.result() ? self.result()->prompt : std::vector<std::int32_t>();
          },
          "Ids of the prompt as it was read, or as it was given where the answer was closed within "
          "a forward pass; empty before the end.")
      .def_prop_ro(
          "reused", [](const Answer& self) { return self.result() ? self.result()->reused : 0; },
          "Tokens of the prompt that had been read for the answer before.")
      .def_prop_ro(
          "prompt_seconds",
          [](const Answer& self) { return self.result() ? self.result()->prompt_seconds : 0.0; })
      .def_prop_ro("decode_seconds", [](const Answer& self) {
        return self.result() ? self.result()->decode_seconds : 0.0;
      });
}

void bind_generate(nb::class_<PythonModel>& model) {
  model.def(
      "generate",
      [](const PythonModel& self, const nb::object& prompt, std::optional<int> max_tokens,
         double temperature, int top_k, double top_p, double min_p, double repeat_penalty,
         int repeat_window, std::uint64_t seed, const nb::object& stop, bool lookup, int context,
         std::string_view kv_type) {
        const Sampling sampling{temperature,    top_k,         top_p, min_p,
                                repeat_penalty, repeat_window, seed};
        return generate(self, prompt, max_tokens, sampling, stop, lookup, context, kv_type);
      },
      nb::arg("prompt"), nb::kw_only(), nb::arg("max_tokens") = nb::none(),
      nb::arg("temperature") = 0.8, nb::arg("top_k") = 0, nb::arg("top_p") = 0.95,
      nb::arg("min_p") = 0.05, nb::arg("repeat_penalty") = 1.0, nb::arg("repeat_window") = 64,
      nb::arg("seed") = 0, nb::arg("stop") = nb::tuple(), nb::arg("lookup") = false,
      nb::arg("context") = 0, nb::arg("kv_type") = "f32",
      nb::sig("def generate(self, prompt: str | collections.abc.Sequence[int] | "
              "collections.abc.Sequence[collections.abc.Mapping[str, str]], *, max_tokens: int | "
              "None = None, temperature: float = 0.8, top_k: int = 0, top_p: float = 0.95, min_p: "
              "float = 0.05, repeat_penalty: float = 1.0, repeat_window: int = 64, seed: int = 0, "
              "stop: str | collections.abc.Sequence[str] = (), lookup: bool = False, context: int "
              "= 0, kv_type: typing.Literal['f32', 'bf16', 'q8_0'] = 'f32') -> Answer"),
      "Generates text after a prompt: a str, token ids, or a conversation [{'role': 'user', "
      "'content': ...}, ...] in the model's chat template. max_tokens: None for as many as come "
      "until the model ends its text or the context is full. temperature: 0 for the likeliest "
      "token, always. top_k, top_p, min_p: only the likeliest tokens; 0, 1 and 0 turn them off. "
      "The same seed gives the same choices. stop: texts that end the answer and do not appear in "
      "it. lookup: guesses from what was written before; the same answer, sooner where it repeats. "
      "context: tokens of prompt and answer there is room for; 0 for what the model was trained "
      "on, at most 4096. kv_type: how keys and values are kept. A prompt that begins like the one "
      "before, as the next turn of a conversation does, is read from where it differs.");
}

}  // namespace attn::python
