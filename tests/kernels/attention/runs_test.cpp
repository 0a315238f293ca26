// Sequences in slots of a cache, against each alone.

#include "kernels/attention/problem.hpp"

#include <catch2/catch.hpp>

using namespace attn::kernels;
using namespace attn::test;

namespace {

constexpr index_t heads = 6, kv_heads = 3, dim = 20, capacity = 700, slots = 5;

// Five sequences at different places, in slots that are not in order; the third reads a prompt.
const std::vector<CacheRun> some_runs{
    {0, 1, 3, 1}, {1, 1, 0, 700}, {2, 40, 4, 300}, {42, 8, 1, 513}, {50, 1, 2, 257}};
constexpr index_t rows = 51;

struct Cache {
  std::vector<float> q = random_values<float>(rows * heads * dim, 1);
  std::vector<float> k = random_values<float>(slots * capacity * kv_heads * dim, 2);
  std::vector<float> v = random_values<float>(slots * capacity * kv_heads * dim, 3);
  std::vector<float> out = std::vector<float>(q.size(), 7);
  index_t window = 0;

  AttentionArgs<float> args() {
    return InSlots{heads, kv_heads, rows, capacity, dim}.args(q.data(), k.data(), v.data(),
                                                              out.data(), window);
  }

  void run(Isa isa, Workers& workers) {
    AttentionArgs<float> a = args();
    const Scratch scratch(attention_runs_scratch_bytes(isa, workers.size(), heads, kv_heads, rows,
                                                       std::ssize(some_runs), capacity, dim, dim));
    a.scratch = scratch.data();
    attention_runs(isa, workers, a, std::ssize(some_runs), some_runs.data());
  }
};

}  // namespace

TEST_CASE("sequences in slots have the bits that each has alone, on any number of threads",
          "[attention][isa]") {
  for (const Isa isa : supported_isas()) {
    for (const index_t window : {0, 280}) {
      INFO(isa_name(isa) << " window " << window);
      Cache cache;
      cache.window = window;
      cache.run(isa, serial_workers());
      for (const CacheRun& run : some_runs) {
        Cache alone;
        alone.window = window;
        AttentionArgs<float> a = alone.args();
        a.q_len = run.rows;
        a.kv_len = run.length;
        a.q.data += run.first * a.q.row_stride;
        a.out.data += run.first * a.out.row_stride;
        a.k.data += run.slot * a.k.batch_stride;
        a.v.data += run.slot * a.v.batch_stride;
        Problem<float>::run(isa, serial_workers(), a);
        const auto first = static_cast<std::size_t>(run.first * heads * dim);
        const auto count = static_cast<std::size_t>(run.rows * heads * dim);
        CHECK(same_bits(std::span<const float>(cache.out).subspan(first, count),
                        std::span<const float>(alone.out).subspan(first, count)));
      }
      for (const int threads : {2, 3, 8}) {
        Cache crowd;
        crowd.window = window;
        crowd.run(isa, *make_workers(threads));
        CHECK(same_bits(crowd.out, cache.out));
      }
    }
  }
}
