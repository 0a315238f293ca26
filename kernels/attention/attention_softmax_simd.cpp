// What happens to a query's scores between the two products.

#include "kernels/attention/attention_tiles.hpp"

#include <math.h>

namespace attn::kernels::ATTN_ISA_NS {
namespace {

constexpr float infinity = __builtin_inff();

vf load_up_to(const float* p, index_t count) {
  return count >= lanes ? vf::load_unaligned(p) : load_partial(p, count);
}

// Masks the n scores, with −inf beyond up to a whole vector, and returns the largest ones.
vf mask_and_compare(const Query& query, index_t begin, index_t n, float* scores) {
  vf top(-infinity);
  if (query.mask == nullptr && query.weights == nullptr && n % lanes == 0) {
    for (index_t c = 0; c < n; c += lanes) top = xsimd::max(top, vf::load_unaligned(scores + c));
    return top;
  }
  for (index_t c = 0; c < n; c += lanes) {
    const index_t rest = n - c;
    vf s = vf::load_unaligned(scores + c);
    if (query.mask != nullptr) s += load_up_to(query.mask + begin + c, rest);
    if (rest < lanes) s = fill_from(s, rest, -infinity);
    s.store_unaligned(scores + c);
    top = xsimd::max(top, s);
    if (query.weights != nullptr) {
      if (rest < lanes) {
        store_partial(query.weights + begin + c, rest, s);
      } else {
        s.store_unaligned(query.weights + begin + c);
      }
    }
  }
  return top;
}

}  // namespace

Query start(const AttentionArgs<float>& a, index_t b, index_t h, index_t i) {
  const float* mask = a.mask == nullptr ? nullptr
                                        : a.mask + b * a.mask_batch_stride +
                                              h * a.mask_head_stride + i * a.mask_row_stride;
  float* weights =
      a.weights == nullptr ? nullptr : a.weights + ((b * a.heads + h) * a.q_len + i) * a.kv_len;
  return {a.q.data + b * a.q.batch_stride + h * a.q.head_stride + i * a.q.row_stride,
          a.out.data + b * a.out.batch_stride + h * a.out.head_stride + i * a.out.row_stride,
          mask,
          weights,
          visible_keys(a, i),
          -infinity,
          {}};
}

void soften(Query* queries, index_t rows, index_t begin, index_t count, float* scores,
            index_t scores_row, float* shrink) {
  static_assert(lanes >= attention_few_queries && lanes >= tile_rows);
  // one lane a query, so that maxima are updated without a branch that cannot be foretold
  alignas(64) float top[lanes] = {}, old[lanes] = {}, from[lanes];
  for (index_t r = 0; r < rows; ++r) {
    const index_t n = least(count, queries[r].seen - begin);
    top[r] = largest(mask_and_compare(queries[r], begin, n, scores + r * scores_row));
    old[r] = queries[r].max;
  }
  const vf before = vf::load_aligned(old);
  const vf max = xsimd::max(vf::load_aligned(top), before);  // if top is NaN: the row will be
  // what stands in for the maximum of a row that has seen nothing, so that −inf − it is −inf
  const vf reference = xsimd::select(max == vf(-infinity), vf(0.0F), max);
  max.store_aligned(top);
  reference.store_aligned(from);
  exp_difference(before - reference).store_unaligned(shrink);
  for (index_t r = 0; r < rows; ++r) {
    Query& query = queries[r];
    const index_t n = least(count, query.seen - begin);
    const vf zero_point(from[r]);
    float* row = scores + r * scores_row;
    vf sum = vf::load_unaligned(query.sum) * vf(shrink[r]);
    for (index_t c = 0; c < n; c += lanes) {
      const vf p = exp_difference(vf::load_unaligned(row + c) - zero_point);
      p.store_unaligned(row + c);
      sum += p;
    }
    sum.store_unaligned(query.sum);
    query.max = top[r];
  }
}

void add_ragged(const Query* queries, index_t rows, index_t begin, index_t count, index_t common,
                const float* scores, index_t scores_row, const float* v, index_t v_row,
                index_t value_dim) {
  for (index_t r = 0; r < rows; ++r) {
    const index_t n = least(count, queries[r].seen - begin);
    const float* p = scores + r * scores_row;
    for (index_t d = 0; n > common && d < value_dim; d += lanes) {
      const index_t rest = value_dim - d;
      float* out = queries[r].out + d;
      vf sum = load_up_to(out, rest);
      for (index_t j = common; j < n; ++j) {
        sum = fused(vf(p[j]), load_up_to(v + j * v_row + d, rest), sum);
      }
      if (rest < lanes) {
        store_partial(out, rest, sum);
      } else {
        sum.store_unaligned(out);
      }
    }
  }
}

void finish(const Query& query, index_t value_dim, index_t kv_len, float* log_sum_exp) {
  const float sum = total(vf::load_unaligned(query.sum));
  const bool sees_nothing = sum == 0;
  if (log_sum_exp != nullptr) {
    *log_sum_exp = sees_nothing ? -infinity : reference_point(query.max) + logf(sum);
  }
  // not a multiplication by 0: a value that nobody sees may be NaN
  const vf share(sees_nothing ? 0 : 1 / sum), reference(reference_point(query.max));
  for (index_t d = 0; d < value_dim; d += lanes) {
    const index_t rest = value_dim - d;
    float* out = query.out + d;
    const vf value = sees_nothing ? vf(0.0F) : load_up_to(out, rest) * share;
    if (rest < lanes) {
      store_partial(out, rest, value);
    } else {
      value.store_unaligned(out);
    }
  }
  if (query.weights == nullptr) return;
  for (index_t j = 0; j < kv_len; j += lanes) {
    const index_t rest = kv_len - j, seen = sees_nothing ? 0 : query.seen - j;
    float* to = query.weights + j;
    vf w(0.0F);
    if (seen > 0) {
      w = exp_difference(load_up_to(to, seen) - reference) * share;
      if (seen < lanes) w = fill_from(w, seen, 0);
    }
    if (rest < lanes) {
      store_partial(to, rest, w);
    } else {
      w.store_unaligned(to);
    }
  }
}

}  // namespace attn::kernels::ATTN_ISA_NS
