#pragma once

#include "attn/attn.hpp"

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

namespace attn::tools {

/// The options of the list that were given, as "--prompt, --file"; empty where none was.
struct Given {
  const char* name;
  bool given;
};
[[nodiscard]] std::string given_of(std::initializer_list<Given> options);

// Values of options that several tools have. Each throws Error(usage) naming the option.

/// "0,14,29" or "0-8" or "0-2,7" as ascending numbers from 0 to below `count`; all where the option
/// is absent.
[[nodiscard]] std::vector<int> number_list(const char* option,
                                           const std::optional<std::string>& text, int count);

/// --precision: auto, f32 or bf16; auto where it is absent.
[[nodiscard]] Precision precision_choice(const std::optional<std::string>& text);

/// A number of bytes above 0: "800M", "1.5G", "2GiB", "1000000"; K, M, G and T are powers of 1024.
[[nodiscard]] std::size_t byte_count(const char* option, const std::string& text);

}  // namespace attn::tools
