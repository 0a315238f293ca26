#include "kernels/attention/attention.hpp"

#include "kernels/attention/attention_few.hpp"
#include "kernels/attention/attention_pairs.hpp"

#include <algorithm>

namespace attn::kernels {
namespace {

template <class T>
Workers& fitting(Workers& workers, const AttentionArgs<T>& a) {
  const index_t per_head = a.q_len * a.kv_len * (a.head_dim + a.value_dim);
  return a.batch * a.heads * per_head < attention_worth_threads ? serial_workers() : workers;
}

// The worker's part of the scratch; null where the kernel needs none.
void* part(void* scratch, index_t bytes, int worker) {
  return scratch == nullptr ? nullptr : static_cast<char*>(scratch) + worker * bytes;
}

// Bytes of a worker's scratch for more than a few queries, in whole cache lines.
index_t rows_bytes(Isa isa, index_t group, index_t head_dim, index_t value_dim) {
  if (isa == Isa::scalar) return 0;
  const index_t floats = attend_rows_scratch(head_dim, value_dim);
  const index_t bytes = round_up(floats * static_cast<index_t>(sizeof(float)), 64);
  if (!has_dot_products(isa)) return bytes;
  return std::max(bytes, PairsScratch(group, head_dim, value_dim).bytes);
}

template <class T>
bool in_pairs(Isa isa, const AttentionArgs<T>& a) {
  if constexpr (std::is_same_v<T, float>) return takes_pairs(isa, a);
  return false;
}

// The queries [begin, end) of one head, or of all that share a key/value head where `pairs`.
template <class T>
void attend_chunk(Isa isa, bool pairs, const AttentionArgs<T>& a, index_t b, index_t head,
                  index_t begin, index_t end, void* scratch) {
  if constexpr (std::is_same_v<T, float>) {
    if (pairs) return attend_pairs(isa, a, b, head, begin, end, scratch);
    const auto attend = at_level<AttendRows<float>>(isa, scalar::attend_rows<float>,
                                                    avx2::attend_rows, avx512::attend_rows);
    attend(a, b, head, begin, end, static_cast<float*>(scratch));
  } else {
    scalar::attend_rows<T>(a, b, head, begin, end, static_cast<T*>(scratch));
  }
}

// One entry of the batch as a problem of its own.
template <class T>
AttentionArgs<T> entry_of(const AttentionArgs<T>& a, index_t entry) {
  AttentionArgs<T> one = a;
  one.batch = 1;
  one.q.data += entry * a.q.batch_stride;
  skip(one, entry * a.k.batch_stride, entry * a.v.batch_stride);
  one.out.data += entry * a.out.batch_stride;
  if (a.mask != nullptr) one.mask += entry * a.mask_batch_stride;
  if (a.weights != nullptr) one.weights += entry * a.heads * a.q_len * a.kv_len;
  if (a.log_sum_exp != nullptr) one.log_sum_exp += entry * a.heads * a.q_len;
  return one;
}

// Row number `row` of [batch, heads, q_len] as a problem of its own, over the keys of its window.
template <class T>
AttentionArgs<T> windowed_query(const AttentionArgs<T>& a, index_t row) {
  const index_t i = row % a.q_len, h = row / a.q_len % a.heads, entry = row / a.q_len / a.heads;
  const index_t kv_head = h / (a.heads / a.kv_heads);
  const index_t seen = visible_keys(a, i), first = std::max<index_t>(0, seen - a.window);
  AttentionArgs<T> one = entry_of(a, entry);
  one.heads = one.kv_heads = one.q_len = 1;
  one.kv_len = seen - first;
  one.q.data += h * a.q.head_stride + i * a.q.row_stride;
  skip(one, kv_head * a.k.head_stride + first * a.k.row_stride,
       kv_head * a.v.head_stride + first * a.v.row_stride);
  one.out.data += h * a.out.head_stride + i * a.out.row_stride;
  if (a.weights != nullptr) one.weights = a.weights + row * a.kv_len + first;
  if (a.log_sum_exp != nullptr) one.log_sum_exp = a.log_sum_exp + row;
  return one;
}

// Where keys lie behind a window: a query at a time, which reads no key in vain.
template <class T>
void attention_in_windows(Isa isa, Workers& workers, const AttentionArgs<T>& a) {
  const index_t rows = a.batch * a.heads * a.q_len;
  if (a.weights != nullptr) {
    parallel_for(workers, rows, [&](index_t row, int) {
      std::fill_n(a.weights + row * a.kv_len, a.kv_len, T(0));
    });
  }
  const index_t room = few_room(isa, a);
  if (a.q_len <= attention_few_queries) {
    attend_few_each<T>(isa, workers, rows, 1, a.window, room, a.scratch, [&](index_t row) {
      return FewQueries<T>{windowed_query(a, row), row};
    });
    return;
  }
  const AttendFew<T> attend = attend_few_at<T>(isa);
  parallel_for(workers, ceil_div(rows, attention_few_queries), [&](index_t chunk, int worker) {
    const index_t begin = chunk * attention_few_queries;
    for (index_t row = begin; row < std::min(rows, begin + attention_few_queries); ++row) {
      attend(windowed_query(a, row), 0, 0,
             static_cast<T*>(part(a.scratch, room * index_t{sizeof(T)}, worker)));
    }
  });
}

// Lets a tensor begin at that row of that head.
template <class View>
void move_to(View& view, index_t head, index_t row) {
  view.data += head * view.head_stride + row * view.row_stride;
}

template <class T>
AttendBackward<T> attend_backward_at(Isa isa) {
  AttendBackward<T> backward = scalar::attend_backward<T>;
  if constexpr (std::is_same_v<T, float>) {
    backward = at_level<AttendBackward<float>>(isa, backward, avx2::attend_backward,
                                               avx512::attend_backward);
  }
  return backward;
}

// Bytes of a worker's scratch on the way back.
template <class T>
index_t backward_share(const AttentionArgs<T>& f, index_t q_len) {
  return attend_backward_scratch(f.heads / f.kv_heads, q_len, f.head_dim, f.value_dim) *
         static_cast<index_t>(sizeof(T));
}

}  // namespace

std::size_t attention_scratch_bytes(Isa isa, int workers, index_t batch, index_t heads,
                                    index_t kv_heads, index_t q_len, index_t kv_len,
                                    index_t head_dim, index_t value_dim, WeightType stored) {
  const std::size_t few =
      few_room_bytes(isa, workers, stored, head_dim, value_dim) +
      attend_few_scratch_bytes(isa, batch * std::min(q_len, attention_few_queries), heads, kv_len,
                               value_dim);
  if (isa == Isa::scalar || q_len <= attention_few_queries) return few;
  return std::max(few, static_cast<std::size_t>(
                           workers * rows_bytes(isa, heads / kv_heads, head_dim, value_dim)));
}

template <class T>
void attention(Isa isa, Workers& workers, const AttentionArgs<T>& args) {
  Workers& crew = fitting(workers, args);
  if (args.window > 0 && args.kv_len > args.window) return attention_in_windows(isa, crew, args);
  if (args.q_len <= attention_few_queries) {
    const index_t room = few_room(isa, args);
    attend_few_each<T>(isa, crew, args.batch, args.kv_heads, args.kv_len, room, args.scratch,
                       [&](index_t entry) {
                         return FewQueries<T>{entry_of(args, entry), entry * args.q_len};
                       });
    return;
  }
  const bool pairs = in_pairs(isa, args);
  const index_t queries =
      pairs ? pairs_queries(args.heads / args.kv_heads) : attention_chunk_queries;
  const index_t blocks = ceil_div(args.q_len, queries), one = pairs ? args.kv_heads : args.heads;
  const index_t heads = args.batch * one;
  const index_t share = rows_bytes(isa, args.heads / args.kv_heads, args.head_dim, args.value_dim);
  parallel_for(crew, heads * blocks, [&](index_t chunk, int worker) {
    // the last queries see most under causality: they come first, so that short chunks fill the
    // gaps between threads; else a head's chunks follow each other and find its keys in the cache
    const index_t head = args.causal ? chunk % heads : chunk / blocks;
    const index_t block = args.causal ? blocks - 1 - chunk / heads : chunk % blocks;
    const index_t begin = block * queries;
    attend_chunk(isa, pairs, args, head / one, head % one, begin,
                 std::min(args.q_len, begin + queries), part(args.scratch, share, worker));
  });
}

template <class T>
void attention_sequences(Isa isa, Workers& workers, const AttentionArgs<T>& args, index_t count,
                         const std::int32_t* starts) {
  const AttendFew<T> few = attend_few_at<T>(isa);
  const bool pairs = in_pairs(isa, args);
  // a chunk is a sequence and a head, or all heads that share keys and values
  const index_t units = pairs ? args.kv_heads : args.heads, group = args.heads / args.kv_heads;
  const index_t own = pairs ? group : 1;
  const index_t queries = pairs ? pairs_queries(group) : attention_chunk_queries;
  const index_t share = rows_bytes(isa, group, args.head_dim, args.value_dim);
  parallel_for(workers, count * units, [&](index_t chunk, int worker) {
    const index_t sequence = chunk / units, head = chunk % units * own;
    const index_t first = starts[sequence], length = starts[sequence + 1] - first;
    AttentionArgs<T> one = args;
    one.heads = own;
    one.kv_heads = 1;
    one.q_len = one.kv_len = length;
    move_to(one.q, head, first);
    move_to(one.k, head / group, first);
    move_to(one.v, head / group, first);
    move_to(one.out, head, first);
    if (args.log_sum_exp != nullptr) one.log_sum_exp += first * args.heads + head * length;
    if (length <= attention_few_queries) return few(one, 0, 0, nullptr);
    for (index_t begin = 0; begin < length; begin += queries) {
      attend_chunk(isa, pairs, one, 0, 0, begin, std::min(length, begin + queries),
                   part(args.scratch, share, worker));
    }
  });
}

std::size_t attention_backward_scratch_bytes(Isa isa, int workers, index_t, index_t heads,
                                             index_t kv_heads, index_t q_len, index_t,
                                             index_t head_dim, index_t value_dim) {
  if (isa == Isa::scalar) return 0;
  return static_cast<std::size_t>(
             workers * attend_backward_scratch(heads / kv_heads, q_len, head_dim, value_dim)) *
         sizeof(float);
}

template <class T>
void attention_backward(Isa isa, Workers& workers, const AttentionBackwardArgs<T>& args) {
  const AttentionArgs<T>& f = args.forward;
  const AttendBackward<T> backward = attend_backward_at<T>(isa);
  const index_t share = backward_share(f, f.q_len);
  parallel_for(fitting(workers, f), f.batch * f.kv_heads, [&](index_t chunk, int worker) {
    backward(args, chunk / f.kv_heads, chunk % f.kv_heads,
             static_cast<T*>(part(args.scratch, share, worker)));
  });
}

template <class T>
void attention_backward_sequences(Isa isa, Workers& workers, const AttentionBackwardArgs<T>& args,
                                  index_t count, const std::int32_t* starts) {
  const AttentionArgs<T>& f = args.forward;
  const AttendBackward<T> backward = attend_backward_at<T>(isa);
  const index_t group = f.heads / f.kv_heads;
  index_t longest = 0;
  for (index_t s = 0; s < count; ++s)
    longest = std::max<index_t>(longest, starts[s + 1] - starts[s]);
  const index_t share = backward_share(f, longest);
  parallel_for(workers, count * f.kv_heads, [&](index_t chunk, int worker) {
    const index_t sequence = chunk / f.kv_heads, kv_head = chunk % f.kv_heads;
    const index_t first = starts[sequence], length = starts[sequence + 1] - first;
    if (length == 0) return;
    const index_t head = kv_head * group;
    AttentionBackwardArgs<T> one = args;
    one.forward.heads = group;
    one.forward.kv_heads = 1;
    one.forward.q_len = one.forward.kv_len = length;
    move_to(one.forward.q, head, first);
    move_to(one.forward.k, kv_head, first);
    move_to(one.forward.v, kv_head, first);
    move_to(one.forward.out, head, first);
    one.forward.log_sum_exp += first * f.heads + head * length;
    move_to(one.dout, head, first);
    move_to(one.dq, head, first);
    move_to(one.dk, kv_head, first);
    move_to(one.dv, kv_head, first);
    backward(one, 0, 0, static_cast<T*>(part(args.scratch, share, worker)));
  });
}

template void attention(Isa, Workers&, const AttentionArgs<float>&);
template void attention(Isa, Workers&, const AttentionArgs<double>&);
template void attention_sequences(Isa, Workers&, const AttentionArgs<float>&, index_t,
                                  const std::int32_t*);
template void attention_sequences(Isa, Workers&, const AttentionArgs<double>&, index_t,
                                  const std::int32_t*);
template void attention_backward(Isa, Workers&, const AttentionBackwardArgs<float>&);
template void attention_backward(Isa, Workers&, const AttentionBackwardArgs<double>&);
template void attention_backward_sequences(Isa, Workers&, const AttentionBackwardArgs<float>&,
                                           index_t, const std::int32_t*);
template void attention_backward_sequences(Isa, Workers&, const AttentionBackwardArgs<double>&,
                                           index_t, const std::int32_t*);

}  // namespace attn::kernels
