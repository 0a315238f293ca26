#include "models/training/trainer.hpp"

#include "attn/error.hpp"
#include "models/clock.hpp"
#include "models/lora/apply.hpp"
#include "models/training/checkpoint.hpp"
#include "models/training/correlation.hpp"
#include "models/training/new_adapter.hpp"
#include "models/transformer_config.hpp"
#include "runtime/autodiff.hpp"
#include "runtime/ops.hpp"
#include "runtime/stored.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

namespace attn::models {

using namespace runtime;

namespace {

double scalar(const Session& session, ValueId id) {
  const TensorView& tensor = session.tensor(id);
  return tensor.dtype == DType::f64 ? *tensor.as<const double>()
                                    : static_cast<double>(*tensor.as<const float>());
}

void require(bool ok, const std::string& what) {
  if (!ok) throw Error(ErrorKind::usage, what);
}

template <class Number>
std::string text(Number number) {
  return std::to_string(number);
}

}  // namespace

Trainer::Trainer(TrainedModel model, TuneOptions options, DType number)
    : model_(std::move(model)), options_(std::move(options)) {
  check_options();
  if (!model_.session.packs) {
    model_.session.packs = std::make_shared<Packs>(model_.session.allocator);
  }
  const bool attends = options_.task == TuneTask::attention;
  goal_.task = options_.task;
  goal_.language = options_.task == TuneTask::language ||
                   (attends && options_.attention.weight_beside_language.has_value());
  goal_.attention_weight = options_.attention.weight_beside_language.value_or(1);
  goal_.scored = options_.scored;
  goal_.dropout = options_.method == TuneMethod::lora && options_.lora.dropout > 0;

  const bool stored = std::any_of(model_.specs.begin(), model_.specs.end(),
                                  [](const WeightSpec& spec) { return storage_only(spec.dtype); });
  precision_ = static_cast<runtime::Precision>(options_.precision);
  if (precision_ == runtime::Precision::automatic)
    precision_ = stored ? runtime::Precision::bf16 : runtime::Precision::f32;

  // an update inside the way back has seen one batch, and no other gradient
  holds_ = options_.clip > 0 || options_.accumulate > 1 || (attends && options_.batch_size > 1);
  take_limits();
  parameters_ =
      std::make_unique<Parameters>(model_.specs, first_adapter(), options_.lora.dropout,
                                   options_.seed, holds_, number, model_.session.allocator);
  build_training();
  if (holds_) build_update();
  plan_memory();
  parameters_->fill(*model_.weights);
  if (const Parameter* const found = parameters_->not_finite()) {
    throw Error(ErrorKind::numerical, "tuning: " + found->name + " is not finite to begin with");
  }
}

void Trainer::check_options() const {
  const TuneOptions& o = options_;
  require(std::isfinite(o.learning_rate) && o.learning_rate > 0,
          "learning rate: " + text(o.learning_rate) + " is not a number above 0");
  require(std::isfinite(o.weight_decay) && o.weight_decay >= 0,
          "weight decay: " + text(o.weight_decay) + " is not a number from 0 on");
  require(std::isfinite(o.clip) && o.clip >= 0,
          "clip: " + text(o.clip) + " is not a number from 0 on");
  require(o.batch_size >= 1, "batch size: " + text(o.batch_size) + " is below 1");
  require(o.accumulate >= 1, "accumulate: " + text(o.accumulate) + " is below 1");
  require(o.context >= 1, "context: " + text(o.context) + " is below 1");
  require(o.steps >= 0, "steps: " + text(o.steps) + " is below 0");
  require(o.warmup >= 0, "warmup: " + text(o.warmup) + " is below 0");
  require(o.schedule == Schedule::constant || o.steps > 0,
          "a cosine schedule needs the number of steps");
  // all texts of a batch are each other's answers, which head_loss takes as one chunk
  constexpr int most_pairs = 1024;
  require(
      o.task != TuneTask::similarity || o.scored || o.batch_size <= most_pairs,
      "batch size: " + text(o.batch_size) + " pairs without scores, more than " + text(most_pairs));
  require(o.task != TuneTask::similarity || o.scored || o.batch_size > 1,
          "batch size: 1 pair without a score has no others to be told from");
  const auto& weight = o.attention.weight_beside_language;
  require(!weight || (std::isfinite(*weight) && *weight > 0),
          "attention weight: " + text(weight.value_or(0)) + " is not a number above 0");
  if (o.method == TuneMethod::full) {
    const bool adapted = std::any_of(model_.specs.begin(), model_.specs.end(),
                                     [](const WeightSpec& spec) { return spec.lora.has_value(); });
    require(!adapted,
            "full tuning is not of a model with adapters: merge them first with attn-convert "
            "--lora");
    return;
  }
  require(o.lora.rank >= 1 && o.lora.rank <= 1024,
          "rank: " + text(o.lora.rank) + " is not in 1..1024");
  require(std::isfinite(o.lora.alpha) && o.lora.alpha > 0,
          "alpha: " + text(o.lora.alpha) + " is not a number above 0");
  require(o.lora.dropout >= 0 && o.lora.dropout < 1,
          "dropout: " + text(o.lora.dropout) + " is not in [0, 1)");
}

// What is trained where not all weights are: nothing for full tuning.
std::optional<AdapterFile> Trainer::first_adapter() {
  if (options_.method == TuneMethod::full) return std::nullopt;
  LoraOptions& lora = options_.lora;
  if (lora.start.empty()) return new_adapter(model_.specs, lora, options_.seed);
  const Adapter start{lora.start};
  AdapterFile adapter =
      load_adapters({&start, 1}, *model_.kind, *model_.metadata, model_.specs).front().file;
  lora.rank = adapter.rank;
  lora.alpha = adapter.alpha;
  lora.targets = adapter.targets;
  adapter.dropout = lora.dropout;
  return adapter;
}

// What the model allows, and which of its layers and heads are meant.
void Trainer::take_limits() {
  limits_.task = options_.task;
  limits_.language = goal_.language;
  limits_.scored = options_.scored;
  limits_.context = options_.context;
  std::int64_t longest = 0;
  int layers = 0, heads = 0;
  const auto take = [&](const auto& config, std::int64_t positions) {
    limits_.vocab = config.vocab;
    longest = positions;
    layers = config.layers;
    heads = config.heads;
  };
  const Shapes shapes = shapes_of(model_.specs);
  if (model_.kind->purpose == Purpose::encoder) {
    const EncoderConfig config = encoder_config(*model_.metadata, shapes);
    take(config, config.positions);
  } else if (model_.kind->purpose == Purpose::language) {
    const DecoderConfig config = decoder_config(*model_.metadata, shapes);
    take(config, config.context);
    require(config.window == 0 || options_.context <= config.window,
            "context: " + text(options_.context) + " is more than the model's window of " +
                text(config.window) + ", which tuning does not go through");
  }
  const auto chosen = [](const std::vector<int>& asked, int count, const char* what) {
    std::vector<int> all = asked;
    if (all.empty()) {
      all.resize(static_cast<std::size_t>(count));
      std::iota(all.begin(), all.end(), 0);
    }
    for (const int each : all) {
      require(each >= 0 && each < count,
              std::string(what) + " " + text(each) + " is not in 0.." + text(count - 1));
    }
    return all;
  };
  if (options_.task == TuneTask::attention) {
    goal_.layers = chosen(options_.attention.layers, layers, "layer");
    heads_ = chosen(options_.attention.heads, heads, "head");
  }
  require(longest == 0 || options_.context <= longest,
          "context: " + text(options_.context) + " is more than the model's " + text(longest));
}

// Forward and back. Where gradients are not held, each weight's update follows its gradient.
void Trainer::build_training() {
  build_tune_graph(training_, *model_.kind, *model_.metadata, parameters_->specs(), goal_);
  TuneGoal goal = goal_;
  goal.dropout = false;  // a graph without the input drops nothing, whatever the factors' specs say
  build_tune_graph(evaluation_, *model_.kind, *model_.metadata, parameters_->specs(), goal);

  Graph& graph = training_.graph;
  const AdamAttributes adam_attributes{.weight_decay = options_.weight_decay};
  if (!holds_) {
    in_training_.step = graph.input("step", DType::i32, Shape{1});
    in_training_.rate = graph.input("rate", DType::f64, Shape{1});
  }
  std::vector<ValueId> weights;
  for (const Parameter& each : parameters_->all()) {
    // an adapter may stand beside layers above those that are looked at
    const ValueId id = graph.find(Role::weight, each.name);
    if (id != ValueId::none) weights.push_back(id);
  }
  GradientOptions way_back;
  if (options_.checkpoint_activations) way_back.checkpoints = training_.between_layers;
  way_back.on_complete = [&](std::size_t i, ValueId gradient) {
    if (!holds_) {
      updated_.push_back(
          adam(graph, weights[i], gradient, in_training_.step, in_training_.rate, adam_attributes));
      return;
    }
    const Value& weight = graph.value(weights[i]);
    const ValueId sum = graph.state(gradient_state(weight.name), weight.dtype, weight.shape);
    updated_.push_back(accumulate(graph, sum, gradient));
  };
  (void)gradients(graph, training_.loss, weights, way_back);
  require(!updated_.empty(), "what is to be trained has no part in the loss");
}

// Held gradients: their norms, then the update of everything.
void Trainer::build_update() {
  Graph& graph = update_graph_;
  in_update_.step = graph.input("step", DType::i32, Shape{1});
  in_update_.rate = graph.input("rate", DType::f64, Shape{1});
  in_update_.scale = graph.input("scale", DType::f64, Shape{1});
  for (const ValueId each : updated_) {
    const Value sum = training_.graph.value(training_.graph.value(each).storage);
    const std::string name = sum.name.substr(0, sum.name.rfind('.'));
    const ValueId weight = graph.weight(name, sum.dtype, sum.shape);
    const ValueId gradient = graph.state(sum.name, sum.dtype, sum.shape);
    norms_.push_back(squared_norm(graph, gradient));
    updates_.push_back(adam(graph, weight, gradient, in_update_.step, in_update_.rate,
                            {.weight_decay = options_.weight_decay}, in_update_.scale));
  }
}

std::size_t Trainer::examples_a_run() const noexcept {
  return options_.task == TuneTask::attention ? 1 : static_cast<std::size_t>(options_.batch_size);
}

SessionOptions Trainer::session_options(const Graph& graph) const {
  SessionOptions options = model_.session;
  options.precision = precision_;
  options.profile = false;
  const auto examples = static_cast<std::int64_t>(examples_a_run());
  const std::int64_t texts = options_.task == TuneTask::similarity ? 2 * examples : examples;
  const std::int64_t bounds[] = {texts * options_.context, texts + 1, texts, examples};
  options.bounds.assign(bounds, bounds + graph.symbols().size());
  for (const Parameter& each : parameters_->all()) {
    const ValueId id = graph.find(Role::weight, each.name);
    if (id != ValueId::none) options.written_elsewhere.push_back(id);
  }
  return options;
}

std::unique_ptr<Session> Trainer::make_session(const Graph& graph,
                                               std::vector<ValueId> fetches) const {
  return std::make_unique<Session>(graph, fetches, parameters_->bindings(graph, *model_.weights),
                                   session_options(graph));
}

// Nothing of it has been written to yet, so that what would be too much has cost nothing.
void Trainer::plan_memory() {
  std::vector<ValueId> fetches = training_.results();
  fetches.insert(fetches.end(), updated_.begin(), updated_.end());
  train_ = make_session(training_.graph, std::move(fetches));
  if (holds_) {
    norm_ = make_session(update_graph_, norms_);
    update_ = make_session(update_graph_, updates_);
    norm_->resize({});
    update_->resize({});
  }
  reserve(*train_, memory_);
  for (const Parameter& each : parameters_->all()) {
    memory_.trained += each.value.bytes();
    memory_.moments += each.m.bytes() + each.v.bytes();
    memory_.gradients += each.gradient.bytes();
  }
  check_limit(memory_);
}

// What the session takes: its arena, and packed copies of weights, which it asks for room for as
// soon as it has shapes.
void Trainer::reserve(Session& session, TuneMemory& memory) const {
  session.resize(session.options().bounds);
  memory.activations += session.memory().arena;
  if (options_.method == TuneMethod::lora) {
    memory.base = model_.weights->bytes() + model_.session.packs->bytes();
  }
}

void Trainer::check_limit(const TuneMemory& memory) const {
  if (options_.memory_limit == 0 || memory.total() <= options_.memory_limit) return;
  // so that what is needed is more than the limit in what is printed, too
  constexpr std::size_t mib = 1 << 20, least_in_mib = 64 * mib;
  const std::size_t unit = options_.memory_limit < least_in_mib ? 1 : mib;
  const auto up = [&](std::size_t bytes) { return text((bytes + unit - 1) / unit); };
  throw Error(ErrorKind::memory, "tuning needs " + up(memory.total()) +
                                     (unit == 1 ? " bytes" : " MiB") + " (weights " +
                                     up(memory.base + memory.trained) + ", moments " +
                                     up(memory.moments) + ", gradients " + up(memory.gradients) +
                                     ", activations " + up(memory.activations) +
                                     "), and the limit is " + text(options_.memory_limit / unit));
}

// Beside the session that trains, which keeps its memory.
void Trainer::prepare_evaluation() {
  if (evaluate_) return;
  auto session = make_session(evaluation_.graph, evaluation_.results());
  TuneMemory memory = memory_;
  reserve(*session, memory);
  check_limit(memory);
  memory_ = memory;
  evaluate_ = std::move(session);
}

void Trainer::check(std::span<const TuneExample> examples, std::size_t most) const {
  if (examples.empty()) throw Error(ErrorKind::invalid, "tuning: there are no examples");
  if (examples.size() > most) {
    throw Error(ErrorKind::usage, "tuning: " + text(examples.size()) + " examples, and a step is " +
                                      text(most) + " at most");
  }
  for (const TuneExample& each : examples) check_example(each, limits_);
}

// Without the last pair where it would be alone in its batch, which it has nothing to learn from.
std::span<const TuneExample> Trainer::learnable(std::span<const TuneExample> examples) const {
  if (options_.task != TuneTask::similarity || options_.scored) return examples;
  if (examples.size() % examples_a_run() != 1) return examples;
  if (examples.size() > 1) return examples.first(examples.size() - 1);
  throw Error(ErrorKind::invalid, (examples[0].name.empty() ? "tuning" : examples[0].name) +
                                      ": 1 pair without a score has no others to be told from");
}

BatchShares Trainer::shares_of(std::span<const TuneExample> examples) const {
  std::int64_t targets = 0;
  for (const TuneExample& each : examples) targets += goal_.language ? target_count(each) : 0;
  if (goal_.language && targets == 0) {
    throw Error(ErrorKind::invalid,
                (examples[0].name.empty() ? "tuning" : examples[0].name) + ": nothing to predict");
  }
  BatchShares shares;
  shares.language = 1 / static_cast<double>(std::max<std::int64_t>(1, targets));
  shares.example = 1 / static_cast<double>(examples.size());
  return shares;
}

const std::string& Trainer::base_checksum() const {
  if (base_checksum_.empty()) base_checksum_ = checksum_of(model_);
  return base_checksum_;
}

void Trainer::stop_if_cancelled() const {
  const bool model = model_.session.cancel && *model_.session.cancel;
  if (cancelled_ || model) throw Error(ErrorKind::cancelled, "tuning was cancelled");
}

double Trainer::rate_of(std::int64_t step) const noexcept {
  const auto at = static_cast<double>(step), warmup = static_cast<double>(options_.warmup);
  if (step <= options_.warmup) return options_.learning_rate * at / warmup;
  if (options_.schedule == Schedule::constant) return options_.learning_rate;
  const double rest = std::max(1.0, static_cast<double>(options_.steps) - warmup);
  const double progress = std::min(1.0, (at - 1 - warmup) / rest);
  return options_.learning_rate * (1 + std::cos(std::numbers::pi * progress)) / 2;
}

void Trainer::read(const Session& session, const TuneGraph& graph, Losses& to) {
  to.whole += scalar(session, graph.loss);
  if (graph.language_loss != ValueId::none) to.language += scalar(session, graph.language_loss);
  if (graph.attention_loss != ValueId::none) {
    to.attention += scalar(session, graph.attention_loss);
    to.looked_at += scalar(session, graph.looked_at);
  }
  if (graph.cosines != ValueId::none) {
    const TensorView& cosines = session.tensor(graph.cosines);
    for (std::int64_t i = 0; i < cosines.elements(); ++i) {
      to.cosines.push_back(cosines.dtype == DType::f64
                               ? cosines.as<const double>()[i]
                               : static_cast<double>(cosines.as<const float>()[i]));
    }
  }
}

void Trainer::require_finite(double number, const std::string& what) {
  if (std::isfinite(number)) return;
  throw Error(ErrorKind::numerical,
              "tuning: " + what + " is " + (std::isnan(number) ? "NaN" : "infinite"));
}

// The sums a graph computes, as losses: 1 − Σ a of the attention loss has its 1 here.
Trainer::Losses Trainer::finished(Losses losses) const noexcept {
  if (options_.task == TuneTask::attention) {
    losses.attention += 1;
    losses.whole += goal_.attention_weight;
  }
  return losses;
}

TuneStep Trainer::step(std::span<const TuneExample> examples) {
  const auto begin = Clock::now();
  const std::size_t most =
      static_cast<std::size_t>(options_.batch_size) * static_cast<std::size_t>(options_.accumulate);
  check(examples, most);
  examples = learnable(examples);
  TuneStep report;
  report.step = steps_ + 1;
  report.rate = rate_of(report.step);
  report.tokens = token_count(examples);

  BatchShares shares = shares_of(examples);
  if (holds_) {
    for (Parameter& each : parameters_->all()) each.gradient.clear();
  }
  Losses losses;
  const std::size_t some = examples_a_run();
  for (std::size_t at = 0, run = 0; at < examples.size(); at += some, ++run) {
    stop_if_cancelled();
    const auto batch = examples.subspan(at, std::min(some, examples.size() - at));
    // no two runs of a tuning draw the same numbers: there are never more runs in a step
    const auto draw = static_cast<std::uint64_t>(steps_) * most + run;
    shares.dropout = static_cast<std::int32_t>(draw & 0x7FFFFFFFU);
    fill_batch(*train_, training_, batch, goal_, heads_, shares);
    if (!holds_) {
      *train_->tensor(in_training_.step).as<std::int32_t>() =
          static_cast<std::int32_t>(report.step);
      *train_->tensor(in_training_.rate).as<double>() = report.rate;
    }
    train_->run();
    read(*train_, training_, losses);
    require_finite(losses.whole, "the loss of step " + text(report.step));
  }
  if (holds_) {
    stop_if_cancelled();
    report.gradient_norm = update(report);
  }  // otherwise the weights are updated already: the step is done, whoever cancels it now
  losses = finished(std::move(losses));
  report.loss = losses.whole;
  report.language_loss = losses.language;
  report.attention_loss = losses.attention;
  report.looked_at = losses.looked_at;
  ++steps_;
  report.seconds = seconds_since(begin);
  return report;
}

double Trainer::update(const TuneStep& report) {
  norm_->run();
  double square = 0;
  for (const ValueId each : norms_) square += scalar(*norm_, each);
  const double norm = std::sqrt(square);
  require_finite(norm, "the norm of the gradients of step " + text(report.step));
  *update_->tensor(in_update_.step).as<std::int32_t>() = static_cast<std::int32_t>(report.step);
  *update_->tensor(in_update_.rate).as<double>() = report.rate;
  // as torch.nn.utils.clip_grad_norm_
  constexpr double above_zero = 1e-6;
  *update_->tensor(in_update_.scale).as<double>() =
      options_.clip > 0 ? std::min(1.0, options_.clip / (norm + above_zero)) : 1;
  update_->run();
  return norm;
}

TuneEvaluation Trainer::evaluate(std::span<const TuneExample> examples) {
  check(examples, examples.size());
  examples = learnable(examples);
  const BatchShares shares = shares_of(examples);
  prepare_evaluation();
  Losses losses;
  const std::size_t some = examples_a_run();
  for (std::size_t at = 0; at < examples.size(); at += some) {
    stop_if_cancelled();
    const auto batch = examples.subspan(at, std::min(some, examples.size() - at));
    fill_batch(*evaluate_, evaluation_, batch, goal_, heads_, shares);
    evaluate_->run();
    read(*evaluate_, evaluation_, losses);
    require_finite(losses.whole, "the loss after step " + text(steps_));
  }
  losses = finished(std::move(losses));
  TuneEvaluation found;
  found.examples = static_cast<std::int64_t>(examples.size());
  found.loss = losses.whole;
  found.language_loss = losses.language;
  found.attention_loss = losses.attention;
  found.looked_at = losses.looked_at;
  if (goal_.language) found.perplexity = std::exp(losses.language);
  if (options_.task == TuneTask::similarity && options_.scored) {
    std::vector<double> scores;
    for (const TuneExample& each : examples) scores.push_back(each.score);
    found.correlation = rank_correlation(losses.cosines, scores);
  } else if (options_.task == TuneTask::similarity) {
    found.correlation = std::numeric_limits<double>::quiet_NaN();
  }
  return found;
}

std::span<const std::byte> Trainer::gradient(std::string_view parameter) const {
  const Parameter* const found = parameters_->find(parameter);
  require(holds_ && found != nullptr, "gradients are not held");
  return {found->gradient.data(), found->gradient.bytes()};
}

}  // namespace attn::models
