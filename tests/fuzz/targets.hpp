#pragma once

#include "attn/error.hpp"

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace attn::fuzz {

/// Something that reads what strangers write.
struct Target {
  std::string_view name;
  /// Reads one input; true if it was taken for good. Ends the process, saying why, if what has to
  /// hold does not.
  bool (*run)(std::string_view input);
  /// Good inputs, made anew: what a corpus begins with.
  std::vector<std::string> (*seeds)();
  std::size_t longest;          ///< bytes of an input that are worth trying
  std::string_view dictionary;  ///< of dictionaries/
};

[[nodiscard]] std::span<const Target> targets();

/// The one of that name; ends the process, listing them, if there is none.
[[nodiscard]] const Target& find_target(std::string_view name);

/// Ends the process unless it holds: to a fuzzer that is a find.
inline void expect(bool holds, const char* what, const std::string& about = "") {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s%s%s\n", what, about.empty() ? "" : ": ", about.c_str());
  std::abort();
}

/// Runs the body, out of which only attn::Error may come, its message in one line. True if nothing
/// came.
template <class Body>
bool accepts(Body&& body) {
  try {
    body();
    return true;
  } catch (const Error& error) {
    expect(std::string_view(error.what()).find_first_of("\n\r") == std::string_view::npos,
           "an error's message is one line", error.what());
    return false;
  }
}

/// The parts of an input between record separators, at most so many.
[[nodiscard]] std::vector<std::string_view> parts_of(std::string_view input, std::size_t most);

/// Parts that parts_of() takes apart again.
[[nodiscard]] std::string joined(const std::vector<std::string>& parts);

// One file of tests/fuzz/ each, or two.
bool run_safetensors(std::string_view input);
bool run_json(std::string_view input);
bool run_gguf(std::string_view input);
bool run_model_bin(std::string_view input);
bool run_config(std::string_view input);
bool run_tokenizer_json(std::string_view input);
bool run_byte_pairs(std::string_view input);
bool run_wordpiece(std::string_view input);
bool run_chat_template(std::string_view input);
bool run_checkpoint(std::string_view input);
bool run_adapter(std::string_view input);
bool run_data_lines(std::string_view input);

std::vector<std::string> safetensors_seeds();
std::vector<std::string> json_seeds();
std::vector<std::string> gguf_seeds();
std::vector<std::string> model_bin_seeds();
std::vector<std::string> config_seeds();
std::vector<std::string> tokenizer_json_seeds();
std::vector<std::string> text_seeds();
std::vector<std::string> chat_template_seeds();
std::vector<std::string> checkpoint_seeds();
std::vector<std::string> adapter_seeds();
std::vector<std::string> data_lines_seeds();

}  // namespace attn::fuzz
