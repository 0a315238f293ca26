#include "kernels/cache/cache.hpp"

#include "kernels/cache/cache_levels.hpp"
#include "kernels/dispatch.hpp"

namespace attn::kernels {

void store_in_cache(Isa isa, WeightType type, index_t n, const float* from, void* to) {
  at_level<StoreInCache>(isa, scalar::store_in_cache, avx2::store_in_cache, avx512::store_in_cache)(
      type, n, from, static_cast<uint8_t*>(to));
}

}  // namespace attn::kernels
