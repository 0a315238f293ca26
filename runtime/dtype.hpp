#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace attn::runtime {

/// Element types of tensors in files and in memory. The graph computes in f32 (f64 for the truth)
/// and takes ids as i32; the others are storage. From q8_0 on they are block formats as GGUF has
/// them: a row is a whole number of blocks (see kernels/quant/).
enum class DType {
  f64,
  f32,
  f16,
  bf16,
  i64,
  i32,
  i16,
  i8,
  u8,
  boolean,
  q8_0,
  q4_0,
  q4_1,
  q5_0,
  q5_1,
  q4_k,
  q5_k,
  q6_k,
};

/// Elements of one block: 1 but for block formats.
[[nodiscard]] std::int64_t dtype_block(DType dtype) noexcept;

/// Bytes of one block: of one element but for block formats.
[[nodiscard]] std::size_t dtype_size(DType dtype) noexcept;

/// The name safetensors uses: "F32", "BF16", "I64", "BOOL", …; of block formats GGUF's: "Q4_1",
/// "Q4_K".
[[nodiscard]] std::string_view dtype_name(DType dtype) noexcept;

/// The type of that name, block formats included, or nothing if it is unknown.
[[nodiscard]] std::optional<DType> dtype_from_name(std::string_view name) noexcept;

}  // namespace attn::runtime
