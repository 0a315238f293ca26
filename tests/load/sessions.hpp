#pragma once

// What applications do with models at the same time, in pieces that each have one right answer.

#include "attn/batch.hpp"
#include "attn/generator.hpp"
#include "attn/tune.hpp"

#include <atomic>
#include <cstddef>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

namespace attn::test {

/// Two language models that all threads share, and an encoder's file that whoever needs it opens:
/// Model::embed() is for one thread at a time.
class Sessions {
 public:
  /// `data`: the folder of the tiny models; threads of each model's Workers.
  explicit Sessions(const std::filesystem::path& data, int threads = 2);

  /// The result of session `number`, as bytes: the same for the same number, whoever else is at it.
  /// Some are cancelled in the middle, by their callback or from another thread.
  [[nodiscard]] std::string run(std::size_t number) const;

  /// Sessions 0 to count - 1, one after the other.
  [[nodiscard]] std::vector<std::string> serial(std::size_t count) const;

  /// The same by so many threads, each taking the next that is not begun; how many of `rounds`
  /// times `expected.size()` came out otherwise than expected.
  [[nodiscard]] std::size_t differing(const std::vector<std::string>& expected, int threads,
                                      std::size_t rounds = 1) const;

 private:
  [[nodiscard]] std::string generate(const Model& model, std::size_t number) const;
  [[nodiscard]] std::string answer_together(std::size_t number) const;
  [[nodiscard]] std::string embed(std::size_t number) const;
  [[nodiscard]] std::string cancel_tuning(std::size_t number) const;
  [[nodiscard]] std::string cancel_generating(std::size_t number) const;

  std::filesystem::path data_;
  Options options_;
  Model llama_, qwen_;
};

}  // namespace attn::test
