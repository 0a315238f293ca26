// Forward, the scalar truth: one query at a time, keys in blocks, online softmax.

#include "kernels/attention/attention_levels.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace attn::kernels::scalar {
namespace {

// Keys whose scores stand on the stack at once.
constexpr index_t block = 64;

/// A row of stored keys or values, a number at a time.
struct StoredRow {
  WeightType type;
  const std::byte* data;

  float operator[](index_t i) const {
    const auto* const bytes = reinterpret_cast<const uint8_t*>(data);
    if (type == WeightType::bf16) return bfloat_to_float(load_u16(bytes + i * BF16::bytes));
    const uint8_t* const at = bytes + i / Q8_0::weights * Q8_0::bytes;
    return load_half(at) * static_cast<float>(static_cast<int8_t>(at[2 + i % Q8_0::weights]));
  }
};

template <class T>
struct PlainRows {
  using Row = const T*;
  static Row key(const AttentionArgs<T>& a, index_t at) { return a.k.data + at; }
  static Row value(const AttentionArgs<T>& a, index_t at) { return a.v.data + at; }
};

template <class T>
struct StoredRows {
  using Row = StoredRow;
  static Row key(const AttentionArgs<T>& a, index_t at) {
    return {a.stored.type, a.stored.k + stored_bytes(a.stored.type, at)};
  }
  static Row value(const AttentionArgs<T>& a, index_t at) {
    return {a.stored.type, a.stored.v + stored_bytes(a.stored.type, at)};
  }
};

template <class T, class Row>
T dot(const T* x, Row y, index_t n) {
  T sum = 0;
  for (index_t i = 0; i < n; ++i) sum += x[i] * static_cast<T>(y[i]);
  return sum;
}

// What stands in for the maximum of a row that has seen nothing yet, so that −inf − max is −inf.
template <class T>
T reference_point(T max) {
  return max == -std::numeric_limits<T>::infinity() ? 0 : max;
}

template <class Rows, class T>
void attend_query(const AttentionArgs<T>& a, index_t b, index_t h, index_t i) {
  const index_t kv_head = h / (a.heads / a.kv_heads);
  const T* q = a.q.data + b * a.q.batch_stride + h * a.q.head_stride + i * a.q.row_stride;
  const index_t k = b * a.k.batch_stride + kv_head * a.k.head_stride;
  const index_t v = b * a.v.batch_stride + kv_head * a.v.head_stride;
  T* out = a.out.data + b * a.out.batch_stride + h * a.out.head_stride + i * a.out.row_stride;
  const T* mask = a.mask == nullptr ? nullptr
                                    : a.mask + b * a.mask_batch_stride + h * a.mask_head_stride +
                                          i * a.mask_row_stride;
  const index_t row = (b * a.heads + h) * a.q_len + i, seen = visible_keys(a, i);
  T* weights = a.weights == nullptr ? nullptr : a.weights + row * a.kv_len;

  T max = -std::numeric_limits<T>::infinity(), sum = 0;
  std::fill_n(out, a.value_dim, T(0));
  for (index_t begin = 0; begin < seen; begin += block) {
    const index_t count = std::min(block, seen - begin);
    T scores[block];
    T block_max = max;
    for (index_t j = 0; j < count; ++j) {
      scores[j] = a.scale * dot(q, Rows::key(a, k + (begin + j) * a.k.row_stride), a.head_dim);
      if (mask != nullptr) scores[j] += mask[begin + j];
      block_max = std::max(block_max, scores[j]);
    }
    if (weights != nullptr) std::copy_n(scores, count, weights + begin);
    const T from = reference_point(block_max), shrink = std::exp(max - from);
    max = block_max;
    sum *= shrink;
    for (index_t d = 0; d < a.value_dim; ++d) out[d] *= shrink;
    for (index_t j = 0; j < count; ++j) {
      const T p = std::exp(scores[j] - from);
      sum += p;
      const auto value = Rows::value(a, v + (begin + j) * a.v.row_stride);
      for (index_t d = 0; d < a.value_dim; ++d) out[d] += p * static_cast<T>(value[d]);
    }
  }

  const bool sees_nothing = sum == 0;
  for (index_t d = 0; d < a.value_dim; ++d) out[d] = sees_nothing ? 0 : out[d] / sum;
  if (a.log_sum_exp != nullptr) {
    a.log_sum_exp[row] =
        sees_nothing ? -std::numeric_limits<T>::infinity() : reference_point(max) + std::log(sum);
  }
  if (weights != nullptr) {
    for (index_t j = 0; j < seen; ++j) {
      weights[j] = sees_nothing ? 0 : std::exp(weights[j] - reference_point(max)) / sum;
    }
    std::fill(weights + seen, weights + a.kv_len, T(0));
  }
}

template <class T>
void attend_query(const AttentionArgs<T>& a, index_t b, index_t h, index_t i) {
  if (a.stored.type == WeightType::f32) return attend_query<PlainRows<T>>(a, b, h, i);
  attend_query<StoredRows<T>>(a, b, h, i);
}

}  // namespace

template <class T>
void attend_few(const AttentionArgs<T>& a, index_t b, index_t kv_head, T* /*room*/) {
  const index_t group = a.heads / a.kv_heads;
  for (index_t h = kv_head * group; h < (kv_head + 1) * group; ++h) {
    for (index_t i = 0; i < a.q_len; ++i) attend_query(a, b, h, i);
  }
}

template <class T>
void attend_rows(const AttentionArgs<T>& a, index_t b, index_t head, index_t begin, index_t end,
                 T* /*scratch*/) {
  for (index_t i = begin; i < end; ++i) attend_query(a, b, head, i);
}

template void attend_few(const AttentionArgs<float>&, index_t, index_t, float*);
template void attend_few(const AttentionArgs<double>&, index_t, index_t, double*);
template void attend_rows(const AttentionArgs<float>&, index_t, index_t, index_t, index_t, float*);
template void attend_rows(const AttentionArgs<double>&, index_t, index_t, index_t, index_t,
                          double*);

}  // namespace attn::kernels::scalar
