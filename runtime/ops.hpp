#pragma once

// The ops as functions that add a node to a graph and return its value. Shapes are written
// [.., rows, cols]: ".." stands for any outer dimensions. All take and give F32, or F64 throughout
// (for the truth); ids are I32. Each throws Error(invalid) that names the op and the shapes if they
// do not fit.

#include "kernels/elementwise/elementwise.hpp"
#include "kernels/reduce/reduce.hpp"
#include "kernels/rope/rope.hpp"
#include "runtime/graph.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace attn::runtime {

struct MatmulAttributes {
  bool transpose_a = false, transpose_b = false;
  double alpha = 1;
  std::optional<kernels::Unary> activation = std::nullopt;
  /// Both operands as matrices, their outer dimensions together as rows: the gradient of a
  /// projection.
  bool flatten = false;
};

/// alpha · a · b (+ bias), then the activation. b [k, n] serves all outer rows of a [.., m, k]; a
/// [batch, m, k] with b [batch, k, n] multiplies pairwise. Each may be transposed in its last two
/// dimensions; y = x Wᵀ is transpose_b. bias [n] or none.
ValueId matmul(Graph& graph, ValueId a, ValueId b, MatmulAttributes attributes = {},
               ValueId bias = ValueId::none);

/// y = x Wᵀ + bias: x [.., k], weight [n, k], bias [n] or none.
ValueId linear(Graph& graph, ValueId x, ValueId weight, ValueId bias = ValueId::none);

struct HeadLossAttributes {
  double alpha = 1;
};

/// A language model's head with its cross-entropy, in chunks of rows, so that logits never stand
/// whole: scale · Σ −log softmax(alpha · x_i Wᵀ)[targets_i] over the rows with a target → []. x
/// [tokens, d], weight W [vocab, d] (or a stored weight, into which no gradient flows), targets I32
/// [tokens], −1 where there is nothing to predict, scale F64 [1]. Where vocab is a symbol, W is no
/// vocabulary but some thousand rows at most (texts to be told from each other), and all rows are
/// one chunk. The sum is taken in float64, in the order of the rows. What the gradients need is
/// computed in the same pass. A run throws Error(invalid) on a target that is neither −1 nor in
/// 0..vocab − 1. No gradient flows into scale.
ValueId head_loss(Graph& graph, ValueId x, ValueId weight, ValueId targets, ValueId scale,
                  HeadLossAttributes attributes = {});

struct SoftmaxAttributes {
  double scale = 1;
  bool causal = false;
};

/// softmax(scale · x + mask) over the last dimension of x [.., rows, cols]; mask [rows, cols] or
/// [cols] or none. causal: row r sees the columns c ≤ r + cols − rows. A row that sees nothing is
/// 0.
ValueId softmax(Graph& graph, ValueId x, SoftmaxAttributes attributes = {},
                ValueId mask = ValueId::none);

struct AttentionAttributes {
  int heads = 1, kv_heads = 1;
  std::optional<double> scale = std::nullopt;  ///< none: 1/√head_dim
  bool causal = false;
  /// Sliding window (Mistral): the query at position p sees the keys in (p − window, p]; 0: none.
  /// Needs causal, and takes no mask.
  int window = 0;
};

struct AttentionValues {
  ValueId output;   ///< [.., n, heads · value_dim]
  ValueId weights;  ///< [.., heads, n, m]; materialised only if something uses it
};

/// Scaled dot-product attention over heads that lie side by side in the last dimension: q [.., n,
/// heads · d], k [.., m, kv_heads · d], v [.., m, kv_heads · e], mask [n, m] or none, at most one
/// outer dimension. sequences I32 [count + 1] or none: the rows of q, k and v [n, ..] are sequences
/// one after the other, of which s has the rows from sequences[s] to before sequences[s + 1] and
/// sees only those; a run throws Error(invalid) unless they rise from 0 to n, and no weights are
/// handed out. k and v are numbers like q, or beside an F32 q both BF16 or Q8_0, as a cache holds
/// them; no gradient flows then.
AttentionValues attention(Graph& graph, ValueId q, ValueId k, ValueId v,
                          AttentionAttributes attributes, ValueId mask = ValueId::none,
                          ValueId sequences = ValueId::none);

/// Causal attention of several sequences, whose keys and values lie in slots of a cache: q [rows,
/// heads · d], k [slots, capacity, kv_heads · d], v [slots, capacity, kv_heads · e] → [rows, heads
/// · e]. runs I32 [runs, 4]: first row, rows, slot, length; the rows are the last of the `length`
/// positions of the sequence in that slot. Types as of attention(). A run throws Error(invalid)
/// unless they follow each other through all rows and fit the cache.
ValueId attention_runs(Graph& graph, ValueId q, ValueId k, ValueId v, ValueId runs,
                       AttentionAttributes attributes);

/// Over the last dimension of x [.., cols]; gamma, beta [cols] or none.
ValueId layer_norm(Graph& graph, ValueId x, ValueId gamma, ValueId beta, double eps);
ValueId rms_norm(Graph& graph, ValueId x, ValueId gamma, double eps);

ValueId unary(Graph& graph, kernels::Unary function, ValueId x);

/// a op b, elementwise; b has a's shape or is one row [cols].
ValueId binary(Graph& graph, kernels::Binary op, ValueId a, ValueId b);
ValueId add(Graph& graph, ValueId a, ValueId b);

/// scale · x + shift.
ValueId affine(Graph& graph, ValueId x, double scale, double shift);

/// Over the last dimension: [.., cols] → [..].
ValueId reduce(Graph& graph, kernels::Reduce op, ValueId x);

/// Over all but the last dimension: [.., cols] → [cols].
ValueId sum_columns(Graph& graph, ValueId x);

/// Σ x · w over all elements of two values of one shape → []. No gradient flows into w.
ValueId dot(Graph& graph, ValueId x, ValueId w);

/// silu(gate) · up, elementwise.
ValueId gated_silu(Graph& graph, ValueId gate, ValueId up);

struct DropoutAttributes {
  double rate = 0;         ///< in [0, 1)
  std::uint64_t seed = 0;  ///< different from place to place of a graph
};

/// x / (1 − rate), each element 0 instead with a chance of rate; counter I32 [1], another number in
/// each run, decides which together with the seed. The same bits at every level and on any number
/// of threads.
ValueId dropout(Graph& graph, ValueId x, ValueId counter, DropoutAttributes attributes);

/// The angles of a run: positions I32 [tokens] → [tokens, 4 · frequencies], for rope() with the
/// same layout in all layers. A position p is turned by p · frequency; see kernels/rope/rope.hpp.
ValueId rope_table(Graph& graph, ValueId positions, std::vector<double> frequencies,
                   kernels::RopeLayout layout, DType dtype = DType::f32);

struct RopeAttributes {
  int heads = 1;
  kernels::RopeLayout layout = kernels::RopeLayout::half;
};

/// Rotary position embedding of x [tokens, heads · head_dim]; what of a head the table has no
/// angles for stays. No gradient flows into the table.
ValueId rope(Graph& graph, ValueId x, ValueId table, RopeAttributes attributes);

/// The first `length` rows of `state` [capacity, width] after the new rows [count, width] were
/// written to their end, rounded as kernels::store_in_cache() does where the rows are F32 and the
/// state is BF16 or Q8_0. What reads the state afterwards reads this value. A resize throws
/// Error(invalid) where count > length.
ValueId append(Graph& graph, ValueId state, ValueId rows, Dim length);

/// `state` [slots, capacity, width] after the new rows [count, width] were written to the ends of
/// the runs, which are as for attention_runs(); rounded as by append().
ValueId append_runs(Graph& graph, ValueId state, ValueId rows, ValueId runs);

/// table[ids]: table [vocab, cols], ids [count] (I32) → [count, cols]. A run throws Error(invalid)
/// on an id outside the table.
ValueId gather(Graph& graph, ValueId table, ValueId ids);

/// The mean of each sequence's rows: x [rows, cols], sequences I32 [count + 1] as for attention() →
/// [count, cols], summed in float64; zeros for a sequence without rows. A resize throws
/// Error(invalid) where sequences are not one more than `count`, a run where they do not rise from
/// 0 to rows.
ValueId mean_rows(Graph& graph, ValueId x, ValueId sequences, Dim count);

/// A contiguous copy.
ValueId copy(Graph& graph, ValueId x);

/// Views: no data moves.
ValueId transpose(Graph& graph, ValueId x, int dim_a, int dim_b);
/// `length` elements of a constant dimension `dim` from `start` on.
ValueId slice(Graph& graph, ValueId x, int dim, std::int64_t start, std::int64_t length);
/// The first or the last `length` elements of a dimension; both may be symbolic. Session::resize
/// throws Error(invalid) if there are fewer.
ValueId first(Graph& graph, ValueId x, int dim, Dim length);
ValueId last(Graph& graph, ValueId x, int dim, Dim length);
/// The same elements in another shape. Symbolic dimensions keep their number and order.
ValueId reshape(Graph& graph, ValueId x, Shape shape);

struct AdamAttributes {
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0;
};

/// One update of `parameter` (a weight) in place; its moments become states of the graph. step: I32
/// [1], counted from 1; rate: F64 [1]; scale: F64 [1], by which the gradient is multiplied first,
/// or none. Returns the updated parameter: fetch it to have the update run.
ValueId adam(Graph& graph, ValueId parameter, ValueId gradient, ValueId step, ValueId rate,
             AdamAttributes attributes = {}, ValueId scale = ValueId::none);

/// `state` + gradient, of its shape and type, in place: the gradient of several runs. What reads
/// the sum afterwards reads this value.
ValueId accumulate(Graph& graph, ValueId state, ValueId gradient);

/// Σ x² over all elements → F64 [], summed in float64, with the same bits on any number of threads.
ValueId squared_norm(Graph& graph, ValueId x);

/// Every op there is, for tests and documentation.
[[nodiscard]] std::span<const OpDef* const> all_ops() noexcept;

}  // namespace attn::runtime
