#pragma once

// Every op's definition, each in the file of its name.

#include "runtime/op.hpp"

#include <memory>

namespace attn::runtime {

/// OpDef::bind of a kernel that is made of its context.
template <class K>
std::unique_ptr<Kernel> make(const BindContext& context) {
  return std::make_unique<K>(context);
}

extern const OpDef matmul_op;
extern const OpDef head_loss_op;
extern const OpDef softmax_op, softmax_backward_op;
extern const OpDef attention_op, attention_backward_op, attention_runs_op;
extern const OpDef layer_norm_op, layer_norm_backward_op;
extern const OpDef rms_norm_op, rms_norm_backward_op;
extern const OpDef unary_op, unary_backward_op;
extern const OpDef binary_op;
extern const OpDef affine_op;
extern const OpDef reduce_op, broadcast_op;
extern const OpDef sum_columns_op, repeat_rows_op;
extern const OpDef dot_op, scaled_by_op;
extern const OpDef gather_op, scatter_add_op;
extern const OpDef mean_rows_op, spread_rows_op;
extern const OpDef copy_op, transpose_op, slice_op, reshape_op, pad_op;
extern const OpDef rope_table_op, rope_op;
extern const OpDef gated_silu_op, gated_silu_backward_op;
extern const OpDef dropout_op;
extern const OpDef append_op, append_runs_op;
extern const OpDef adam_op, accumulate_op, squared_norm_op;
extern const OpDef projections_op;  // made of others, in sessions alone

}  // namespace attn::runtime
