#include "kernels/embedding/embedding_levels.hpp"
#include "kernels/simd.hpp"

namespace attn::kernels::ATTN_ISA_NS {
namespace {

struct Copy {
  vf operator()(vf from, vf) const { return from; }
  __m256 operator()(__m256 from, __m256) const { return from; }
  __m128 operator()(__m128 from, __m128) const { return from; }
};

struct Add {
  vf operator()(vf from, vf to) const { return to + from; }
  __m256 operator()(__m256 from, __m256 to) const { return _mm256_add_ps(to, from); }
  __m128 operator()(__m128 from, __m128 to) const { return _mm_add_ps(to, from); }
};

__m128 load2(const float* p) {
  return _mm_loadl_pi(_mm_setzero_ps(), reinterpret_cast<const __m64*>(p));
}

// to[c] = op(from[c], to[c]). The tail goes in pieces of 8, 4, 2 and 1 elements, not through a
// mask: rows of a few elements are neighbours, and a masked load that overlaps the masked store
// before it has to wait for the cache.
template <class Op>
inline void combine_row(index_t cols, const float* from, float* to, Op op) {
  index_t c = 0;
  for (; c + lanes <= cols; c += lanes) {
    op(vf::load_unaligned(from + c), vf::load_unaligned(to + c)).store_unaligned(to + c);
  }
  if constexpr (lanes > 8) {
    if ((cols & 8) != 0) {
      _mm256_storeu_ps(to + c, op(_mm256_loadu_ps(from + c), _mm256_loadu_ps(to + c)));
      c += 8;
    }
  }
  if ((cols & 4) != 0) {
    _mm_storeu_ps(to + c, op(_mm_loadu_ps(from + c), _mm_loadu_ps(to + c)));
    c += 4;
  }
  if ((cols & 2) != 0) {
    _mm_storel_pi(reinterpret_cast<__m64*>(to + c), op(load2(from + c), load2(to + c)));
    c += 2;
  }
  if ((cols & 1) != 0) _mm_store_ss(to + c, op(_mm_load_ss(from + c), _mm_load_ss(to + c)));
}

}  // namespace

void gather_rows(index_t count, index_t cols, const float* table, const std::int32_t* ids,
                 float* y) {
  for (index_t i = 0; i < count; ++i) {
    combine_row(cols, table + ids[i] * cols, y + i * cols, Copy{});
  }
}

void scatter_add_rows(index_t count, index_t cols, index_t stride, const float* dy,
                      const std::int32_t* ids, float* dtable) {
  for (index_t i = 0; i < count; ++i) {
    combine_row(cols, dy + i * stride, dtable + ids[i] * stride, Add{});
  }
}

}  // namespace attn::kernels::ATTN_ISA_NS
