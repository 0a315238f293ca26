#include "kernels/attention/attention_pairs.hpp"

#include <algorithm>

namespace attn::kernels {

// Handed-out weights and what a backward pass reads are f32-grade.
bool takes_pairs(Isa isa, const AttentionArgs<float>& a) {
  return a.bf16 && has_dot_products(isa) && a.weights == nullptr && a.log_sum_exp == nullptr;
}

void attend_pairs(Isa isa, const AttentionArgs<float>& a, index_t b, index_t kv_head, index_t begin,
                  index_t end, void* scratch) {
  const PairsKernels kernels{isa == Isa::amx ? amx::multiply_pairs : avx512_dot::multiply_pairs,
                             avx512_dot::round_row, avx512_dot::pack_key_pairs,
                             avx512_dot::pack_value_pairs};
  if (avx512::attend_pairs(a, b, kv_head, begin, end, kernels, scratch)) return;
  const index_t group = a.heads / a.kv_heads;
  for (index_t h = kv_head * group; h < (kv_head + 1) * group; ++h) {
    for (index_t i = begin; i < end; i += attention_chunk_queries) {
      avx512::attend_rows(a, b, h, i, std::min(end, i + attention_chunk_queries),
                          static_cast<float*>(scratch));
    }
  }
}

}  // namespace attn::kernels
