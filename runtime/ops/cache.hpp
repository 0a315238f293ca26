#pragma once

// What attention's ops ask of keys and values that a cache may hold in fewer bits.

#include "kernels/attention/attention.hpp"
#include "runtime/op.hpp"

namespace attn::runtime {

/// Requires that keys and values, inputs 1 and 2, have one type: q's, input 0's; or, where that is
/// F32, another type of a cache, of whose blocks every head has whole ones.
void require_keys(const InferContext& c, int kv_heads);

/// Keys and values for the kernels, if they are in fewer bits.
[[nodiscard]] kernels::StoredKv stored_kv(const TensorView& k, const TensorView& v);

}  // namespace attn::runtime
