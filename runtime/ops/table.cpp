#include "runtime/ops.hpp"
#include "runtime/ops/defs.hpp"

#include <array>

namespace attn::runtime {

std::span<const OpDef* const> all_ops() noexcept {
  static constexpr std::array table{&matmul_op,
                                    &head_loss_op,
                                    &softmax_op,
                                    &softmax_backward_op,
                                    &attention_op,
                                    &attention_backward_op,
                                    &attention_runs_op,
                                    &layer_norm_op,
                                    &layer_norm_backward_op,
                                    &rms_norm_op,
                                    &rms_norm_backward_op,
                                    &unary_op,
                                    &unary_backward_op,
                                    &binary_op,
                                    &affine_op,
                                    &reduce_op,
                                    &broadcast_op,
                                    &sum_columns_op,
                                    &repeat_rows_op,
                                    &dot_op,
                                    &scaled_by_op,
                                    &gather_op,
                                    &scatter_add_op,
                                    &mean_rows_op,
                                    &spread_rows_op,
                                    &copy_op,
                                    &transpose_op,
                                    &slice_op,
                                    &reshape_op,
                                    &pad_op,
                                    &rope_table_op,
                                    &rope_op,
                                    &gated_silu_op,
                                    &gated_silu_backward_op,
                                    &dropout_op,
                                    &append_op,
                                    &append_runs_op,
                                    &adam_op,
                                    &accumulate_op,
                                    &squared_norm_op};
  return table;
}

}  // namespace attn::runtime
