#pragma once

#include "tools/common/output.hpp"

#include <cstddef>
#include <span>
#include <string_view>

namespace attn::tools {

/// A model.bin that is linked into attn-run, made by tools/examples/make.py.
struct Example {
  std::string_view name, architecture, about;
  std::span<const std::byte> bytes;
};

/// All of them.
[[nodiscard]] std::span<const Example> examples();

/// The one of that name; Error(usage) that lists them otherwise.
[[nodiscard]] const Example& find_example(std::string_view name);

/// What attn-run shows when it is given nothing.
inline constexpr std::string_view default_example = "size-loss";

void print_examples(Out& out, bool as_json);

}  // namespace attn::tools
