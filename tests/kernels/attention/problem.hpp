#pragma once

#include "kernels/attention/attention.hpp"
#include "support/numbers.hpp"

#include <cmath>
#include <limits>
#include <vector>

namespace attn::test {

using kernels::index_t;

/// 64-byte aligned, exactly as large as asked (asan then sees a step too far), filled with NaN:
/// what a kernel has not written it may not use.
class Scratch {
 public:
  explicit Scratch(std::size_t bytes)
      : bytes_(bytes), data_(bytes == 0 ? nullptr : ::operator new(bytes, std::align_val_t(64))) {
    if (bytes > 0) std::memset(data_, 0xff, bytes);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    if (bytes_ > 0) ::operator delete(data_, std::align_val_t(64));
  }
  [[nodiscard]] void* data() const { return data_; }

 private:
  std::size_t bytes_;
  void* data_;
};

/// One attention call and everything it reads and writes, in a layout of the test's own: tensors
/// [batch, rows, heads, dim], so that heads are interleaved, each starting one element into its
/// buffer, so that nothing is aligned.
template <class T>
struct Problem {
  index_t batch = 1, heads = 1, kv_heads = 1, q_len = 1, kv_len = 1, head_dim = 1, value_dim = 1;
  bool causal = false;
  bool masked = false;  ///< an additive mask [batch, 1, q_len, kv_len] (shared by the heads)
  bool with_weights = false;
  double scale = 0.5;
  std::vector<T> q{}, k{}, v{}, mask{}, out{}, weights{}, lse{}, dout{}, dweights{};
  std::vector<T> dq{}, dk{}, dv{};

  void fill(std::uint32_t seed) {
    const auto make = [&](index_t n, double size) {
      return converted<T>(
          random_values<float>(static_cast<std::size_t>(n + 1), ++seed, -size, size));
    };
    q = make(batch * heads * q_len * head_dim, 2);
    k = make(batch * kv_heads * kv_len * head_dim, 2);
    v = make(batch * kv_heads * kv_len * value_dim, 1);
    if (masked) mask = make(batch * q_len * kv_len, 3);
    dout = make(batch * heads * q_len * value_dim, 1);
    out.assign(dout.size(), T(7));
    dweights = make(batch * heads * q_len * kv_len - 1, 1);
    dq.assign(q.size(), T(7));
    dk.assign(k.size(), T(7));
    dv.assign(v.size(), T(7));
    lse.assign(static_cast<std::size_t>(batch * heads * q_len), T(7));
    if (with_weights) weights.assign(dweights.size(), T(7));
  }

  template <class To>
  Problem<To> as() const {
    return {batch,
            heads,
            kv_heads,
            q_len,
            kv_len,
            head_dim,
            value_dim,
            causal,
            masked,
            with_weights,
            scale,
            converted<To>(q),
            converted<To>(k),
            converted<To>(v),
            converted<To>(mask),
            converted<To>(out),
            converted<To>(weights),
            converted<To>(lse),
            converted<To>(dout),
            converted<To>(dweights),
            converted<To>(dq),
            converted<To>(dk),
            converted<To>(dv)};
  }

  template <class U>
  static kernels::HeadsView<U> view(U* data, index_t n_heads, index_t rows, index_t dim) {
    return {data + 1, rows * n_heads * dim, dim, n_heads * dim};
  }

  kernels::AttentionArgs<T> args() {
    kernels::AttentionArgs<T> a;
    a.batch = batch;
    a.heads = heads;
    a.kv_heads = kv_heads;
    a.q_len = q_len;
    a.kv_len = kv_len;
    a.head_dim = head_dim;
    a.value_dim = value_dim;
    a.scale = static_cast<T>(scale);
    a.causal = causal;
    a.q = view<const T>(q.data(), heads, q_len, head_dim);
    a.k = view<const T>(k.data(), kv_heads, kv_len, head_dim);
    a.v = view<const T>(v.data(), kv_heads, kv_len, value_dim);
    a.out = view<T>(out.data(), heads, q_len, value_dim);
    if (masked) {
      a.mask = mask.data() + 1;
      a.mask_batch_stride = q_len * kv_len;
      a.mask_row_stride = kv_len;
    }
    if (with_weights) a.weights = weights.data();
    a.log_sum_exp = lse.data();
    return a;
  }

  kernels::AttentionBackwardArgs<T> backward_args(bool use_dout, bool use_dweights) {
    kernels::AttentionBackwardArgs<T> a;
    a.forward = args();
    if (use_dout) a.dout = view<const T>(dout.data(), heads, q_len, value_dim);
    if (use_dweights) a.dweights = dweights.data();
    a.dq = view<T>(dq.data(), heads, q_len, head_dim);
    a.dk = view<T>(dk.data(), kv_heads, kv_len, head_dim);
    a.dv = view<T>(dv.data(), kv_heads, kv_len, value_dim);
    return a;
  }

  void run(kernels::Isa isa, kernels::Workers& workers) { run(isa, workers, args()); }

  /// The same with arguments changed.
  static void run(kernels::Isa isa, kernels::Workers& workers, kernels::AttentionArgs<T> a) {
    const Scratch scratch(kernels::attention_scratch_bytes(isa, workers.size(), a.batch, a.heads,
                                                           a.kv_heads, a.q_len, a.kv_len,
                                                           a.head_dim, a.value_dim, a.stored.type));
    a.scratch = scratch.data();
    kernels::attention(isa, workers, a);
  }

  void run_backward(kernels::Isa isa, kernels::Workers& workers, bool use_dout, bool use_dweights) {
    auto a = backward_args(use_dout, use_dweights);
    const Scratch scratch(kernels::attention_backward_scratch_bytes(
        isa, workers.size(), batch, heads, kv_heads, q_len, kv_len, head_dim, value_dim));
    a.scratch = scratch.data();
    kernels::attention_backward(isa, workers, a);
  }
};

/// Rows of several sequences, causal, against slots of a cache, everything without gaps.
struct InSlots {
  index_t heads, kv_heads, rows, capacity, dim;

  [[nodiscard]] kernels::AttentionArgs<float> args(const float* q, const float* k, const float* v,
                                                   float* out, index_t window) const {
    kernels::AttentionArgs<float> a;
    a.heads = heads;
    a.kv_heads = kv_heads;
    a.q_len = rows;
    a.kv_len = capacity;
    a.head_dim = a.value_dim = dim;
    a.scale = 0.3F;
    a.window = window;
    a.causal = true;
    a.q = {q, 0, dim, heads * dim};
    a.k = {k, capacity * kv_heads * dim, dim, kv_heads * dim};
    a.v = {v, capacity * kv_heads * dim, dim, kv_heads * dim};
    a.out = {out, 0, dim, heads * dim};
    return a;
  }
};

/// The definition, written out in float64 with the whole score matrix: what the kernels, the scalar
/// ones included, are held against.
inline Problem<double> defined(Problem<double> p) {
  const auto a = p.args();
  p.with_weights = true;
  p.weights.assign(p.dweights.size(), 0);
  const index_t group = p.heads / p.kv_heads;
  for (index_t b = 0; b < p.batch; ++b) {
    for (index_t h = 0; h < p.heads; ++h) {
      for (index_t i = 0; i < p.q_len; ++i) {
        const double* q =
            a.q.data + b * a.q.batch_stride + h * a.q.head_stride + i * a.q.row_stride;
        const index_t row = (b * p.heads + h) * p.q_len + i;
        double* w = p.weights.data() + row * p.kv_len;
        std::vector<double> s(static_cast<std::size_t>(p.kv_len));
        double max = -std::numeric_limits<double>::infinity(), sum = 0;
        index_t seen = 0;
        for (index_t j = 0; j < p.kv_len; ++j) {
          if (p.causal && j > i + p.kv_len - p.q_len) break;
          const double* k =
              a.k.data + b * a.k.batch_stride + h / group * a.k.head_stride + j * a.k.row_stride;
          double& score = s[static_cast<std::size_t>(j)];
          for (index_t d = 0; d < p.head_dim; ++d) score += q[d] * k[d];
          score *= a.scale;
          if (a.mask != nullptr) {
            score += a.mask[b * a.mask_batch_stride + h * a.mask_head_stride +
                            i * a.mask_row_stride + j];
          }
          max = std::max(max, score);
          ++seen;
        }
        const bool blind = max == -std::numeric_limits<double>::infinity();
        for (index_t j = 0; j < seen; ++j) {
          w[j] = blind ? 0 : std::exp(s[static_cast<std::size_t>(j)] - max);
          sum += w[j];
        }
        for (index_t j = 0; j < seen && !blind; ++j) w[j] /= sum;
        p.lse[static_cast<std::size_t>(row)] =
            blind ? -std::numeric_limits<double>::infinity() : max + std::log(sum);
        double* out =
            a.out.data + b * a.out.batch_stride + h * a.out.head_stride + i * a.out.row_stride;
        for (index_t d = 0; d < p.value_dim; ++d) {
          out[d] = 0;
          for (index_t j = 0; j < seen && !blind; ++j) {
            out[d] += w[j] * a.v.data[b * a.v.batch_stride + h / group * a.v.head_stride +
                                      j * a.v.row_stride + d];
          }
        }
      }
    }
  }
  return p;
}

}  // namespace attn::test
