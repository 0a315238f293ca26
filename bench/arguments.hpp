#pragma once

#include "attn/attn.hpp"
#include "bench/model_cost.hpp"

#include <CLI/CLI.hpp>

#include <optional>
#include <string>
#include <vector>

namespace attn::bench {

/// The command line of attn-bench as text: what an option means is known once the model is.
struct Arguments {
  std::optional<std::string> model, prompt, generate, batch, threads, depth, parallel, repetitions,
      precision, kv_type;
  std::optional<std::string> kernels;  ///< a regular expression
  std::vector<std::string> compare;    ///< two files
  std::string output = "md";
  bool machine = false;
};

void declare(CLI::App& app, Arguments& arguments);

/// How the model is opened for a test.
[[nodiscard]] Options open_options(const Arguments& arguments, int threads);

[[nodiscard]] int repetitions(const Arguments& arguments);

/// Every combination of the lists that were given: for each number of threads and each depth the
/// prompts in each batch, then what is generated, by each number together. Throws Error(usage) for
/// values out of range, and for what an encoder cannot do.
[[nodiscard]] std::vector<Test> tests(const Arguments& arguments, bool encoder);

}  // namespace attn::bench
