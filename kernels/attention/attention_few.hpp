#pragma once

// How the work of a few queries each, against keys of their own, is cut and handed out.

#include "kernels/attention/attention_levels.hpp"
#include "kernels/dispatch.hpp"

#include <algorithm>
#include <type_traits>

namespace attn::kernels {

// Fewer multiply-adds than this (some 2 µs) are not worth waking a thread for.
inline constexpr index_t attention_worth_threads = 1 << 16;

template <class T>
AttendFew<T> attend_few_at(Isa isa) {
  AttendFew<T> attend = scalar::attend_few<T>;
  if constexpr (std::is_same_v<T, float>) {
    attend = at_level<AttendFew<float>>(isa, attend, avx2::attend_few, avx512::attend_few);
  }
  return attend;
}

/// Numbers in which a worker widens stored keys and values: the scalar version reads them one by
/// one.
template <class T>
index_t few_room(Isa isa, const AttentionArgs<T>& a) {
  if (isa == Isa::scalar || !std::is_same_v<T, float>) return 0;
  return attend_few_room(a.stored.type, a.head_dim, a.value_dim);
}

/// Bytes of those of all workers.
inline std::size_t few_room_bytes(Isa isa, int workers, WeightType stored, index_t head_dim,
                                  index_t value_dim) {
  if (isa == Isa::scalar) return 0;
  return static_cast<std::size_t>(workers * attend_few_room(stored, head_dim, value_dim)) *
         sizeof(float);
}

/// Bytes of scratch that attend_few_each() needs for that many queries (of all problems) of that
/// many heads.
inline std::size_t attend_few_scratch_bytes(Isa isa, index_t queries, index_t heads, index_t kv_len,
                                            index_t value_dim) {
  const index_t chunks = ceil_div(kv_len, attention_chunk_keys);
  if (isa == Isa::scalar || chunks <= 1) return 0;
  return static_cast<std::size_t>(queries * heads * chunks * attend_part_floats(value_dim)) *
         sizeof(float);
}

/// Attention of `count` problems of one batch entry, kv_heads key/value heads and 0 to
/// attention_few_queries queries each; `longest`: the most keys one of them has. problem(p) gives
/// problem p, and with it how many queries all problems before it have. A query's bits depend on
/// itself and the keys it sees: chunks of keys are counted from the first, and put together in
/// order. scratch: first `room` numbers for each worker, few_room(), then
/// attend_few_scratch_bytes().
template <class T>
struct FewQueries {
  AttentionArgs<T> args;
  index_t queries_before = 0;
};
template <class T, class Problem>
void attend_few_each(Isa isa, Workers& workers, index_t count, index_t kv_heads, index_t longest,
                     index_t room, void* scratch, const Problem& problem) {
  T* const numbers = static_cast<T*>(scratch);
  const auto room_of = [=](int worker) { return room == 0 ? nullptr : numbers + worker * room; };
  const index_t chunks = ceil_div(longest, attention_chunk_keys);
  if constexpr (std::is_same_v<T, float>) {
    if (isa != Isa::scalar && chunks > 1) {
      const AttendPart attend =
          at_level<AttendPart>(isa, nullptr, avx2::attend_part, avx512::attend_part);
      const JoinParts join =
          at_level<JoinParts>(isa, nullptr, avx2::join_parts, avx512::join_parts);
      float* const all_parts = numbers + workers.size() * room;
      const auto parts = [=](const FewQueries<float>& few) {
        return all_parts + few.queries_before * few.args.heads * chunks *
                               attend_part_floats(few.args.value_dim);
      };
      parallel_for(workers, count * kv_heads * chunks, [&](index_t unit, int worker) {
        const index_t chunk = unit % chunks;
        const FewQueries<float> few = problem(unit / chunks / kv_heads);
        if (chunk * attention_chunk_keys >= few.args.kv_len) return;
        attend(few.args, unit / chunks % kv_heads, chunk, chunks, parts(few), room_of(worker));
      });
      parallel_for(workers, count * kv_heads, [&](index_t unit, int) {
        const FewQueries<float> few = problem(unit / kv_heads);
        join(few.args, unit % kv_heads, chunks, parts(few));
      });
      return;
    }
  }
  const AttendFew<T> attend = attend_few_at<T>(isa);
  parallel_for(workers, count * kv_heads, [&](index_t unit, int worker) {
    attend(problem(unit / kv_heads).args, 0, unit % kv_heads, room_of(worker));
  });
}

}  // namespace attn::kernels
