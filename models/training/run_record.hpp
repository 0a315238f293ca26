#pragma once

#include "attn/tune_run.hpp"

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace attn::models {

/// What a run has seen so far, and what of it a checkpoint carries.
class RunRecord {
 public:
  /// Fingerprints of what is trained on and of what is held out.
  RunRecord(std::string data, std::string held_out, int patience)
      : data_(std::move(data)), held_out_(std::move(held_out)), patience_(patience) {}

  void add(const TuneStep& step);
  void add(const TuneEvaluation& evaluation, std::int64_t step);

  [[nodiscard]] const std::vector<double>& losses() const noexcept { return losses_; }
  [[nodiscard]] const std::vector<EvaluatedStep>& evaluations() const noexcept {
    return evaluations_;
  }
  [[nodiscard]] bool evaluated(std::int64_t step) const;
  /// As many evaluations as the patience have brought nothing better.
  [[nodiscard]] bool out_of_patience() const;
  /// TuneResult::tokens_per_s
  [[nodiscard]] double tokens_per_s() const;

  /// As text, and back: every number to the bit. take() throws Error(invalid), naming `where`, for
  /// notes that are not of a run, of other data (of other held-out data only where it was evaluated
  /// on), or of other than `steps` updates.
  [[nodiscard]] std::map<std::string, std::string> notes() const;
  void take(const std::map<std::string, std::string>& notes, std::int64_t steps,
            const std::string& where);

 private:
  std::string data_, held_out_;
  int patience_;
  std::vector<double> losses_, speeds_;
  std::vector<EvaluatedStep> evaluations_;
};

/// 16 hexadecimal digits that other examples, another order of them, or other numbers of examples
/// an update have otherwise.
[[nodiscard]] std::string data_fingerprint(std::span<const TuneExample> train, std::size_t each,
                                           bool shuffle);

}  // namespace attn::models
