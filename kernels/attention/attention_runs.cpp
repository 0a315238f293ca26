// Sequences that each have a slot of a cache: a run of up to eight rows, as one that is being
// decoded has, goes the few queries' way together with all others; a longer one, a prompt, by
// itself.

#include "kernels/attention/attention_few.hpp"

#include <algorithm>

namespace attn::kernels {
namespace {

template <class T>
AttentionArgs<T> problem_of(const AttentionArgs<T>& a, const CacheRun& run) {
  AttentionArgs<T> one = a;
  one.q_len = run.rows;
  one.kv_len = run.length;
  one.causal = true;
  one.q.data += run.first * a.q.row_stride;
  one.out.data += run.first * a.out.row_stride;
  skip(one, run.slot * a.k.batch_stride, run.slot * a.v.batch_stride);
  return one;
}

// Windows are a matter of attention() too: the few who have them pay with a call a sequence.
template <class T>
bool goes_alone(const AttentionArgs<T>& a, const CacheRun& run) {
  return run.rows > attention_few_queries || (a.window > 0 && run.length > a.window);
}

}  // namespace

std::size_t attention_runs_scratch_bytes(Isa isa, int workers, index_t heads, index_t kv_heads,
                                         index_t rows, index_t runs, index_t capacity,
                                         index_t head_dim, index_t value_dim, WeightType stored) {
  const index_t few = std::min(rows, runs * attention_few_queries);
  return std::max(few_room_bytes(isa, workers, stored, head_dim, value_dim) +
                      attend_few_scratch_bytes(isa, few, heads, capacity, value_dim),
                  attention_scratch_bytes(isa, workers, 1, heads, kv_heads, rows, capacity,
                                          head_dim, value_dim, stored));
}

template <class T>
void attention_runs(Isa isa, Workers& workers, const AttentionArgs<T>& args, index_t count,
                    const CacheRun* runs) {
  index_t longest = 0, work = 0;
  for (index_t r = 0; r < count; ++r) {
    if (goes_alone(args, runs[r])) continue;
    longest = std::max<index_t>(longest, runs[r].length);
    work += index_t{runs[r].rows} * runs[r].length;
  }
  work *= args.heads * (args.head_dim + args.value_dim);
  Workers& crew = work < attention_worth_threads ? serial_workers() : workers;
  const auto problem = [&](index_t r) {
    FewQueries<T> few{problem_of(args, runs[r]), 0};
    if (goes_alone(args, runs[r])) few.args.q_len = few.args.kv_len = 0;
    for (index_t s = 0; s < r; ++s)
      few.queries_before += goes_alone(args, runs[s]) ? 0 : runs[s].rows;
    return few;
  };
  if (longest > 0) {
    attend_few_each<T>(isa, crew, count, args.kv_heads, longest, few_room(isa, args), args.scratch,
                       problem);
  }
  for (index_t r = 0; r < count; ++r) {
    if (goes_alone(args, runs[r])) attention(isa, workers, problem_of(args, runs[r]));
  }
}

template void attention_runs(Isa, Workers&, const AttentionArgs<float>&, index_t, const CacheRun*);
template void attention_runs(Isa, Workers&, const AttentionArgs<double>&, index_t, const CacheRun*);

}  // namespace attn::kernels
