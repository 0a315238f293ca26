#pragma once

#include "kernels/isa.hpp"
#include "kernels/quant/quant.hpp"
#include "kernels/workers.hpp"

#include <cstddef>
#include <cstdint>

namespace attn::kernels {

/// A tensor [batch, heads, rows, head_dim] with contiguous head_dim.
template <class T>
struct HeadsView {
  T* data = nullptr;
  index_t batch_stride = 0, head_stride = 0, row_stride = 0;
};

/// Keys and values that a cache keeps in fewer bits than attention computes with: bf16, or q8_0 in
/// blocks along head_dim and value_dim. f32: they are not stored so.
struct StoredKv {
  WeightType type = WeightType::f32;
  const std::byte *k = nullptr, *v = nullptr;
};

/// Scaled dot-product attention (Vaswani et al. 2017) with grouped key/value heads (GQA):
///   s[i, j] = scale · q_i · k_j + mask[i, j];  w = softmax_j(s);  out_i = Σ_j w[i, j] v_j
/// q and out have `heads`, k and v `kv_heads` heads (heads a multiple of kv_heads; head h reads
/// h / (heads / kv_heads)). With `causal`, query i stands at position i + kv_len − q_len and sees
/// the keys j ≤ its position. A query that sees nothing gets weights 0 and output 0.
/// What causality hides may hold anything; a key that only the mask's −inf hides weighs 0, but 0
/// times a NaN value is NaN. A NaN or +inf among its scores makes a query's results NaN and no
/// other's.
template <class T>
struct AttentionArgs {
  index_t batch = 1, heads = 1, kv_heads = 1;
  index_t q_len = 0, kv_len = 0, head_dim = 0, value_dim = 0;
  T scale = 1;
  bool causal = false;
  /// Sliding window, with causal and without mask: the query at position p sees the keys in
  /// (p − window, p]. 0: none.
  index_t window = 0;
  /// Products of more than a few queries may round their operands to bfloat16, where the CPU
  /// multiplies that faster; sums and softmax stay f32.
  bool bf16 = false;
  HeadsView<const T> q, k, v;
  HeadsView<T> out;
  /// Where the type is not f32, keys and values stand here, k.data and v.data are null, and the
  /// strides of k and v, in numbers (for q8_0 multiples of 32, as the dimensions are), lead through
  /// these. The results are those of the numbers that are stored, to the bit.
  StoredKv stored;
  /// Additive mask: element (b, h, i, j) at mask[b·mask_batch_stride + h·mask_head_stride +
  /// i·mask_row_stride + j]; a stride of 0 shares it. Null: none.
  const T* mask = nullptr;
  index_t mask_batch_stride = 0, mask_head_stride = 0, mask_row_stride = 0;
  /// Where the weights go: contiguous [batch, heads, q_len, kv_len]; null: they are never
  /// materialised, and the tiled kernel with online softmax runs (Milakov & Gimelshein 2018, Dao
  /// 2022).
  T* weights = nullptr;
  /// log Σ exp of each row's scores, contiguous [batch, heads, q_len], for the backward pass; −inf
  /// for a row that sees nothing. May be null.
  T* log_sum_exp = nullptr;
  /// attention_scratch_bytes() bytes, 64-byte aligned; may be null where that is 0.
  void* scratch = nullptr;
};

[[nodiscard]] std::size_t attention_scratch_bytes(Isa isa, int workers, index_t batch,
                                                  index_t heads, index_t kv_heads, index_t q_len,
                                                  index_t kv_len, index_t head_dim,
                                                  index_t value_dim,
                                                  WeightType stored = WeightType::f32);

/// NMSE ≤ 1e-10 (float), with bf16 ≤ 1e-4. For q_len ≤ 8 a query's bits do not depend on the
/// queries beside it.
template <class T>
void attention(Isa isa, Workers& workers, const AttentionArgs<T>& args);

/// The same over `count` sequences of different lengths that lie one after the other in the rows of
/// q, k, v and out: sequence s has the rows [starts[s], starts[s + 1]), and sees only them. batch
/// is 1, q_len and kv_len are the rows of all; no mask, weights, window or stored keys. Nothing is
/// padded: of log_sum_exp, sequence s has the block [heads, its rows] from heads · starts[s] on.
template <class T>
void attention_sequences(Isa isa, Workers& workers, const AttentionArgs<T>& args, index_t count,
                         const std::int32_t* starts);

/// Rows that follow each other and belong to one sequence, whose keys and values lie in a slot of a
/// cache: the rows [first, first + rows) are the last of the sequence's `length` positions.
struct CacheRun {
  std::int32_t first = 0, rows = 0, slot = 0, length = 0;
};

/// Causal attention of runs of different sequences, each to its own slot's keys and values, which
/// k and v have as batch entries; batch is 1 otherwise, q_len the rows of all, kv_len a slot's
/// capacity; no mask, weights or log_sum_exp. A row's bits are those it has in attention() of its
/// run alone. scratch: attention_runs_scratch_bytes().
template <class T>
void attention_runs(Isa isa, Workers& workers, const AttentionArgs<T>& args, index_t count,
                    const CacheRun* runs);

/// For that many rows at most, in that many runs at most.
[[nodiscard]] std::size_t attention_runs_scratch_bytes(Isa isa, int workers, index_t heads,
                                                       index_t kv_heads, index_t rows, index_t runs,
                                                       index_t capacity, index_t head_dim,
                                                       index_t value_dim,
                                                       WeightType stored = WeightType::f32);

/// Gradients of attention: recomputes the weights from q, k and log_sum_exp, so nothing of size
/// q_len × kv_len is kept. Not of stored keys. All gradients are overwritten. dweights: gradient
/// with respect to handed-out weights, contiguous [batch, heads, q_len, kv_len], or null.
template <class T>
struct AttentionBackwardArgs {
  AttentionArgs<T> forward;  ///< as in the forward call; out and log_sum_exp hold its results
  HeadsView<const T> dout;   ///< data may be null (a loss on the weights alone)
  const T* dweights = nullptr;
  HeadsView<T> dq, dk, dv;  ///< shaped like q, k, v
  void* scratch = nullptr;  ///< attention_backward_scratch_bytes() bytes, 64-byte aligned
};

[[nodiscard]] std::size_t attention_backward_scratch_bytes(Isa isa, int workers, index_t batch,
                                                           index_t heads, index_t kv_heads,
                                                           index_t q_len, index_t kv_len,
                                                           index_t head_dim, index_t value_dim);

template <class T>
void attention_backward(Isa isa, Workers& workers, const AttentionBackwardArgs<T>& args);

/// The same over the sequences of attention_sequences(); no dweights. scratch:
/// attention_backward_scratch_bytes() for the rows of all, or for the longest.
template <class T>
void attention_backward_sequences(Isa isa, Workers& workers, const AttentionBackwardArgs<T>& args,
                                  index_t count, const std::int32_t* starts);

}  // namespace attn::kernels
