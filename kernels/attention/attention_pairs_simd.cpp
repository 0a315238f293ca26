// Forward for many queries with products of bfloat16: heads that share keys and values pass over a
// packed block of them together, a tile of queries after the other; scores and softmax stay f32.

#include "kernels/attention/attention_pairs.hpp"
#include "kernels/attention/attention_tiles.hpp"

#if defined(ATTN_ISA_avx512)

namespace attn::kernels::ATTN_ISA_NS {
namespace {

// Queries that soften() takes.
constexpr index_t softened = 8;
static_assert(sizeof(Query) <= PairsScratch::query_bytes);

struct Block {
  index_t begin, count;  // of keys
  const std::uint16_t *keys, *values;
};

struct Room {
  float* scores;
  std::uint16_t* weights;
};

void shrink_row(float* row, index_t dim, float by) {
  if (by == 1) return;
  for (index_t d = 0; d < dim; d += lanes) {
    const index_t rest = dim - d;
    if (rest < lanes) {
      store_partial(row + d, rest, load_partial(row + d, rest) * vf(by));
    } else {
      (vf::load_unaligned(row + d) * vf(by)).store_unaligned(row + d);
    }
  }
}

// Up to pairs_tile queries of one head and a block of keys, of which the last query sees some.
void pass(const AttentionArgs<float>& a, const PairsKernels& kernels, Query* queries, index_t rows,
          const std::uint16_t* rounded, const Block& block, const Room& room) {
  const index_t n = least(block.count, queries[rows - 1].seen - block.begin);
  const index_t depth = round_up(a.head_dim, 32);
  PairsProduct product;
  product.rows = rows;
  product.pairs = depth / 2;
  product.columns = 32;
  product.a = rounded;
  product.a_row = pairs_row(depth);
  product.alpha = a.scale;
  product.c_row = attention_block_keys;
  for (index_t j = 0; j < n; j += 32) {
    product.b = block.keys + j * depth;
    product.c = room.scores + j;
    kernels.multiply(product);
  }
  const index_t weights_row = pairs_row(attention_block_keys), whole = round_up(n, 32);
  for (index_t r = 0; r < rows; r += softened) {
    const index_t some = least(softened, rows - r);
    alignas(64) float shrink[lanes];
    soften(queries + r, some, block.begin, n, room.scores + r * attention_block_keys,
           attention_block_keys, shrink);
    for (index_t i = r; i < r + some; ++i) {
      const index_t seen = least(n, queries[i].seen - block.begin);
      std::uint16_t* const to = room.weights + i * weights_row;
      const index_t kept = seen < 0 ? 0 : seen;
      kernels.round(room.scores + i * attention_block_keys, kept, to);
      __builtin_memset(to + kept, 0, static_cast<std::size_t>(whole - kept) * sizeof *to);
      if (block.begin > 0) shrink_row(queries[i].out, a.value_dim, shrink[i - r]);
    }
  }
  product.pairs = whole / 2;
  product.a = room.weights;
  product.a_row = weights_row;
  product.alpha = 1;
  product.c_row = a.out.row_stride;
  product.add_row = a.out.row_stride;
  for (index_t d = 0; d < a.value_dim; d += 32) {
    product.columns = least(32, a.value_dim - d);
    product.b = block.values + d * attention_block_keys;
    product.c = queries->out + d;
    product.add = block.begin > 0 ? product.c : nullptr;
    kernels.multiply(product);
  }
}

// Fewer keys have no mean that is worth taking off. Queries that see so few, the first of a text,
// round worst of all without: they are left to f32.
constexpr index_t fewest_centered = 16;

// The mean of the first keys. Softmax does not see what is taken from all keys alike, and what is
// left is rounded more finely: channels of keys often lie far from 0 together (Zhang et al. 2024,
// SageAttention). Says whether it is finite.
bool center_of(const HeadRows::Rows& keys, index_t count, index_t dim, float* center) {
  vf wrong(0.0F);
  const vf share(1.0F / static_cast<float>(count));
  for (index_t d = 0; d < round_up(dim, 32); d += lanes) {
    const index_t rest = dim - d;
    vf sum(0.0F);
    for (index_t j = 0; rest > 0 && j < count; ++j) {
      const float* const at = keys.data + j * keys.row_stride + d;
      sum += rest < lanes ? load_partial(at, rest) : vf::load_unaligned(at);
    }
    const vf mean = sum * share;
    mean.store_unaligned(center + d);
    wrong += mean - mean;  // NaN of what is not finite
  }
  return total(wrong) == 0;
}

}  // namespace

bool attend_pairs(const AttentionArgs<float>& a, index_t b, index_t kv_head, index_t begin,
                  index_t end, const PairsKernels& kernels, void* scratch) {
  const index_t group = a.heads / a.kv_heads, count = end - begin;
  const PairsScratch at(group, a.head_dim, a.value_dim);
  char* const base = static_cast<char*>(scratch);
  auto* const queries = reinterpret_cast<Query*>(base + at.queries);
  auto* const rounded = reinterpret_cast<std::uint16_t*>(base + at.rounded);
  auto* const keys = reinterpret_cast<std::uint16_t*>(base + at.keys);
  auto* const values = reinterpret_cast<std::uint16_t*>(base + at.values);
  const Room room{reinterpret_cast<float*>(base + at.scores),
                  reinterpret_cast<std::uint16_t*>(base + at.weights)};
  const index_t depth = round_up(a.head_dim, 32), row = pairs_row(depth);
  // a head's rows begin at a whole tile: amx reads A in tiles
  const index_t head_rows = round_up(count, pairs_tile);
  for (index_t h = 0; h < group; ++h) {
    for (index_t i = 0; i < count; ++i) {
      Query& query = queries[h * head_rows + i];
      query = start(a, b, kv_head * group + h, begin + i);
      std::uint16_t* const to = rounded + (h * head_rows + i) * row;
      kernels.round(query.q, a.head_dim, to);
      __builtin_memset(to + a.head_dim, 0,
                       static_cast<std::size_t>(depth - a.head_dim) * sizeof *to);
    }
  }
  const HeadRows k = keys_of(a, b, kv_head, 0), v = values_of(a, b, kv_head, 0);
  auto* const widened = reinterpret_cast<float*>(base + at.widened);
  const index_t seen = queries[count - 1].seen;  // none sees more than the last
  auto* const center = reinterpret_cast<float*>(base + at.center);
  // of keys that every query sees: others may hold anything, and so may what a mask hides
  const index_t first = least(attention_block_keys, queries[0].seen);
  if (a.mask != nullptr) {
    for (index_t d = 0; d < depth; ++d) center[d] = 0;
  } else if (first < fewest_centered ||
             !center_of(k.rows(0, first, widened), first, a.head_dim, center)) {
    return false;
  }
  for (index_t from = 0; from < seen; from += attention_block_keys) {
    const Block block{from, least(attention_block_keys, seen - from), keys, values};
    const HeadRows::Rows some = k.rows(from, block.count, widened);
    kernels.pack_keys(block.count, a.head_dim, some.data, some.row_stride, center, keys);
    const HeadRows::Rows of_values = v.rows(from, block.count, widened);
    if (!kernels.pack_values(block.count, a.value_dim, of_values.data, of_values.row_stride,
                             values)) {
      return false;
    }
    for (index_t h = 0; h < group; ++h) {
      for (index_t i = 0; i < count; i += pairs_tile) {
        Query* const tile = queries + h * head_rows + i;
        const index_t rows = least(pairs_tile, count - i);
        if (tile[rows - 1].seen <= from) continue;
        pass(a, kernels, tile, rows, rounded + (h * head_rows + i) * row, block, room);
      }
    }
  }
  for (index_t h = 0; h < group; ++h) {
    for (index_t i = 0; i < count; ++i) {
      finish(queries[h * head_rows + i], a.value_dim, a.kv_len, nullptr);
    }
  }
  return true;
}

}  // namespace attn::kernels::ATTN_ISA_NS

#endif
