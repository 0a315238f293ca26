#include "kernels/attention/attention.hpp"

#include "kernels/attention/attention_levels.hpp"
#include "kernels/dispatch.hpp"

#include <algorithm>
#include <type_traits>

namespace attn::kernels {
namespace {

// Fewer multiply-adds than this (some 2 µs) are not worth waking a thread for.
constexpr index_t worth_threads = 1 << 16;

template <class T>
Workers& fitting(Workers& workers, const AttentionArgs<T>& a) {
  const index_t per_head = a.q_len * a.kv_len * (a.head_dim + a.value_dim);
  return a.batch * a.heads * per_head < worth_threads ? serial_workers() : workers;
}

// The worker's part of the scratch; null where the kernel needs none.
template <class T>
T* part(void* scratch, index_t floats, int worker) {
  return scratch == nullptr ? nullptr : static_cast<T*>(scratch) + worker * floats;
}

}  // namespace

std::size_t attention_scratch_bytes(Isa isa, int workers, index_t, index_t, index_t, index_t q_len,
                                    index_t, index_t head_dim, index_t value_dim) {
  if (isa == Isa::scalar || q_len <= attention_few_queries) return 0;
  return static_cast<std::size_t>(workers * attend_rows_scratch(head_dim, value_dim)) *
         sizeof(float);
}

template <class T>
void attention(Isa isa, Workers& workers, const AttentionArgs<T>& args) {
  Workers& crew = fitting(workers, args);
  if (args.q_len <= attention_few_queries) {
    AttendFew<T> attend = scalar::attend_few<T>;
    if constexpr (std::is_same_v<T, float>) {
      attend = at_level<AttendFew<float>>(isa, attend, avx2::attend_few, avx512::attend_few);
    }
    parallel_for(crew, args.batch * args.kv_heads, [&](index_t chunk, int) {
      attend(args, chunk / args.kv_heads, chunk % args.kv_heads);
    });
    return;
  }
  AttendRows<T> attend = scalar::attend_rows<T>;
  if constexpr (std::is_same_v<T, float>) {
    attend = at_level<AttendRows<float>>(isa, attend, avx2::attend_rows, avx512::attend_rows);
  }
  const index_t share = attend_rows_scratch(args.head_dim, args.value_dim);
  const index_t blocks = ceil_div(args.q_len, attention_chunk_queries);
  const index_t heads = args.batch * args.heads;
  parallel_for(crew, heads * blocks, [&](index_t chunk, int worker) {
    // the last queries see most under causality: they come first, so that short chunks fill the
    // gaps between threads; else a head's chunks follow each other and find its keys in the cache
    const index_t head = args.causal ? chunk % heads : chunk / blocks;
    const index_t block = args.causal ? blocks - 1 - chunk / heads : chunk % blocks;
    const index_t begin = block * attention_chunk_queries;
    attend(args, head / args.heads, head % args.heads, begin,
           std::min(args.q_len, begin + attention_chunk_queries),
           part<T>(args.scratch, share, worker));
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
  AttendBackward<T> backward = scalar::attend_backward<T>;
  if constexpr (std::is_same_v<T, float>) {
    backward = at_level<AttendBackward<float>>(isa, backward, avx2::attend_backward,
                                               avx512::attend_backward);
  }
  const index_t share =
      attend_backward_scratch(f.heads / f.kv_heads, f.q_len, f.head_dim, f.value_dim);
  parallel_for(fitting(workers, f), f.batch * f.kv_heads, [&](index_t chunk, int worker) {
    backward(args, chunk / f.kv_heads, chunk % f.kv_heads, part<T>(args.scratch, share, worker));
  });
}

template void attention(Isa, Workers&, const AttentionArgs<float>&);
template void attention(Isa, Workers&, const AttentionArgs<double>&);
template void attention_backward(Isa, Workers&, const AttentionBackwardArgs<float>&);
template void attention_backward(Isa, Workers&, const AttentionBackwardArgs<double>&);

}  // namespace attn::kernels
