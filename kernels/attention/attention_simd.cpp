// Forward for more than a few queries: keys transposed and values copied a block at a time, then
// for every six queries scores, online softmax and values, all in L1.

#include "kernels/attention/attention_tiles.hpp"

namespace attn::kernels::ATTN_ISA_NS {

void attend_rows(const AttentionArgs<float>& a, index_t b, index_t head, index_t begin, index_t end,
                 float* scratch) {
  const index_t kv_head = head / (a.heads / a.kv_heads), value_row = whole_vectors(a.value_dim);
  const float* k = a.k.data + b * a.k.batch_stride + kv_head * a.k.head_stride;
  const float* v = a.v.data + b * a.v.batch_stride + kv_head * a.v.head_stride;
  float* const keys = scratch;                             // [head_dim, key_block]
  float* const values = scratch + a.head_dim * key_block;  // [key_block, value_row]

  Query queries[attention_chunk_queries];
  const index_t count = end - begin;
  for (index_t i = 0; i < count; ++i) queries[i] = start(a, b, head, begin + i);

  const index_t seen = queries[count - 1].seen;  // none sees more than the last
  for (index_t block = 0; block < seen; block += key_block) {
    const index_t block_keys = least(key_block, seen - block);
    pack_transposed(block_keys, a.head_dim, a.scale, k + block * a.k.row_stride, a.k.row_stride,
                    keys, key_block);
    pack_rows(block_keys, a.value_dim, 1, v + block * a.v.row_stride, a.v.row_stride, values);
    for (index_t i = 0; i < count; i += tile_rows) {
      const index_t rows = least(tile_rows, count - i);
      Query* const tile = queries + i;
      const index_t n = least(block_keys, tile[rows - 1].seen - block);
      if (n <= 0) continue;
      alignas(64) float scores[tile_rows * key_block], shrink[lanes];
      multiply(rows, whole_vectors(n), a.head_dim, {tile->q, a.q.row_stride, 1}, keys, key_block,
               scores, key_block, nullptr);
      soften(tile, rows, block, n, scores, key_block, shrink);
      const index_t common = tile->seen < block ? 0 : least(n, tile->seen - block);
      multiply(rows, a.value_dim, common, {scores, key_block, 1}, values, value_row, tile->out,
               a.out.row_stride, block == 0 ? nullptr : shrink);
      if (common < n) {
        add_ragged(tile, rows, block, n, common, scores, key_block, values, value_row, a.value_dim);
      }
    }
  }
  for (index_t i = 0; i < count; ++i) {
    float* lse = a.log_sum_exp == nullptr
                     ? nullptr
                     : a.log_sum_exp + (b * a.heads + head) * a.q_len + begin + i;
    finish(queries[i], a.value_dim, a.kv_len, lse);
  }
}

}  // namespace attn::kernels::ATTN_ISA_NS
