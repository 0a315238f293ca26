#include "kernels/reduce/lane_sums.hpp"
#include "kernels/reduce/reduce_levels.hpp"

namespace attn::kernels::ATTN_ISA_NS {
namespace {

// x86's maximum forgets a NaN, so that one is looked for beside it.
struct Maximum {
  vf largest = vf(-__builtin_inff());
  xsimd::batch_bool<float, arch> nan = xsimd::isnan(vf(0.0F));
  void take(vf v) {
    largest = xsimd::max(largest, v);
    nan = nan | xsimd::isnan(v);
  }
};

float row_max(index_t cols, const float* x) {
  Maximum a, b;
  index_t c = 0;
  for (; c + 2 * lanes <= cols; c += 2 * lanes) {
    a.take(vf::load_unaligned(x + c));
    b.take(vf::load_unaligned(x + c + lanes));
  }
  for (; c + lanes <= cols; c += lanes) a.take(vf::load_unaligned(x + c));
  if (const index_t rest = cols - c; rest > 0) {
    b.take(fill_from(load_partial(x + c, rest), rest, -__builtin_inff()));
  }
  return xsimd::any(a.nan | b.nan) ? __builtin_nanf("") : largest(xsimd::max(a.largest, b.largest));
}

// The sum of `count` rows at one vector of columns, pairwise.
template <int count, class Access>
inline vf rows_at(const float* x, index_t stride, Access at) {
  if constexpr (count == 1) {
    return at.load(x);
  } else {
    return rows_at<count / 2>(x, stride, at) +
           rows_at<count / 2>(x + count / 2 * stride, stride, at);
  }
}

// Rows after which the sums so far are put aside: 64 steps of eight, so that the error of a column
// of a million rows stays that of some thousand additions.
constexpr index_t block_rows = 512;

// A table no wider than a vector: its sums stay in registers.
template <class Access>
inline vf narrow_sum(index_t rows, const float* x, index_t stride, Access at) {
  vf sum(0.0F);
  for (index_t begin = 0; begin < rows; begin += block_rows) {
    const index_t end = begin + block_rows < rows ? begin + block_rows : rows;
    vf block(0.0F);
    index_t r = begin;
    for (; r + 8 <= end; r += 8) block += rows_at<8>(x + r * stride, stride, at);
    for (; r < end; ++r) block += at.load(x + r * stride);
    sum += block;
  }
  return sum;
}

template <int count>
inline void add_rows(index_t cols, const float* x, index_t stride, float* sum) {
  for_vectors(cols, [&](index_t c, auto at) {
    at.store(sum + c, at.load(sum + c) + rows_at<count>(x + c, stride, at));
  });
}

void fill_zero(index_t n, float* y) {
  for_vectors(n, [&](index_t i, auto at) { at.store(y + i, vf(0.0F)); });
}

// sum[c] = Σ of up to block_rows rows; eight rows a step, so that the sums in the cache are read
// and written once for eight vectors of x.
void sum_block(index_t rows, index_t cols, const float* x, index_t stride, float* sum) {
  fill_zero(cols, sum);
  index_t r = 0;
  for (; r + 8 <= rows; r += 8) add_rows<8>(cols, x + r * stride, stride, sum);
  if ((rows & 4) != 0) {
    add_rows<4>(cols, x + r * stride, stride, sum);
    r += 4;
  }
  for (; r < rows; ++r) add_rows<1>(cols, x + r * stride, stride, sum);
}

}  // namespace

void sum_rows(index_t rows, index_t cols, const float* x, float* y) {
  for (index_t r = 0; r < rows; ++r) {
    y[r] = total(lane_sums<1>(cols, [row = x + r * cols](index_t c, auto at) {
                   return Sums<1>{{at.load(row + c)}};
                 }).v[0]);
  }
}

void max_rows(index_t rows, index_t cols, const float* x, float* y) {
  for (index_t r = 0; r < rows; ++r) y[r] = row_max(cols, x + r * cols);
}

void sum_columns(index_t rows, index_t cols, const float* x, index_t stride, float* y) {
  if (cols < lanes) return store_partial(y, cols, narrow_sum(rows, x, stride, Part{cols}));
  if (cols == lanes) return narrow_sum(rows, x, stride, Whole{}).store_unaligned(y);
  sum_block(rows < block_rows ? rows : block_rows, cols, x, stride, y);
  float block[column_tile];
  for (index_t begin = block_rows; begin < rows; begin += block_rows) {
    const index_t left = rows - begin;
    sum_block(left < block_rows ? left : block_rows, cols, x + begin * stride, stride, block);
    add_rows<1>(cols, block, 0, y);
  }
}

float dot(index_t n, const float* x, const float* w) {
  return total(lane_sums<1>(n, [&](index_t i, auto at) {
                 return Sums<1>{{at.load(x + i) * at.load(w + i)}};
               }).v[0]);
}

}  // namespace attn::kernels::ATTN_ISA_NS
