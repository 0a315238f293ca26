#include "runtime/stored.hpp"

#include "kernels/cache/cache.hpp"

namespace attn::runtime {

std::optional<kernels::WeightType> weight_type(DType dtype) noexcept {
  using kernels::WeightType;
  switch (dtype) {
    case DType::f32: return WeightType::f32;
    case DType::f16: return WeightType::f16;
    case DType::bf16: return WeightType::bf16;
    case DType::q8_0: return WeightType::q8_0;
    case DType::q4_0: return WeightType::q4_0;
    case DType::q4_1: return WeightType::q4_1;
    case DType::q5_0: return WeightType::q5_0;
    case DType::q5_1: return WeightType::q5_1;
    case DType::q4_k: return WeightType::q4_k;
    case DType::q5_k: return WeightType::q5_k;
    case DType::q6_k: return WeightType::q6_k;
    default: return std::nullopt;
  }
}

bool storage_only(DType dtype) noexcept {
  return dtype != DType::f32 && weight_type(dtype).has_value();
}

bool cache_type(DType dtype) noexcept {
  const auto type = weight_type(dtype);
  return type && kernels::cache_type(*type);
}

std::size_t dtype_bytes(DType dtype, std::int64_t elements) noexcept {
  return static_cast<std::size_t>(elements / dtype_block(dtype)) * dtype_size(dtype);
}

}  // namespace attn::runtime
