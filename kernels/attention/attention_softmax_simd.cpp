// What happens to a query's scores between the two products.

#include "kernels/attention/attention_tiles.hpp"

#include <math.h>

namespace attn::kernels::ATTN_ISA_NS {
namespace {

constexpr float infinity = __builtin_inff();

// What stands in for the maximum of a row that has seen nothing yet, so that −inf − max is −inf.
float reference_point(float max) { return max == -infinity ? 0 : max; }

vf load_up_to(const float* p, index_t count) {
  return count >= lanes ? vf::load_unaligned(p) : load_partial(p, count);
}

// Scales and masks the n scores, with −inf beyond up to a whole vector, and returns the largest.
float scale_and_mask(const Query& query, index_t begin, index_t n, float scale, float* scores) {
  vf top(-infinity);
  for (index_t c = 0; c < n; c += lanes) {
    const index_t rest = n - c;
    vf s = vf::load_unaligned(scores + c) * vf(scale);
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
  return largest(top);
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
          0};
}

void soften(Query* queries, index_t rows, index_t begin, index_t count, float scale, float* scores,
            index_t scores_row, float* shrink) {
  alignas(64) float from[lanes] = {}, old[lanes] = {};
  for (index_t r = 0; r < rows; ++r) {
    Query& query = queries[r];
    const index_t n = least(count, query.seen - begin);
    const float top =
        n > 0 ? scale_and_mask(query, begin, n, scale, scores + r * scores_row) : -infinity;
    old[r] = query.max;
    query.max = top > query.max ? top : query.max;
    from[r] = reference_point(query.max);
  }
  static_assert(lanes >= attention_few_queries && lanes >= tile_rows);
  // a row that has seen nothing has 0 to shrink; its −inf − 0 gives a factor of 0
  exp_difference(vf::load_aligned(old) - vf::load_aligned(from)).store_unaligned(shrink);
  for (index_t r = 0; r < rows; ++r) {
    Query& query = queries[r];
    const vf reference(reference_point(query.max));
    const index_t n = least(count, query.seen - begin);
    float* row = scores + r * scores_row;
    vf sum(0.0F);
    for (index_t c = 0; c < n; c += lanes) {
      const vf p = exp_difference(vf::load_unaligned(row + c) - reference);
      p.store_unaligned(row + c);
      sum += p;
    }
    query.sum = query.sum * shrink[r] + total(sum);
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
        sum = multiply_add(vf(p[j]), load_up_to(v + j * v_row + d, rest), sum);
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
  const bool sees_nothing = query.sum == 0;
  if (log_sum_exp != nullptr) {
    *log_sum_exp = sees_nothing ? -infinity : reference_point(query.max) + logf(query.sum);
  }
  // not a multiplication by 0: a value that nobody sees may be NaN
  const vf share(sees_nothing ? 0 : 1 / query.sum), reference(reference_point(query.max));
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
