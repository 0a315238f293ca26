// Forward for more than a few queries: keys transposed and values copied a block at a time, then
// for every six queries scores, online softmax and values, all in L1.

#include "kernels/attention/attention_tiles.hpp"

namespace attn::kernels::ATTN_ISA_NS {

namespace {

// Asks for the rows [begin, end) to be brought to L2.
void prefetch(const float* rows, index_t stride, index_t dim, index_t begin, index_t end) {
  for (index_t j = begin; j < end; ++j) {
    for (index_t d = 0; d < dim; d += 16) {
      _mm_prefetch(reinterpret_cast<const char*>(rows + j * stride + d), _MM_HINT_T1);
    }
  }
}

// Stored rows are half of the bytes or fewer, and not waited for.
void prefetch(const HeadRows& head, index_t begin, index_t end) {
  if (head.numbers != nullptr) prefetch(head.numbers, head.row_stride, head.dim, begin, end);
}

}  // namespace

void attend_rows(const AttentionArgs<float>& a, index_t b, index_t head, index_t begin, index_t end,
                 float* scratch) {
  const index_t kv_head = head / (a.heads / a.kv_heads), value_row = whole_vectors(a.value_dim);
  const HeadRows k = keys_of(a, b, kv_head, 0), v = values_of(a, b, kv_head, 0);
  float* const keys = scratch;                             // [head_dim, key_block]
  float* const values = scratch + a.head_dim * key_block;  // [key_block, value_row]

  Query queries[attention_chunk_queries];
  const index_t count = end - begin;
  for (index_t i = 0; i < count; ++i) queries[i] = start(a, b, head, begin + i);

  const index_t seen = queries[count - 1].seen;  // none sees more than the last
  // what each tile of queries asks for of the next block, which would be waited for otherwise
  const index_t tiles = (count + tile_rows - 1) / tile_rows,
                ahead = (key_block + tiles - 1) / tiles;
  prefetch(v, 0, least(key_block, seen));
  for (index_t block = 0; block < seen; block += key_block) {
    const index_t block_keys = least(key_block, seen - block);
    const HeadRows::Rows some = k.rows(block, block_keys, values);
    pack_transposed(block_keys, a.head_dim, a.scale, some.data, some.row_stride, keys, key_block);
    const HeadRows::Rows of_values = v.rows(block, block_keys, values);
    if (of_values.data != values) {
      pack_rows(block_keys, a.value_dim, 1, of_values.data, of_values.row_stride, values);
    }
    index_t next = block + key_block;
    for (index_t i = 0; i < count; i += tile_rows, next += ahead) {
      prefetch(k, least(next, seen), least(next + ahead, seen));
      prefetch(v, least(next, seen), least(next + ahead, seen));
      if (block == 0) {
        const index_t soon = least(i + 2 * tile_rows, count);
        prefetch(queries->q, a.q.row_stride, a.head_dim, least(i + tile_rows, count), soon);
        prefetch(queries->out, a.out.row_stride, a.value_dim, least(i + tile_rows, count), soon);
      }
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
