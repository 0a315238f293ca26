// Forward for up to eight queries, without packing. Scores are dot products along the
// head's dimensions, so keys are read as they lie; every number comes out of one chain whose order
// the key's place alone decides, hence a query's bits are the same among any others.

#include "kernels/attention/attention_tiles.hpp"

namespace attn::kernels::ATTN_ISA_NS {
namespace {

// Keys between two rescalings: eight queries' scores are 4 KiB of stack, and 128 values of 64
// dimensions stay in L1 while the queries pass.
constexpr index_t block_keys = attention_block_keys;

// In each 128-bit lane the four sums of that lane of a, b, c and d, as (0 + 2) + (1 + 3).
vf fold(vf a, vf b, vf c, vf d) {
#if defined(ATTN_ISA_avx512)
  const __m512d ab =
      _mm512_castps_pd(_mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b)));
  const __m512d cd =
      _mm512_castps_pd(_mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d)));
  return _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd)),
                       _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd)));
#else
  const __m256d ab =
      _mm256_castps_pd(_mm256_add_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b)));
  const __m256d cd =
      _mm256_castps_pd(_mm256_add_ps(_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d)));
  return _mm256_add_ps(_mm256_castpd_ps(_mm256_unpacklo_pd(ab, cd)),
                       _mm256_castpd_ps(_mm256_unpackhi_pd(ab, cd)));
#endif
}

// Stores scale · q · k_j for `keys` (4 or lanes) keys. Beyond the last key the last one is taken
// again.
template <int keys>
void dots(const float* q, const float* k, index_t k_row, index_t valid, index_t dim, float scale,
          float* to) {
  const float* key[keys];
  vf sums[keys];
#pragma GCC unroll 16
  for (int j = 0; j < keys; ++j) {
    key[j] = k + (j < valid ? j : valid - 1) * k_row;
    sums[j] = vf(0.0F);
  }
  index_t d = 0;
  for (; d + lanes <= dim; d += lanes) {
    const vf left = vf::load_unaligned(q + d);
#pragma GCC unroll 16
    for (int j = 0; j < keys; ++j) {
      sums[j] = fused(left, vf::load_unaligned(key[j] + d), sums[j]);
    }
  }
  if (d < dim) {
    const vf left = load_partial(q + d, dim - d);
#pragma GCC unroll 16
    for (int j = 0; j < keys; ++j) {
      sums[j] = fused(left, load_partial(key[j] + d, dim - d), sums[j]);
    }
  }
  // the 128-bit lanes of every key's sum are added in the same order below: (0 + 1) + (2 + 3)
  if constexpr (keys == 4) {
    const vf x = fold(sums[0], sums[1], sums[2], sums[3]);
#if defined(ATTN_ISA_avx512)
    const __m512 pairs = _mm512_add_ps(x, _mm512_shuffle_f32x4(x, x, 0xb1));
    const __m512 sum = _mm512_add_ps(pairs, _mm512_shuffle_f32x4(pairs, pairs, 0x4e));
    _mm_storeu_ps(to, _mm_mul_ps(_mm512_castps512_ps128(sum), _mm_set1_ps(scale)));
#else
    const __m128 sum = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    _mm_storeu_ps(to, _mm_mul_ps(sum, _mm_set1_ps(scale)));
#endif
  } else {
#if defined(ATTN_ISA_avx512)
    const __m512 w = fold(sums[0], sums[1], sums[2], sums[3]);
    const __m512 x = fold(sums[4], sums[5], sums[6], sums[7]);
    const __m512 y = fold(sums[8], sums[9], sums[10], sums[11]);
    const __m512 z = fold(sums[12], sums[13], sums[14], sums[15]);
    const __m512 wx =
        _mm512_add_ps(_mm512_shuffle_f32x4(w, x, 0x88), _mm512_shuffle_f32x4(w, x, 0xdd));
    const __m512 yz =
        _mm512_add_ps(_mm512_shuffle_f32x4(y, z, 0x88), _mm512_shuffle_f32x4(y, z, 0xdd));
    const __m512 sum =
        _mm512_add_ps(_mm512_shuffle_f32x4(wx, yz, 0x88), _mm512_shuffle_f32x4(wx, yz, 0xdd));
    _mm512_storeu_ps(to, _mm512_mul_ps(sum, _mm512_set1_ps(scale)));
#else
    const __m256 x = fold(sums[0], sums[1], sums[2], sums[3]);
    const __m256 y = fold(sums[4], sums[5], sums[6], sums[7]);
    const __m256 sum =
        _mm256_add_ps(_mm256_permute2f128_ps(x, y, 0x20), _mm256_permute2f128_ps(x, y, 0x31));
    _mm256_storeu_ps(to, _mm256_mul_ps(sum, _mm256_set1_ps(scale)));
#endif
  }
}

// scores[r, j] = scale · q_r · k_j for j < count, and numbers of no meaning up to whole vectors
// beyond.
void score(const Query* queries, index_t rows, const float* k, index_t k_row, index_t count,
           index_t dim, float scale, float* scores) {
  index_t j = 0;
  for (; j + lanes <= count; j += lanes) {
    for (index_t r = 0; r < rows; ++r) {
      dots<lanes>(queries[r].q, k + j * k_row, k_row, lanes, dim, scale,
                  scores + r * block_keys + j);
    }
  }
  for (; j < count; j += 4) {
    for (index_t r = 0; r < rows; ++r) {
      dots<4>(queries[r].q, k + j * k_row, k_row, least(4, count - j), dim, scale,
              scores + r * block_keys + j);
    }
  }
}

// out_r = shrink_r out_r + Σ_j p[r, j] v_j for two queries or one, `vectors` vectors of a row; j
// ascending in one chain.
template <int rows, int vectors, bool partial>
void add_values(const Query* queries, const float* p, index_t count, const float* v, index_t v_row,
                index_t d, index_t last, const float* shrink) {
  const auto load = [last](const float* at, int n) -> vf {
    return partial && n + 1 == vectors ? load_partial(at, last) : vf::load_unaligned(at);
  };
  vf sums[rows][vectors];
#pragma GCC unroll 4
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 4
    for (int n = 0; n < vectors; ++n) {
      sums[r][n] = vf(0.0F);
      if (shrink != nullptr) sums[r][n] = load(queries[r].out + d + n * lanes, n) * vf(shrink[r]);
    }
  }
  const float* value = v + d;
  for (index_t j = 0; j < count; ++j, value += v_row) {
#pragma GCC unroll 4
    for (int n = 0; n < vectors; ++n) {
      const vf x = load(value + n * lanes, n);
#pragma GCC unroll 4
      for (int r = 0; r < rows; ++r) {
        sums[r][n] = fused(vf(p[r * block_keys + j]), x, sums[r][n]);
      }
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 4
    for (int n = 0; n < vectors; ++n) {
      float* at = queries[r].out + d + n * lanes;
      if (partial && n + 1 == vectors) {
        store_partial(at, last, sums[r][n]);
      } else {
        sums[r][n].store_unaligned(at);
      }
    }
  }
}

template <int rows>
void add_values(const Query* queries, const float* p, index_t count, const float* v, index_t v_row,
                index_t value_dim, const float* shrink) {
  using Version = void (*)(const Query*, const float*, index_t, const float*, index_t, index_t,
                           index_t, const float*);
  static constexpr Version whole[] = {add_values<rows, 1, false>, add_values<rows, 2, false>,
                                      add_values<rows, 3, false>, add_values<rows, 4, false>};
  static constexpr Version ragged[] = {add_values<rows, 1, true>, add_values<rows, 2, true>,
                                       add_values<rows, 3, true>, add_values<rows, 4, true>};
  for (index_t d = 0; d < value_dim; d += 4 * lanes) {
    const index_t wide = least(4 * lanes, value_dim - d), vectors = (wide + lanes - 1) / lanes;
    const index_t last = wide - (vectors - 1) * lanes;
    (last == lanes ? whole : ragged)[vectors - 1](queries, p, count, v, v_row, d, last, shrink);
  }
}

// Up to eight queries against one head's keys and values. Stored ones are widened a block at a time
// for all queries, keys and then values in the same room, which stays in L1.
void attend_pack(const AttentionArgs<float>& a, Query* queries, index_t rows, const HeadRows& k,
                 const HeadRows& v, float* room) {
  index_t seen = 0;
  for (index_t r = 0; r < rows; ++r) seen = queries[r].seen > seen ? queries[r].seen : seen;
  for (index_t block = 0; block < seen; block += block_keys) {
    const index_t n = least(block_keys, seen - block);
    alignas(64) float scores[attention_few_queries * block_keys], shrink[lanes];
    const HeadRows::Rows keys = k.rows(block, n, room);
    score(queries, rows, keys.data, keys.row_stride, n, a.head_dim, a.scale, scores);
    soften(queries, rows, block, n, scores, block_keys, shrink);
    const HeadRows::Rows values = v.rows(block, n, room);
    const float* const factors = block == 0 ? nullptr : shrink;
    for (index_t r = 0; r < rows;) {
      // two queries together read each value once, if they see the same ones
      const index_t mine = queries[r].seen < block ? 0 : least(n, queries[r].seen - block);
      const float* p = scores + r * block_keys;
      const float* factor = factors == nullptr ? nullptr : factors + r;
      if (r + 1 < rows && least(n, queries[r + 1].seen - block) == mine) {
        add_values<2>(queries + r, p, mine, values.data, values.row_stride, a.value_dim, factor);
        r += 2;
      } else {
        add_values<1>(queries + r, p, mine, values.data, values.row_stride, a.value_dim, factor);
        r += 1;
      }
    }
  }
}

// Up to eight of the queries that share a key/value head, from the `first` of them on: head by
// head, and of each head its q_len.
struct Place {
  index_t head, query;
};
Place place(const AttentionArgs<float>& a, index_t kv_head, index_t number) {
  return {kv_head * (a.heads / a.kv_heads) + number / a.q_len, number % a.q_len};
}

float* log_sum_exp(const AttentionArgs<float>& a, index_t b, Place at) {
  if (a.log_sum_exp == nullptr) return nullptr;
  return a.log_sum_exp + (b * a.heads + at.head) * a.q_len + at.query;
}

// Where a query's parts begin.
template <class T>
T* parts_of(const AttentionArgs<float>& a, T* parts, index_t chunks, Place at) {
  return parts + (at.query * a.heads + at.head) * chunks * attend_part_floats(a.value_dim);
}

}  // namespace

void attend_few(const AttentionArgs<float>& a, index_t b, index_t kv_head, float* room) {
  const HeadRows k = keys_of(a, b, kv_head, 0), v = values_of(a, b, kv_head, 0);
  const index_t all = a.heads / a.kv_heads * a.q_len;
  for (index_t first = 0; first < all; first += attention_few_queries) {
    const index_t rows = least(attention_few_queries, all - first);
    Query queries[attention_few_queries];
    for (index_t r = 0; r < rows; ++r) {
      const Place at = place(a, kv_head, first + r);
      queries[r] = start(a, b, at.head, at.query);
    }
    attend_pack(a, queries, rows, k, v, room);
    for (index_t r = 0; r < rows; ++r) {
      finish(queries[r], a.value_dim, a.kv_len, log_sum_exp(a, b, place(a, kv_head, first + r)));
    }
  }
}

void attend_part(const AttentionArgs<float>& a, index_t kv_head, index_t chunk, index_t chunks,
                 float* parts, float* room) {
  const index_t before = chunk * attention_chunk_keys;
  const HeadRows k = keys_of(a, 0, kv_head, before), v = values_of(a, 0, kv_head, before);
  const index_t all = a.heads / a.kv_heads * a.q_len;
  for (index_t first = 0; first < all; first += attention_few_queries) {
    const index_t rows = least(attention_few_queries, all - first);
    Query queries[attention_few_queries];
    for (index_t r = 0; r < rows; ++r) {
      const Place at = place(a, kv_head, first + r);
      Query& query = queries[r] = start(a, 0, at.head, at.query);
      const index_t seen = query.seen - before;
      query.seen = seen < 0 ? 0 : least(seen, attention_chunk_keys);
      query.out = parts_of(a, parts, chunks, at) + chunk * attend_part_floats(a.value_dim);
      if (query.mask != nullptr) query.mask += before;
      if (query.weights != nullptr) query.weights += before;
    }
    attend_pack(a, queries, rows, k, v, room);
    for (index_t r = 0; r < rows; ++r) {
      queries[r].out[a.value_dim] = queries[r].max;
      queries[r].out[a.value_dim + 1] = total(vf::load_unaligned(queries[r].sum));
    }
  }
}

void join_parts(const AttentionArgs<float>& a, index_t kv_head, index_t chunks,
                const float* parts) {
  const index_t all = a.heads / a.kv_heads * a.q_len, floats = attend_part_floats(a.value_dim);
  for (index_t number = 0; number < all; ++number) {
    const Place at = place(a, kv_head, number);
    Query query = start(a, 0, at.head, at.query);
    const index_t used = (query.seen + attention_chunk_keys - 1) / attention_chunk_keys;
    const float* const mine = parts_of(a, parts, chunks, at);
    for (index_t c = 0; c < used; ++c) {
      const float max = mine[c * floats + a.value_dim];
      if (max > query.max) query.max = max;  // if it is NaN, so is its sum
    }
    const vf reference(reference_point(query.max));
    vf sum(0.0F);
    for (index_t c = 0; c < used; ++c) {
      const float* const part = mine + c * floats;
      const vf shrink = exp_difference(vf(part[a.value_dim]) - reference);
      sum = fused(vf(part[a.value_dim + 1]), shrink, sum);
      for (index_t d = 0; d < a.value_dim; d += lanes) {
        const index_t rest = a.value_dim - d;
        const vf x = vf::load_unaligned(part + d) * shrink;  // parts are whole vectors
        const bool whole = rest >= lanes;
        const vf before = c == 0  ? vf(0.0F)
                          : whole ? vf::load_unaligned(query.out + d)
                                  : load_partial(query.out + d, rest);
        if (whole) {
          (before + x).store_unaligned(query.out + d);
        } else {
          store_partial(query.out + d, rest, before + x);
        }
      }
    }
    alignas(64) float sums[lanes];
    sum.store_aligned(sums);
    query.sum[0] = sums[0];
    finish(query, a.value_dim, a.kv_len, log_sum_exp(a, 0, at));
  }
}

}  // namespace attn::kernels::ATTN_ISA_NS
