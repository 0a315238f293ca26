#include "runtime/ops/cache.hpp"

#include "runtime/stored.hpp"

#include <string>

namespace attn::runtime {

void require_keys(const InferContext& c, int kv_heads) {
  const DType keys = c.dtype(1), values = c.dtype(2);
  if (c.dtype(0) != DType::f32 || keys != values || !cache_type(keys)) {
    c.require_number(1);
    c.require_number(2);
  }
  const std::int64_t block = dtype_block(keys);
  for (const std::size_t i : {1U, 2U}) {
    const Dim width = c.shape(i)[-1];
    c.require(block == 1 || (!width.symbolic() && width.extent / kv_heads % block == 0),
              "heads are whole blocks of " + std::to_string(block));
  }
}

kernels::StoredKv stored_kv(const TensorView& k, const TensorView& v) {
  if (!storage_only(k.dtype)) return {};
  return {*weight_type(k.dtype), k.as<const std::byte>(), v.as<const std::byte>()};
}

}  // namespace attn::runtime
