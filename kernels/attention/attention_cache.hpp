#pragma once

// Finding the way through keys and values that are stored in fewer bits.

#include "kernels/attention/attention.hpp"
#include "kernels/quant/blocks.hpp"

namespace attn::kernels {

/// Bytes of that many numbers, whole blocks, of bf16 or q8_0. Always inlined: the objects of
/// several ISA levels use it and may share no symbol.
[[gnu::always_inline]] constexpr index_t stored_bytes(WeightType type, index_t numbers) {
  return type == WeightType::q8_0 ? numbers / Q8_0::weights * Q8_0::bytes : numbers * BF16::bytes;
}

/// Lets the keys, and the values, begin so many numbers later.
template <class T>
[[gnu::always_inline]] constexpr void skip(AttentionArgs<T>& a, index_t of_keys,
                                           index_t of_values) {
  if (a.stored.type == WeightType::f32) {
    a.k.data += of_keys;
    a.v.data += of_values;
  } else {
    a.stored.k += stored_bytes(a.stored.type, of_keys);
    a.stored.v += stored_bytes(a.stored.type, of_values);
  }
}

/// Keys of a block that attention reads, packs or widens together.
inline constexpr index_t attention_block_keys = 128;

/// Floats in which a worker widens a block of stored keys, or of values; 0 where nothing is.
constexpr index_t attend_few_room(WeightType type, index_t head_dim, index_t value_dim) {
  if (type == WeightType::f32) return 0;
  return attention_block_keys * round_up(head_dim > value_dim ? head_dim : value_dim, 16);
}

}  // namespace attn::kernels
