#pragma once

// Forward for many queries with products of bfloat16 in pairs, where a CPU has them.

#include "kernels/attention/attention_levels.hpp"
#include "kernels/tiles/pairs.hpp"
#include "kernels/tiles/tiles_levels.hpp"

#include <cstdint>

namespace attn::kernels {

/// Queries of one head that pass over a block of keys together: two of amx's tiles, and their
/// scores and rounded weights are 26 KiB.
inline constexpr index_t pairs_tile = 32;

/// Queries of each head in a chunk of work: of all heads that share a key/value head some 256, for
/// which a block of keys and values is packed once. Always inlined, as what follows: the objects of
/// several ISA levels use it and may share no symbol.
[[gnu::always_inline]] constexpr index_t pairs_queries(index_t group) {
  return 256 / group < 2 * pairs_tile ? pairs_tile : 256 / group / pairs_tile * pairs_tile;
}

/// Where the parts of one worker's scratch begin, in bytes.
struct PairsScratch {
  static constexpr index_t query_bytes = 128;  ///< room for what is kept of a query
  index_t queries = 0;
  index_t rounded, center, keys, values, scores, weights, widened, bytes;

  [[gnu::always_inline]] constexpr PairsScratch(index_t group, index_t head_dim, index_t value_dim)
      : rounded(queries + group * pairs_queries(group) * query_bytes),
        center(rounded + group * pairs_queries(group) * pairs_row(round_up(head_dim, 32)) * 2),
        keys(center + round_up(head_dim, 32) * 4),
        values(keys + attention_block_keys * round_up(head_dim, 32) * 2),
        scores(values + attention_block_keys * round_up(value_dim, 32) * 2),
        weights(scores + pairs_tile * attention_block_keys * 4),
        widened(weights + pairs_tile * pairs_row(attention_block_keys) * 2),
        bytes(widened + attention_block_keys *
                            round_up(head_dim > value_dim ? head_dim : value_dim, 16) * 4) {}
};

/// Up to attention_block_keys rows of keys [count, dim], less `center` [round_up(dim, 32)], as
/// panels of 32 keys, each [round_up(dim, 32) / 2 pairs, 32 keys, 2]; what is not there is 0 or
/// less the center.
using PackKeyPairs = void (*)(index_t count, index_t dim, const float* from, index_t row,
                              const float* center, std::uint16_t* to);

/// Up to attention_block_keys rows of values [count, dim] as panels of 32 dimensions, each
/// [attention_block_keys / 2 pairs, 32 dimensions, 2], as far as count rounded up to 32; what is
/// not there is 0. Says whether all are finite.
using PackValuePairs = bool (*)(index_t count, index_t dim, const float* from, index_t row,
                                std::uint16_t* to);

struct PairsKernels {
  MultiplyPairs multiply;
  RoundRow round;
  PackKeyPairs pack_keys;
  PackValuePairs pack_values;
};

/// May this call take products of bfloat16?
[[nodiscard]] bool takes_pairs(Isa isa, const AttentionArgs<float>& a);

/// The queries [begin, end) of all heads of one key/value head. scratch: PairsScratch's bytes, or
/// attend_rows_scratch() floats if that is more, 64-byte aligned.
void attend_pairs(Isa isa, const AttentionArgs<float>& a, index_t b, index_t kv_head, index_t begin,
                  index_t end, void* scratch);

namespace avx512_dot {
void pack_key_pairs(index_t count, index_t dim, const float* from, index_t row, const float* center,
                    std::uint16_t* to);
bool pack_value_pairs(index_t count, index_t dim, const float* from, index_t row,
                      std::uint16_t* to);
}  // namespace avx512_dot
namespace avx512 {
/// False, with out unfinished, where f32 has to do it: if a value that some query may not see is
/// not finite, since 0 times it would not be 0, or if the first query sees too few keys.
bool attend_pairs(const AttentionArgs<float>& a, index_t b, index_t kv_head, index_t begin,
                  index_t end, const PairsKernels& kernels, void* scratch);
}  // namespace avx512

}  // namespace attn::kernels
