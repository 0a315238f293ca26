// Backward, in the notation of attention_backward_ref.cpp: a block of keys at a time against tiles
// of queries, so that P and dS are 64 × 64 at once and five products of such tiles do the work. The
// scale stands in the packed keys and queries, which leaves dS without it.

#include "kernels/attention/attention_tiles.hpp"

namespace attn::kernels::ATTN_ISA_NS {
namespace {

constexpr index_t side = attention_backward_tile;

vf load_up_to(const float* p, index_t count) {
  return count >= lanes ? vf::load_unaligned(p) : load_partial(p, count);
}

template <class View>
auto* head_of(const View& view, index_t b, index_t h) {
  return view.data + b * view.batch_stride + h * view.head_stride;
}

// The vector where the first `seen` columns of it are to stay and the others to become 0.
vf keep_seen(vf v, index_t seen) {
  if (seen >= lanes) return v;
  return seen > 0 ? fill_from(v, seen, 0) : vf(0.0F);
}

void clear(float* rows, index_t count, index_t stride, index_t columns) {
  for (index_t i = 0; i < count; ++i) {
    for (index_t d = 0; d < columns; d += lanes) {
      float* at = rows + i * stride + d;
      if (columns - d < lanes) {
        store_partial(at, columns - d, vf(0.0F));
      } else {
        vf(0.0F).store_unaligned(at);
      }
    }
  }
}

float dot(const float* x, const float* y, index_t n) {
  vf sum(0.0F);
  for (index_t i = 0; i < n; i += lanes) {
    sum = fused(load_up_to(x + i, n - i), load_up_to(y + i, n - i), sum);
  }
  return total(sum);
}

// One key/value head on its way; the buffers lie in the worker's scratch, as
// attend_backward_scratch() counts them.
struct Backward {
  const AttentionBackwardArgs<float>& a;
  const AttentionArgs<float>& f;
  index_t b, kv_head, group;
  index_t key_row, value_row;       // dimensions, rounded up to whole vectors
  float *keys_t, *keys, *values_t;  // scaled Kᵀ [head_dim, side], scaled K, Vᵀ [value_dim, side]
  float *queries, *douts;           // scaled Q, dout
  float *p, *ds;                    // [side, side]
  float* means;                     // D, [group, q_len]
  alignas(64) float ones[side];

  Backward(const AttentionBackwardArgs<float>& args, index_t batch, index_t head, float* scratch)
      : a(args),
        f(args.forward),
        b(batch),
        kv_head(head),
        group(f.heads / f.kv_heads),
        key_row(whole_vectors(f.head_dim)),
        value_row(whole_vectors(f.value_dim)),
        keys_t(scratch),
        keys(keys_t + f.head_dim * side),
        values_t(keys + side * key_row),
        queries(values_t + f.value_dim * side),
        douts(queries + side * key_row),
        p(douts + side * value_row),
        ds(p + side * side),
        means(ds + side * side) {
    for (float& one : ones) one = 1;
  }

  // Rows of the query tile that begins at i.
  [[nodiscard]] index_t rows_at(index_t i) const { return least(side, f.q_len - i); }

  // Keys of the block that the tile's last query, and so any of it, sees.
  [[nodiscard]] index_t keys_for(index_t i, index_t block) const {
    return least(least(side, f.kv_len - block), visible_keys(f, i + rows_at(i) - 1) - block);
  }

  void pack_keys(index_t block) const {
    const index_t count = least(side, f.kv_len - block);
    const float* k = head_of(f.k, b, kv_head) + block * f.k.row_stride;
    pack_transposed(count, f.head_dim, f.scale, k, f.k.row_stride, keys_t, side);
  }

  // P for the tile of queries at i of head h against the packed block.
  void weigh(index_t h, index_t i, index_t block, index_t n) const {
    const index_t rows = rows_at(i);
    const float* q = head_of(f.q, b, h) + i * f.q.row_stride;
    multiply(rows, whole_vectors(n), f.head_dim, {q, f.q.row_stride, 1}, keys_t, side, p, side,
             nullptr);
    for (index_t r = 0; r < rows; ++r) {
      const float lse = f.log_sum_exp[(b * f.heads + h) * f.q_len + i + r];
      // a query that sees nothing weighs everything 0
      const vf reference(lse == -__builtin_inff() ? __builtin_inff() : lse);
      const float* mask = f.mask == nullptr
                              ? nullptr
                              : f.mask + b * f.mask_batch_stride + h * f.mask_head_stride +
                                    (i + r) * f.mask_row_stride + block;
      const index_t seen = least(n, visible_keys(f, i + r) - block);
      for (index_t c = 0; c < n; c += lanes) {
        float* at = p + r * side + c;
        vf s = vf::load_aligned(at);
        if (mask != nullptr) s += load_up_to(mask + c, n - c);
        keep_seen(exp_difference(s - reference), seen - c).store_aligned(at);
      }
    }
  }

  [[nodiscard]] const float* dweights_row(index_t h, index_t i) const {
    return a.dweights + ((b * f.heads + h) * f.q_len + i) * f.kv_len;
  }

  // D of every query of the group.
  void find_means() const {
    const index_t first = kv_head * group;
    for (index_t g = 0; g < group; ++g) {
      for (index_t i = 0; i < f.q_len; ++i) {
        means[g * f.q_len + i] =
            a.dout.data == nullptr
                ? 0
                : dot(head_of(a.dout, b, first + g) + i * a.dout.row_stride,
                      head_of(f.out, b, first + g) + i * f.out.row_stride, f.value_dim);
      }
    }
    if (a.dweights == nullptr) return;
    for (index_t block = 0; block < f.kv_len; block += side) {
      pack_keys(block);
      for (index_t g = 0; g < group; ++g) {
        for (index_t i = 0; i < f.q_len; i += side) {
          const index_t n = keys_for(i, block);
          if (n <= 0) continue;
          weigh(first + g, i, block, n);
          for (index_t r = 0; r < rows_at(i); ++r) {
            means[g * f.q_len + i + r] +=
                dot(p + r * side, dweights_row(first + g, i + r) + block, n);
          }
        }
      }
    }
  }

  // dS of the tile, from its P.
  void differentiate(index_t h, index_t i, index_t block, index_t n) const {
    const index_t rows = rows_at(i);
    if (a.dout.data != nullptr) {
      multiply(rows, whole_vectors(n), f.value_dim,
               {head_of(a.dout, b, h) + i * a.dout.row_stride, a.dout.row_stride, 1}, values_t,
               side, ds, side, nullptr);
    } else {
      clear(ds, rows, side, whole_vectors(n));
    }
    for (index_t r = 0; r < rows; ++r) {
      const index_t seen = least(n, visible_keys(f, i + r) - block);
      const vf mean(means[(h - kv_head * group) * f.q_len + i + r]);
      for (index_t c = 0; c < n; c += lanes) {
        vf dp = vf::load_aligned(ds + r * side + c);
        if (a.dweights != nullptr) dp += load_up_to(dweights_row(h, i + r) + block + c, n - c);
        const vf part = vf::load_aligned(p + r * side + c) * (dp - mean);
        keep_seen(part, seen - c).store_aligned(ds + r * side + c);
      }
    }
  }

  // What the tile of queries at i of head h and the packed block give to each other's gradients.
  void add_tile(index_t h, index_t i, index_t block, index_t n) const {
    const index_t rows = rows_at(i);
    float* dq = head_of(a.dq, b, h) + i * a.dq.row_stride;
    float* dk = head_of(a.dk, b, kv_head) + block * a.dk.row_stride;
    float* dv = head_of(a.dv, b, kv_head) + block * a.dv.row_stride;
    weigh(h, i, block, n);
    differentiate(h, i, block, n);
    if (a.dout.data != nullptr) {
      pack_rows(rows, f.value_dim, 1, head_of(a.dout, b, h) + i * a.dout.row_stride,
                a.dout.row_stride, douts);
      multiply(n, f.value_dim, rows, {p, 1, side}, douts, value_row, dv, a.dv.row_stride, ones);
    }
    pack_rows(rows, f.head_dim, f.scale, head_of(f.q, b, h) + i * f.q.row_stride, f.q.row_stride,
              queries);
    multiply(n, f.head_dim, rows, {ds, 1, side}, queries, key_row, dk, a.dk.row_stride, ones);
    multiply(rows, f.head_dim, n, {ds, side, 1}, keys, key_row, dq, a.dq.row_stride, ones);
  }
};

}  // namespace

void attend_backward(const AttentionBackwardArgs<float>& a, index_t b, index_t kv_head,
                     float* scratch) {
  const Backward work(a, b, kv_head, scratch);
  const AttentionArgs<float>& f = a.forward;
  const index_t first = kv_head * work.group;
  clear(head_of(a.dk, b, kv_head), f.kv_len, a.dk.row_stride, f.head_dim);
  clear(head_of(a.dv, b, kv_head), f.kv_len, a.dv.row_stride, f.value_dim);
  for (index_t h = first; h < first + work.group; ++h) {
    clear(head_of(a.dq, b, h), f.q_len, a.dq.row_stride, f.head_dim);
  }
  work.find_means();
  for (index_t block = 0; block < f.kv_len; block += side) {
    const index_t count = least(side, f.kv_len - block);
    work.pack_keys(block);
    pack_rows(count, f.head_dim, f.scale, head_of(f.k, b, kv_head) + block * f.k.row_stride,
              f.k.row_stride, work.keys);
    if (a.dout.data != nullptr) {
      pack_transposed(count, f.value_dim, 1, head_of(f.v, b, kv_head) + block * f.v.row_stride,
                      f.v.row_stride, work.values_t, side);
    }
    for (index_t h = first; h < first + work.group; ++h) {
      for (index_t i = 0; i < f.q_len; i += side) {
        const index_t n = work.keys_for(i, block);
        if (n > 0) work.add_tile(h, i, block, n);
      }
    }
  }
}

}  // namespace attn::kernels::ATTN_ISA_NS
