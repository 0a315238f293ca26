#pragma once

#include "attn/tune.hpp"
#include "models/training/batch.hpp"
#include "models/training/parameters.hpp"
#include "models/training/tune_graph.hpp"
#include "models/weights.hpp"
#include "runtime/session.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace attn::models {

/// The model that is tuned. All of it outlives the trainer.
struct TrainedModel {
  const Architecture* kind = nullptr;
  const Metadata* metadata = nullptr;
  std::span<const WeightSpec> specs;
  const Weights* weights = nullptr;
  runtime::SessionOptions session;  ///< level, workers, packs
};

/// What stands behind attn::Tuner: graphs, sessions and the optimizer. See there.
class Trainer {
 public:
  /// number: F32, or F64 for the truth in which tests compute. Throws as Tuner's constructor.
  Trainer(TrainedModel model, TuneOptions options, runtime::DType number = runtime::DType::f32);

  TuneStep step(std::span<const TuneExample> examples);
  TuneEvaluation evaluate(std::span<const TuneExample> examples);
  void cancel() noexcept { cancelled_ = true; }

  [[nodiscard]] const TuneOptions& options() const noexcept { return options_; }
  [[nodiscard]] const TuneMemory& memory() const noexcept { return memory_; }
  [[nodiscard]] const TrainedModel& model() const noexcept { return model_; }
  [[nodiscard]] Parameters& parameters() noexcept { return *parameters_; }
  [[nodiscard]] const Parameters& parameters() const noexcept { return *parameters_; }
  /// F32 or bf16: what Precision::automatic came to.
  [[nodiscard]] runtime::Precision precision() const noexcept { return precision_; }
  /// checksum_of() the model, computed when it is first asked for.
  [[nodiscard]] const std::string& base_checksum() const;
  [[nodiscard]] std::int64_t steps() const noexcept { return steps_; }
  void set_steps(std::int64_t steps) noexcept { steps_ = steps; }

  /// Gradients of the last step by parameter, which are kept only where they are held from batch to
  /// update (Error(usage) otherwise).
  [[nodiscard]] std::span<const std::byte> gradient(std::string_view parameter) const;

  /// The learning rate of an update, counted from 1: rising to the full rate over `warmup` updates,
  /// then constant, or along half a cosine to 0 at the last.
  [[nodiscard]] double rate_of(std::int64_t step) const noexcept;

 private:
  // What a pass over a batch found.
  struct Losses {
    double language = 0, attention = 0, looked_at = 0, whole = 0;
    std::vector<double> cosines;
  };

  void check_options() const;
  void take_limits();
  [[nodiscard]] std::optional<AdapterFile> first_adapter();
  void check(std::span<const TuneExample> examples, std::size_t most) const;
  [[nodiscard]] std::span<const TuneExample> learnable(std::span<const TuneExample> examples) const;
  [[nodiscard]] BatchShares shares_of(std::span<const TuneExample> examples) const;
  void build_training();
  void build_update();
  void plan_memory();
  void reserve(runtime::Session& session, TuneMemory& memory) const;
  void check_limit(const TuneMemory& memory) const;
  void prepare_evaluation();
  [[nodiscard]] runtime::SessionOptions session_options(const runtime::Graph& graph) const;
  [[nodiscard]] std::unique_ptr<runtime::Session> make_session(
      const runtime::Graph& graph, std::vector<runtime::ValueId> fetches) const;
  [[nodiscard]] std::size_t examples_a_run() const noexcept;
  static void read(const runtime::Session& session, const TuneGraph& graph, Losses& to);
  static void require_finite(double number, const std::string& what);
  [[nodiscard]] Losses finished(Losses losses) const noexcept;
  [[nodiscard]] double update(const TuneStep& report);
  void stop_if_cancelled() const;

  TrainedModel model_;
  TuneOptions options_;
  TuneGoal goal_;
  ExampleLimits limits_;
  std::vector<int> heads_;
  runtime::Precision precision_ = runtime::Precision::f32;
  bool holds_ = false;  // gradients, from batch to update
  std::unique_ptr<Parameters> parameters_;

  TuneGraph training_, evaluation_;
  std::vector<runtime::ValueId> updated_;  // of the training graph: what has to be fetched
  runtime::Graph update_graph_;
  struct {
    runtime::ValueId step{}, rate{}, scale{};
  } in_training_, in_update_;
  std::vector<runtime::ValueId> norms_, updates_;
  std::unique_ptr<runtime::Session> train_, evaluate_, norm_, update_;

  TuneMemory memory_;
  mutable std::string base_checksum_;  // empty: not asked for yet
  std::int64_t steps_ = 0;
  std::atomic<bool> cancelled_{false};
};

}  // namespace attn::models
