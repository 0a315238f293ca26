#pragma once

#include "kernels/quant/quant.hpp"
#include "runtime/dtype.hpp"

#include <cstdint>
#include <optional>

namespace attn::runtime {

/// The kernels' name of a type that weights are stored in, or nothing for what only computes (f64)
/// or counts.
[[nodiscard]] std::optional<kernels::WeightType> weight_type(DType dtype) noexcept;

/// A type that matmul and gather decode while they read, and nothing else computes with.
[[nodiscard]] bool storage_only(DType dtype) noexcept;

/// Types that a KV cache can have: F32, and what attention reads beside it.
[[nodiscard]] bool cache_type(DType dtype) noexcept;

/// Bytes of so many elements in rows that are whole numbers of blocks.
[[nodiscard]] std::size_t dtype_bytes(DType dtype, std::int64_t elements) noexcept;

}  // namespace attn::runtime
