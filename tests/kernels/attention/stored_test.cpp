// Keys and values stored in fewer bits: attention is that of the numbers which are stored.

#include "kernels/attention/problem.hpp"
#include "kernels/cache/cache.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <vector>

using namespace attn::kernels;
using namespace attn::test;

namespace {

using Bytes = std::vector<std::byte>;

// What a cache keeps of the numbers from element 1 on (a Problem's buffers begin there), and in
// their place the numbers that it keeps.
Bytes store(WeightType type, std::vector<float>& numbers) {
  const index_t n = std::ssize(numbers) - 1;
  Bytes bytes(static_cast<std::size_t>(row_bytes(type, n)));
  store_in_cache(Isa::scalar, type, n, numbers.data() + 1, bytes.data());
  dequantize(Isa::scalar, type, n, bytes.data(), numbers.data() + 1);
  return bytes;
}

AttentionArgs<float> of_stored(AttentionArgs<float> a, WeightType type, const Bytes& k,
                               const Bytes& v) {
  a.stored = {type, k.data(), v.data()};
  a.k.data = a.v.data = nullptr;
  return a;
}

struct Case {
  index_t q_len, kv_len, head_dim, value_dim, window;
  bool causal, masked, with_weights;
};

void check(const Case& c, WeightType type) {
  Problem<float> plain{.batch = 2,
                       .heads = 6,
                       .kv_heads = 2,
                       .q_len = c.q_len,
                       .kv_len = c.kv_len,
                       .head_dim = c.head_dim,
                       .value_dim = c.value_dim,
                       .causal = c.causal,
                       .masked = c.masked,
                       .with_weights = c.with_weights};
  plain.fill(static_cast<std::uint32_t>(c.q_len + c.kv_len));
  const Bytes k = store(type, plain.k), v = store(type, plain.v);
  const Problem<double> exact = defined(plain.as<double>());
  for (const Isa isa : supported_isas()) {
    INFO(isa_name(isa) << ", " << c.q_len << " queries, " << c.kv_len << " keys, " << c.head_dim
                       << " and " << c.value_dim << " dimensions, window " << c.window);
    Problem<float> numbers = plain;
    AttentionArgs<float> a = numbers.args();
    a.window = c.window;
    Problem<float>::run(isa, serial_workers(), a);
    if (c.window == 0) CHECK(nmse(numbers.out, exact.out) <= 1e-10);
    for (const int threads : {1, 2, 3}) {
      Problem<float> stored = plain;
      AttentionArgs<float> b = of_stored(stored.args(), type, k, v);
      b.window = c.window;
      Problem<float>::run(isa, *make_workers(threads), b);
      CHECK(same_bits(stored.out, numbers.out));
      CHECK(same_bits(stored.lse, numbers.lse));
      CHECK(same_bits(stored.weights, numbers.weights));
    }
  }
}

}  // namespace

TEST_CASE("attention to a stored cache has the bits of attention to the numbers it keeps",
          "[attention][cache][isa]") {
  for (const WeightType type : {WeightType::bf16, WeightType::q8_0}) {
    for (const index_t q_len : {1, 3, 8, 9, 40}) {
      for (const index_t kv_len : {40, 129, 256, 700}) {
        check({q_len, kv_len, 64, 64, 0, true, false, false}, type);
        check({q_len, kv_len, 32, 64, 50, true, false, false}, type);
      }
      check({q_len, 300, 96, 32, 0, false, true, true}, type);
      check({q_len, 300, 32, 96, 0, true, false, true}, type);
    }
  }
  check({300, 300, 64, 64, 0, true, false, false}, WeightType::bf16);
  for (const index_t dim : {1, 5, 16, 33}) {
    for (const index_t q_len : {1, 9}) {
      check({q_len, 300, dim, 20, 0, true, false, false}, WeightType::bf16);
      check({q_len, 50, 20, dim, 0, true, false, false}, WeightType::bf16);
    }
  }
}

TEST_CASE("sequences in slots of a stored cache have the bits of the numbers it keeps",
          "[attention][cache][isa]") {
  constexpr index_t heads = 6, kv_heads = 2, dim = 32, slots = 3, capacity = 600, rows = 22;
  const std::vector<CacheRun> runs{{0, 1, 2, 600}, {1, 12, 0, 300}, {13, 8, 1, 17}, {21, 1, 2, 3}};
  const std::vector<float> q = random_values(rows * heads * dim, 1);
  for (const WeightType type : {WeightType::bf16, WeightType::q8_0}) {
    std::vector<float> k = random_values(slots * capacity * kv_heads * dim + 1, 2);
    std::vector<float> v = random_values(slots * capacity * kv_heads * dim + 1, 3);
    const Bytes stored_k = store(type, k), stored_v = store(type, v);
    for (const Isa isa : supported_isas()) {
      for (const index_t window : {0, 280}) {
        INFO(isa_name(isa) << " window " << window);
        const auto run = [&](bool stored, Workers& workers) {
          std::vector<float> out(q.size(), 7);
          AttentionArgs<float> a = InSlots{heads, kv_heads, rows, capacity, dim}.args(
              q.data(), k.data() + 1, v.data() + 1, out.data(), window);
          if (stored) a = of_stored(a, type, stored_k, stored_v);
          const Scratch scratch(attention_runs_scratch_bytes(isa, workers.size(), heads, kv_heads,
                                                             rows, std::ssize(runs), capacity, dim,
                                                             dim, a.stored.type));
          a.scratch = scratch.data();
          attention_runs(isa, workers, a, std::ssize(runs), runs.data());
          return out;
        };
        const std::vector<float> numbers = run(false, serial_workers());
        for (const int threads : {1, 2, 3}) {
          CHECK(same_bits(run(true, *make_workers(threads)), numbers));
        }
      }
    }
  }
}
