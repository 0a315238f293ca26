#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace attn::runtime {

/// Element types of tensors in files and in memory. The graph computes in f32 (f64 for the truth)
/// and takes ids as i32; the others are storage.
enum class DType { f64, f32, f16, bf16, i64, i32, i16, i8, u8, boolean };

/// Bytes of one element.
[[nodiscard]] std::size_t dtype_size(DType dtype) noexcept;

/// The name safetensors uses: "F32", "BF16", "I64", "BOOL", …
[[nodiscard]] std::string_view dtype_name(DType dtype) noexcept;

/// The type of that name, or nothing if it is unknown.
[[nodiscard]] std::optional<DType> dtype_from_name(std::string_view name) noexcept;

}  // namespace attn::runtime
