#pragma once

#include "kernels/attention/attention_cache.hpp"

namespace attn::kernels {

/// Up to this many queries take the direct kernel, in which a query's bits are its own.
inline constexpr index_t attention_few_queries = 8;

/// Queries of one head that one chunk of work holds: enough to pay for packing a block of keys and
/// values (1–2% of the work on them), few enough that 512 queries of one head feed two threads.
inline constexpr index_t attention_chunk_queries = 256;

/// The number of keys that query i sees through causality; the rest weigh 0 whatever they hold.
/// Always inlined: the objects of several ISA levels use it and may share no symbol.
template <class T>
[[gnu::always_inline]] constexpr index_t visible_keys(const AttentionArgs<T>& a, index_t i) {
  if (!a.causal) return a.kv_len;
  const index_t seen = i + a.kv_len - a.q_len + 1;
  return seen < 0 ? 0 : (seen < a.kv_len ? seen : a.kv_len);
}

/// All queries of all heads that share one key/value head; q_len ≤ attention_few_queries. room:
/// this worker's share, attend_few_room().
template <class T>
using AttendFew = void (*)(const AttentionArgs<T>& a, index_t b, index_t kv_head, T* room);

/// Keys of one chunk of a few queries' work, whatever the threads: one key/value head's at a long
/// context would keep one thread busy and the others waiting. A chunk's 128 KiB (64 dimensions) pay
/// for its part of the result, 64 numbers a query, many times over.
inline constexpr index_t attention_chunk_keys = 256;

/// Floats of a query's part over one chunk of keys: Σ p v, the largest score and Σ p, in whole
/// cache lines.
constexpr index_t attend_part_floats(index_t value_dim) { return round_up(value_dim + 2, 16); }

/// All queries of all heads that share one key/value head, over one chunk of keys; batch 1. Query
/// i of head h leaves its part at parts[((i · heads + h) · chunks + chunk) · attend_part_floats()],
/// if it sees any of the keys. room: this worker's share, attend_few_room().
using AttendPart = void (*)(const AttentionArgs<float>& a, index_t kv_head, index_t chunk,
                            index_t chunks, float* parts, float* room);

/// Puts the parts together in the order of the keys. One part alone gives the bits of attend_few.
using JoinParts = void (*)(const AttentionArgs<float>& a, index_t kv_head, index_t chunks,
                           const float* parts);

/// Floats of scratch that one worker's attend_rows needs: a block of keys, and its values, each row
/// rounded up to a cache line. Stored keys are widened where the values will stand.
constexpr index_t attend_rows_scratch(index_t head_dim, index_t value_dim) {
  const index_t widest = head_dim > value_dim ? head_dim : value_dim;
  return attention_block_keys * (head_dim + round_up(widest, 16));
}

/// The queries [begin, end) of one head. scratch: this worker's share, attend_rows_scratch().
template <class T>
using AttendRows = void (*)(const AttentionArgs<T>& a, index_t b, index_t head, index_t begin,
                            index_t end, T* scratch);

/// Keys, and queries, that the backward kernel takes together: what five products of 64 × 64 × 64
/// read and write is 130 KiB of L2.
inline constexpr index_t attention_backward_tile = 64;

/// Floats of scratch that one worker's attend_backward needs: packed keys (twice), values, queries
/// and dout of a tile, its P and dS, and a number for every query that shares the key/value head.
constexpr index_t attend_backward_scratch(index_t group, index_t q_len, index_t head_dim,
                                          index_t value_dim) {
  constexpr index_t side = attention_backward_tile;
  return side * (head_dim + value_dim + 2 * round_up(head_dim, 16) + round_up(value_dim, 16) +
                 2 * side) +
         round_up(group * q_len, 16);
}

/// All gradients of one key/value head and of the query heads that share it.
template <class T>
using AttendBackward = void (*)(const AttentionBackwardArgs<T>& a, index_t b, index_t kv_head,
                                T* scratch);

namespace scalar {
template <class T>
void attend_few(const AttentionArgs<T>& a, index_t b, index_t kv_head, T* room);
template <class T>
void attend_rows(const AttentionArgs<T>& a, index_t b, index_t head, index_t begin, index_t end,
                 T* scratch);
template <class T>
void attend_backward(const AttentionBackwardArgs<T>& a, index_t b, index_t kv_head, T* scratch);
}  // namespace scalar
namespace avx2 {
void attend_few(const AttentionArgs<float>& a, index_t b, index_t kv_head, float* room);
void attend_part(const AttentionArgs<float>& a, index_t kv_head, index_t chunk, index_t chunks,
                 float* parts, float* room);
void join_parts(const AttentionArgs<float>& a, index_t kv_head, index_t chunks, const float* parts);
void attend_rows(const AttentionArgs<float>& a, index_t b, index_t head, index_t begin, index_t end,
                 float* scratch);
void attend_backward(const AttentionBackwardArgs<float>& a, index_t b, index_t kv_head,
                     float* scratch);
}  // namespace avx2
namespace avx512 {
void attend_few(const AttentionArgs<float>& a, index_t b, index_t kv_head, float* room);
void attend_part(const AttentionArgs<float>& a, index_t kv_head, index_t chunk, index_t chunks,
                 float* parts, float* room);
void join_parts(const AttentionArgs<float>& a, index_t kv_head, index_t chunks, const float* parts);
void attend_rows(const AttentionArgs<float>& a, index_t b, index_t head, index_t begin, index_t end,
                 float* scratch);
void attend_backward(const AttentionBackwardArgs<float>& a, index_t b, index_t kv_head,
                     float* scratch);
}  // namespace avx512

}  // namespace attn::kernels
