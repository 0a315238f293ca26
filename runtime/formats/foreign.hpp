#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace attn::runtime {

/// What a file that is not the container it should be seems to be instead, judged by its first
/// bytes, and what to do about it: "this is a web page: …". Empty if nothing is recognised. Only
/// for messages, after reading has failed: a valid container may begin with some of these bytes.
[[nodiscard]] std::string_view foreign_hint(std::span<const std::byte> head) noexcept;

}  // namespace attn::runtime
