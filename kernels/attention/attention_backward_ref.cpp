// Backward, the scalar truth. With P the weights, recomputed as exp(s − log_sum_exp):
//   dP = dout Vᵀ + dweights;  dS = P ∘ (dP − D), D_i = Σ_j P_ij dP_ij
//   dQ = scale dS K;  dK = scale dSᵀ Q;  dV = Pᵀ dout
// D without dweights is dout_i · out_i, which needs no pass over the keys (Dao 2022).

#include "kernels/attention/attention_levels.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace attn::kernels::scalar {
namespace {

template <class T>
T dot(const T* x, const T* y, index_t n) {
  T sum = 0;
  for (index_t i = 0; i < n; ++i) sum += x[i] * y[i];
  return sum;
}

template <class T>
void add_scaled(T factor, const T* x, T* y, index_t n) {
  for (index_t i = 0; i < n; ++i) y[i] += factor * x[i];
}

template <class T, class View>
auto* head_of(const View& view, index_t b, index_t h) {
  return view.data == nullptr ? nullptr : view.data + b * view.batch_stride + h * view.head_stride;
}

template <class T>
void clear(const HeadsView<T>& view, index_t b, index_t h, index_t rows, index_t cols) {
  for (index_t i = 0; i < rows; ++i) {
    std::fill_n(head_of<T>(view, b, h) + i * view.row_stride, cols, T(0));
  }
}

template <class T>
void query_backward(const AttentionBackwardArgs<T>& a, index_t b, index_t h, index_t i) {
  const AttentionArgs<T>& f = a.forward;
  const index_t kv_head = h / (f.heads / f.kv_heads), row = (b * f.heads + h) * f.q_len + i;
  const index_t seen = visible_keys(f, i);
  const T lse = f.log_sum_exp[row];
  if (lse == -std::numeric_limits<T>::infinity()) return;  // weights that are 0 whatever changes
  const T* q = head_of<T>(f.q, b, h) + i * f.q.row_stride;
  const T* k = head_of<T>(f.k, b, kv_head);
  const T* v = head_of<T>(f.v, b, kv_head);
  const T* dout =
      a.dout.data == nullptr ? nullptr : head_of<T>(a.dout, b, h) + i * a.dout.row_stride;
  const T* dweights = a.dweights == nullptr ? nullptr : a.dweights + row * f.kv_len;
  const T* mask = f.mask == nullptr ? nullptr
                                    : f.mask + b * f.mask_batch_stride + h * f.mask_head_stride +
                                          i * f.mask_row_stride;
  T* dq = head_of<T>(a.dq, b, h) + i * a.dq.row_stride;
  T* dk = head_of<T>(a.dk, b, kv_head);
  T* dv = head_of<T>(a.dv, b, kv_head);

  const auto weight = [&](index_t j) {
    T s = f.scale * dot(q, k + j * f.k.row_stride, f.head_dim);
    if (mask != nullptr) s += mask[j];
    return std::exp(s - lse);
  };
  T mean = 0;  // D
  if (dout != nullptr) {
    mean += dot(dout, head_of<T>(f.out, b, h) + i * f.out.row_stride, f.value_dim);
  }
  if (dweights != nullptr) {
    for (index_t j = 0; j < seen; ++j) mean += weight(j) * dweights[j];
  }
  for (index_t j = 0; j < seen; ++j) {
    const T p = weight(j);
    T dp = dweights != nullptr ? dweights[j] : 0;
    if (dout != nullptr) {
      dp += dot(dout, v + j * f.v.row_stride, f.value_dim);
      add_scaled(p, dout, dv + j * a.dv.row_stride, f.value_dim);
    }
    const T ds = f.scale * (p * (dp - mean));
    add_scaled(ds, k + j * f.k.row_stride, dq, f.head_dim);
    add_scaled(ds, q, dk + j * a.dk.row_stride, f.head_dim);
  }
}

}  // namespace

template <class T>
void attend_backward(const AttentionBackwardArgs<T>& a, index_t b, index_t kv_head,
                     T* /*scratch*/) {
  const AttentionArgs<T>& f = a.forward;
  const index_t group = f.heads / f.kv_heads;
  clear(a.dk, b, kv_head, f.kv_len, f.head_dim);
  clear(a.dv, b, kv_head, f.kv_len, f.value_dim);
  for (index_t h = kv_head * group; h < (kv_head + 1) * group; ++h) {
    clear(a.dq, b, h, f.q_len, f.head_dim);
    for (index_t i = 0; i < f.q_len; ++i) query_backward(a, b, h, i);
  }
}

template void attend_backward(const AttentionBackwardArgs<float>&, index_t, index_t, float*);
template void attend_backward(const AttentionBackwardArgs<double>&, index_t, index_t, double*);

}  // namespace attn::kernels::scalar
