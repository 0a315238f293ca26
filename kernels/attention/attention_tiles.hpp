#pragma once

// For the attention kernels' *_simd.cpp files: what they share within a level.

#include "kernels/attention/attention_levels.hpp"
#include "kernels/cache/cache_levels.hpp"
#include "kernels/simd.hpp"

namespace attn::kernels::ATTN_ISA_NS {

/// Keys that are packed, scored and softened together. With 64 dimensions a panel of keys, six rows
/// of scores and half of the values fit a 48 KiB L1; 64 keys would fit whole but reduce and rescale
/// rows twice as often (2–5% slower).
inline constexpr index_t key_block = attention_block_keys;

/// A tile of the products: this many rows by tile_columns, all in registers. 6 × 4 vectors of 16
/// (or 6 × 2 of 8) leave room for one row of B and a broadcast in 32 (16) registers.
inline constexpr index_t tile_rows = 6;
inline constexpr index_t tile_vectors = lanes == 16 ? 4 : 2;
inline constexpr index_t tile_columns = tile_vectors * lanes;

[[gnu::always_inline]] constexpr index_t least(index_t a, index_t b) { return a < b ? a : b; }
[[gnu::always_inline]] constexpr index_t whole_vectors(index_t n) {
  return (n + lanes - 1) / lanes * lanes;
}

/// One operand A of a product: element (r, p) at data[r · row + p · step].
struct Broadcast {
  const float* data;
  index_t row, step;
};

/// C[r, :] = shrink[r] · C[r, :] + Σ_p A[r, p] B[p, :], p in ascending order in one chain a number;
/// C is not read where shrink is null. B's rows are padded to whole vectors, C's are not: only
/// `columns` are written, or whole vectors where they fill their row.
void multiply(index_t rows, index_t columns, index_t depth, Broadcast a, const float* b,
              index_t b_row, float* c, index_t c_row, const float* shrink);

/// to[d, j] = scale · from[j, d] for j < count, d < dim, with rows of `to_row` (≥ count rounded up
/// to whole vectors), which get zeros between.
void pack_transposed(index_t count, index_t dim, float scale, const float* from, index_t from_row,
                     float* to, index_t to_row);

/// to[j, d] = scale · from[j, d] with rows of dim rounded up to whole vectors, which get zeros
/// between.
void pack_rows(index_t count, index_t dim, float scale, const float* from, index_t from_row,
               float* to);

/// Keys or values of one head, where they lie or stored in fewer bits.
struct HeadRows {
  const float* numbers;    ///< null where they are stored
  const std::byte* bytes;  ///< null where they are not
  WeightType type;
  index_t dim, row_stride;  ///< in numbers

  struct Rows {
    const float* data;
    index_t row_stride;
  };
  /// The rows [begin, begin + count): where they lie, or widened in `room`, [count, whole_vectors
  /// (dim)].
  [[nodiscard]] Rows rows(index_t begin, index_t count, float* room) const {
    if (numbers != nullptr) return {numbers + begin * row_stride, row_stride};
    widen_rows(type, count, dim,
               reinterpret_cast<const uint8_t*>(bytes) + stored_bytes(type, begin * row_stride),
               stored_bytes(type, row_stride), room, whole_vectors(dim));
    return {room, whole_vectors(dim)};
  }
};

/// Keys or values, in numbers or stored, from row `first` of a key/value head on.
inline HeadRows head_rows(const HeadsView<const float>& numbers, WeightType type,
                          const std::byte* stored, index_t dim, index_t b, index_t kv_head,
                          index_t first) {
  const index_t row = numbers.row_stride;
  const index_t at = b * numbers.batch_stride + kv_head * numbers.head_stride + first * row;
  if (type == WeightType::f32) return {numbers.data + at, nullptr, type, dim, row};
  return {nullptr, stored + stored_bytes(type, at), type, dim, row};
}
inline HeadRows keys_of(const AttentionArgs<float>& a, index_t b, index_t kv_head, index_t first) {
  return head_rows(a.k, a.stored.type, a.stored.k, a.head_dim, b, kv_head, first);
}
inline HeadRows values_of(const AttentionArgs<float>& a, index_t b, index_t kv_head,
                          index_t first) {
  return head_rows(a.v, a.stored.type, a.stored.v, a.value_dim, b, kv_head, first);
}

/// One query on its way through the keys.
struct Query {
  const float* q;
  float* out;
  const float* mask;  ///< its row, or null
  float* weights;     ///< its row, or null; holds scores until finish()
  index_t seen;       ///< keys it sees
  float max;
  float sum[lanes];  ///< in as many parts, which finish() adds up
};

/// What stands in for the maximum of a row that has seen nothing yet, so that −inf − max is −inf.
inline float reference_point(float max) { return max == -__builtin_inff() ? 0 : max; }

/// Query i of head h, which has seen nothing yet.
Query start(const AttentionArgs<float>& a, index_t b, index_t h, index_t i);

/// Online softmax (Milakov & Gimelshein 2018) of up to 8 rows of scaled scores for the keys [begin,
/// begin + count): masks and exponentiates them in place against the queries' maxima so far, and
/// says in shrink[lanes] by how much what was summed before must shrink. A row's numbers depend on
/// that row alone. Scores that a query does not see become 0, up to whole vectors.
void soften(Query* queries, index_t rows, index_t begin, index_t count, float* scores,
            index_t scores_row, float* shrink);

/// out[r] += the values of the keys [common, seen) of this block: those that causality shows to
/// some of a tile's rows only. What a query does not see is not multiplied by its zero weight,
/// because it may be NaN.
void add_ragged(const Query* queries, index_t rows, index_t begin, index_t count, index_t common,
                const float* scores, index_t scores_row, const float* v, index_t v_row,
                index_t value_dim);

/// Divides by the sums; weights and log-sum-exp (null: none) get their final values.
void finish(const Query& query, index_t value_dim, index_t kv_len, float* log_sum_exp);

#if defined(ATTN_ISA_avx512)
inline float largest(vf v) { return _mm512_reduce_max_ps(v); }
inline float total(vf v) { return _mm512_reduce_add_ps(v); }
#else
inline float largest(vf v) {
  __m128 x = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  x = _mm_max_ps(x, _mm_movehl_ps(x, x));
  return _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)));
}
inline float total(vf v) {
  __m128 x = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  x = _mm_add_ps(x, _mm_movehl_ps(x, x));
  return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
}
#endif

/// e^x for x ≤ 0 or little above, −inf and NaN included, as differences from a maximum are; exp(0)
/// is exactly 1. Relative error 3e-7 + 6e-8 |x|, because log2(e) is one float here: an error of |x|
/// e^x ≤ 0.4 roundings of the row's largest weight, an order below what the sums bring. Results
/// below 2^-126 may flush to 0.
inline vf exp_difference(vf x) {
  const vf t = x * vf(1.44269504F);
#if defined(ATTN_ISA_avx512)
  const vf f =
      _mm512_reduce_ps(t, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);  // t − ⌊t⌋; 0 at −inf
#else
  // at −127 the exponent field below is 0 and the result with it; max keeps a NaN in its second
  const vf bounded = _mm256_max_ps(_mm256_set1_ps(-127), t);
  const vf whole = _mm256_floor_ps(bounded);
  const vf f = bounded - whole;
#endif
  // 2^f on [0, 1), 1 at 0: least largest relative error (9.2e-8) found by Lawson's iteration
  vf p(1.86713564e-3F);
  p = fused(p, f, vf(9.01701767e-3F));
  p = fused(p, f, vf(0.0557999238F));
  p = fused(p, f, vf(0.240164444F));
  p = fused(p, f, vf(0.693151295F));
  p = fused(p, f, vf(1.0F));
#if defined(ATTN_ISA_avx512)
  return _mm512_scalef_ps(p, t);  // takes ⌊t⌋ itself
#else
  const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(whole), _mm256_set1_epi32(127));
  return p * vf(_mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23)));
#endif
}

}  // namespace attn::kernels::ATTN_ISA_NS
