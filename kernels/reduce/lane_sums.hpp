#pragma once

// For *_simd.cpp files: sums along a row in vector lanes, whose order depends on the row's length
// alone.

#include "kernels/simd.hpp"

namespace attn::kernels::ATTN_ISA_NS {
namespace {

/// Access to a whole vector of a row.
struct Whole {
  static vf load(const float* p) { return vf::load_unaligned(p); }
  static void store(float* p, vf v) { v.store_unaligned(p); }
  static vf keep(vf v) { return v; }
};

/// Access to the first `count` (< lanes) elements of a vector.
struct Part {
  index_t count;
  vf load(const float* p) const { return load_partial(p, count); }
  void store(float* p, vf v) const { store_partial(p, count, v); }
  /// v with 0 in the lanes beyond the count
  vf keep(vf v) const { return fill_from(v, count, 0.0F); }
};

/// body(i, access) for every vector of n elements; the last may be a Part.
template <class Body>
inline void for_vectors(index_t n, Body body) {
  index_t i = 0;
  for (; i + lanes <= n; i += lanes) body(i, Whole{});
  if (i < n) body(i, Part{n - i});
}

/// K sums taken together in one pass.
template <int K>
struct Sums {
  vf v[K];
  Sums& operator+=(const Sums& other) {
    for (int k = 0; k < K; ++k) v[k] += other.v[k];
    return *this;
  }
};

template <int K>
inline Sums<K> no_sums() {
  Sums<K> zero;  // NOLINT(cppcoreguidelines-pro-type-member-init): the loop does
  for (int k = 0; k < K; ++k) zero.v[k] = vf(0.0F);
  return zero;
}

// One block, in several accumulators to hide the latency of addition; fewer where they and what a
// term needs would not fit the sixteen registers of AVX2.
template <int K, class Term>
inline Sums<K> block_sums(index_t begin, index_t end, const Term& term) {
  constexpr index_t chains = K <= 2 || lanes == 16 ? 4 : 2;
  Sums<K> sums[chains];
  for (index_t u = 0; u < chains; ++u) sums[u] = no_sums<K>();
  index_t i = begin;
  for (; i + chains * lanes <= end; i += chains * lanes) {
    for (index_t u = 0; u < chains; ++u) sums[u] += term(i + u * lanes, Whole{});
  }
  for (; i + lanes <= end; i += lanes) sums[0] += term(i, Whole{});
  if (i < end) sums[1] += term(i, Part{end - i});
  if constexpr (chains == 4) {
    sums[0] += sums[2];
    sums[1] += sums[3];
  }
  sums[0] += sums[1];
  return sums[0];
}

// More than a vector: whole blocks, added up pairwise.
template <int K, class Term>
Sums<K> long_sums(index_t n, const Term& term) {
  // 64 vectors: chains of 16 to 32 additions, and the pairwise sums over blocks cost next to
  // nothing
  constexpr index_t block = 64 * lanes;
  if (n <= block) return block_sums<K>(0, n, term);
  Sums<K> levels[48];  // of 2^level blocks each
  int depth = 0;
  index_t done = 0;
  for (index_t begin = 0; begin < n; begin += block, ++done) {
    Sums<K> sums = block_sums<K>(begin, begin + block < n ? begin + block : n, term);
    for (index_t full = done; (full & 1) != 0; full >>= 1) sums += levels[--depth];
    levels[depth++] = sums;
  }
  Sums<K> sums = levels[--depth];
  while (depth > 0) sums += levels[--depth];
  return sums;
}

/// The lanes of Σ term(i, access) over the vectors of n elements, in an order that n alone decides.
/// The error grows with the logarithm of n. Rows of up to a vector are inlined: a call would cost
/// more.
template <int K, class Term>
[[gnu::always_inline]] inline Sums<K> lane_sums(index_t n, const Term& term) {
  if (n == lanes) return term(0, Whole{});
  return n < lanes ? term(0, Part{n}) : long_sums<K>(n, term);
}

/// The sum of a vector's lanes, by halves.
#if defined(ATTN_ISA_avx512)
inline float total(vf v) { return _mm512_reduce_add_ps(v); }
inline float largest(vf v) { return _mm512_reduce_max_ps(v); }
#elif defined(ATTN_ISA_avx2)
inline float total(vf v) {
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
inline float largest(vf v) {
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}
#endif

}  // namespace
}  // namespace attn::kernels::ATTN_ISA_NS
