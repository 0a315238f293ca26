#pragma once

#include "attn/generator.hpp"
#include "bench/model_cost.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <filesystem>
#include <vector>

namespace attn::bench {

/// What one test gave; times in seconds.
struct Measured {
  std::vector<double> runs;       ///< each of the test's tokens
  std::vector<double> latencies;  ///< of a prompt, a batch of texts, or each token generated
  double load = 0;                ///< opening the model and getting ready for the first token
  double first_token = 0;         ///< from before that to the first answer to the test's prompt
  std::int64_t peak_bytes = 0;    ///< of this process's resident memory
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Measured, runs, latencies, load, first_token, peak_bytes)

/// Opens the model, an encoder or a language model, and asks for a first answer; then runs the test
/// once to warm up and `repetitions` times measured, or not at all where that is 0. kv_type is that
/// of a language model's cache. Prompts are of arbitrary tokens, and so is what is decoded: nothing
/// is sampled, and no end token ends it. Answers generated together are the model's likeliest
/// tokens. Throws what opening and running throw, and Error(invalid) if one of those ends before
/// the others.
[[nodiscard]] Measured measure(const std::filesystem::path& path, const Options& options,
                               bool encoder, const Test& test, KvType kv_type, int repetitions);

}  // namespace attn::bench
