// Attention with products of bfloat16: near the definition in float64, and as careful as f32 with
// what causality hides.

// AMX's product in plain C++, for machines without it.
#define ATTN_AMX_EMULATED
#define ATTN_ISA_NS amx_emulated_attention
#include "kernels/attention/attention_pairs.hpp"
#include "kernels/attention/problem.hpp"
#include "kernels/tiles/pairs_amx.cpp"  // NOLINT(bugprone-suspicious-include)

#include <catch2/catch.hpp>

#include <map>

using namespace attn::kernels;
using namespace attn::test;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

AttentionArgs<float> rounded_args(Problem<float>& p) {
  AttentionArgs<float> a = p.args();
  a.log_sum_exp = nullptr;
  a.bf16 = true;
  return a;
}

void run_rounded(Isa isa, Workers& workers, Problem<float>& p) {
  Problem<float>::run(isa, workers, rounded_args(p));
}

// Tiles of queries and blocks of keys, whole and ragged; dimensions that are no whole panels.
std::vector<Problem<float>> shapes() {
  const struct {
    index_t batch, heads, kv_heads, q_len, kv_len, head_dim, value_dim;
  } all[] = {{1, 1, 1, 9, 9, 64, 64},      {1, 9, 3, 100, 100, 64, 64}, {2, 6, 2, 70, 300, 32, 33},
             {1, 2, 1, 33, 129, 33, 20},   {1, 4, 4, 300, 300, 32, 32}, {1, 16, 1, 40, 257, 96, 64},
             {1, 1, 1, 300, 270, 128, 16}, {1, 2, 2, 40, 17, 200, 1},   {1, 3, 1, 65, 128, 1, 7}};
  std::vector<Problem<float>> problems;
  std::uint32_t seed = 300;
  for (const auto& s : all) {
    for (const int options : {0, 1, 2, 3}) {
      Problem<float> p{s.batch, s.heads, s.kv_heads, s.q_len, s.kv_len, s.head_dim, s.value_dim};
      p.causal = (options & 1) != 0;
      p.masked = (options & 2) != 0;
      p.scale = 1 / std::sqrt(static_cast<double>(s.head_dim));
      p.fill(seed += 20);
      problems.push_back(std::move(p));
    }
  }
  return problems;
}

// Scores of magnitude 2 and weights and values are off by some 2⁻⁹ of each.
constexpr double bound = 1e-4;

}  // namespace

TEST_CASE("attention in bfloat16 is near the definition at every level", "[attention]") {
  std::map<Isa, int> other;  // shapes at which it is something else that runs
  for (const Problem<float>& problem : shapes()) {
    const Problem<double> exact = defined(problem.as<double>());
    for (const Isa isa : supported_isas()) {
      INFO(isa_name(isa) << " " << problem.heads << "/" << problem.kv_heads << "x" << problem.q_len
                         << "x" << problem.kv_len << "x" << problem.head_dim);
      Problem<float> p = problem, f32 = problem;
      run_rounded(isa, serial_workers(), p);
      f32.run(isa, serial_workers());
      other[isa] += same_bits(p.out, f32.out) ? 0 : 1;
      p.out[0] = 7;
      CHECK(nmse(p.out, exact.out) <= bound);
    }
  }
  for (const Isa isa : supported_isas()) CHECK((other[isa] > 20) == has_dot_products(isa));
}

TEST_CASE("attention in bfloat16 on AMX's product is near the definition", "[attention]") {
  if (!has_dot_products(supported_isas().back())) return;  // what packs needs them
  const PairsKernels kernels{amx_emulated_attention::multiply_pairs, avx512_dot::round_row,
                             avx512_dot::pack_key_pairs, avx512_dot::pack_value_pairs};
  int taken = 0;
  for (const Problem<float>& problem : shapes()) {
    const Problem<double> exact = defined(problem.as<double>());
    Problem<float> p = problem;
    const AttentionArgs<float> a = rounded_args(p);
    const index_t group = p.heads / p.kv_heads, step = pairs_queries(group);
    const Scratch scratch(
        static_cast<std::size_t>(PairsScratch(group, p.head_dim, p.value_dim).bytes));
    const Scratch room(attention_scratch_bytes(Isa::avx512, 1, 1, p.heads, p.kv_heads, p.q_len,
                                               p.kv_len, p.head_dim, p.value_dim));
    for (index_t unit = 0; unit < p.batch * p.kv_heads; ++unit) {
      for (index_t i = 0; i < p.q_len; i += step) {
        const index_t b = unit / p.kv_heads, kv_head = unit % p.kv_heads;
        const index_t end = std::min(p.q_len, i + step);
        if (avx512::attend_pairs(a, b, kv_head, i, end, kernels, scratch.data())) {
          ++taken;
        } else {
          attend_pairs(Isa::avx512, a, b, kv_head, i, end, room.data());
        }
      }
    }
    CHECK(nmse(p.out, exact.out) <= bound);
  }
  CHECK(taken > 20);
}

TEST_CASE("keys that lie far from 0 together cost attention in bfloat16 nothing", "[attention]") {
  for (const Isa isa : supported_isas()) {
    Problem<float> p{1, 2, 1, 100, 200, 64, 64};
    p.scale = 0.125;
    p.fill(41);
    for (std::size_t i = 1; i < p.k.size(); ++i) p.k[i] += (i - 1) % 64 < 8 ? 30.0F : 0.0F;
    const Problem<double> exact = defined(p.as<double>());
    run_rounded(isa, serial_workers(), p);
    p.out[0] = 7;
    CHECK(nmse(p.out, exact.out) <= bound);
  }
}

TEST_CASE("attention in bfloat16 keeps what causality hides, and NaN, out of other rows",
          "[attention]") {
  for (const Isa isa : supported_isas()) {
    for (const bool keys : {false, true}) {
      INFO(isa_name(isa) << (keys ? " keys" : " values"));
      Problem<float> p{1, 3, 1, 150, 150, 32, 32};
      p.causal = true;
      p.fill(6);
      const index_t hidden = 147, width = 3 * 32;
      const Problem<double> exact = defined(p.as<double>());
      for (index_t e = hidden * 32; e < 150 * 32; ++e) {
        (keys ? p.k : p.v)[static_cast<std::size_t>(1 + e)] = e % 2 == 0 ? infinity : std::nanf("");
      }
      p.q[1 + 5 * width] = std::nanf("");  // query 5 of head 0
      run_rounded(isa, serial_workers(), p);
      for (index_t i = 0; i < hidden * width; ++i) {
        const auto at = static_cast<std::size_t>(1 + i);
        if (i / width == 5 && i % width < 32) {
          REQUIRE(std::isnan(p.out[at]));
        } else {
          REQUIRE(std::fabs(p.out[at] - exact.out[at]) <= 0.05);
        }
      }
      for (auto at = static_cast<std::size_t>(1 + hidden * width); at < p.out.size(); ++at) {
        REQUIRE(!std::isfinite(p.out[at]));
      }
    }
  }
}

TEST_CASE("hidden and masked keys may be large in bfloat16 as well", "[attention]") {
  for (const Isa isa : supported_isas()) {
    for (const bool masked : {false, true}) {
      INFO(isa_name(isa) << (masked ? " masked" : " hidden"));
      Problem<float> p{1, 1, 1, 120, 120, 64, 64};
      p.scale = 0.125;
      p.causal = !masked;
      p.masked = masked;
      p.fill(51);
      const index_t large = 60;
      p.k[static_cast<std::size_t>(1 + large * 64)] = 1e30F;
      for (std::size_t i = 0; masked && i < 120; ++i) p.mask[1 + i * 120 + large] = -infinity;
      const Problem<double> exact = defined(p.as<double>());
      run_rounded(isa, serial_workers(), p);
      const index_t fine = masked ? 120 : large;  // rows that do not see it
      for (index_t i = 0; i < fine * 64; ++i) {
        const auto at = static_cast<std::size_t>(1 + i);
        REQUIRE(std::fabs(p.out[at] - exact.out[at]) <= 0.05);
      }
    }
  }
}

TEST_CASE("a query that sees nothing has output 0 in bfloat16 too", "[attention]") {
  for (const Isa isa : supported_isas()) {
    Problem<float> p{1, 2, 1, 180, 70, 16, 20};
    p.causal = true;  // the queries 0..109 see nothing
    p.masked = true;
    p.fill(1);
    for (std::size_t j = 0; j < 70; ++j) p.mask[1 + 150 * 70 + j] = -infinity;
    run_rounded(isa, serial_workers(), p);
    for (std::size_t i = 0; i < 180; ++i) {
      for (std::size_t d = 0; d < 40; ++d) {
        const float out = p.out[1 + i * 40 + d];
        REQUIRE(std::isfinite(out));
        REQUIRE((out == 0) == (i < 110 || i == 150));
      }
    }
  }
}

TEST_CASE("attention in bfloat16 gives the same bits on any number of threads",
          "[attention][threads]") {
  for (const Isa isa : supported_isas()) {
    Problem<float> alone{2, 6, 3, 300, 820, 32, 40};
    alone.causal = true;
    alone.fill(9);
    Problem<float> crowd = alone;
    run_rounded(isa, serial_workers(), alone);
    for (const int threads : {2, 3, 8}) {
      const auto workers = make_workers(threads);
      run_rounded(isa, *workers, crowd);
      REQUIRE(same_bits(crowd.out, alone.out));
    }
  }
}

TEST_CASE("packed sequences in bfloat16 are what each is alone", "[attention]") {
  const std::vector<std::int32_t> starts{0, 5, 105, 105, 140, 300};
  for (const Isa isa : supported_isas()) {
    INFO(isa_name(isa));
    Problem<float> all{1, 4, 2, 300, 300, 32, 32};
    all.fill(77);
    const AttentionArgs<float> a = rounded_args(all);
    const Scratch scratch(attention_scratch_bytes(isa, 1, 1, 4, 2, 300, 300, 32, 32));
    AttentionArgs<float> together = a;
    together.scratch = scratch.data();
    attention_sequences(isa, serial_workers(), together, 5, starts.data());
    const std::vector<float> packed = all.out;
    for (std::size_t s = 0; s + 1 < starts.size(); ++s) {
      const index_t first = starts[s], length = starts[s + 1] - first;
      AttentionArgs<float> one = a;
      one.q_len = one.kv_len = length;
      one.q.data += first * a.q.row_stride;
      one.k.data += first * a.k.row_stride;
      one.v.data += first * a.v.row_stride;
      one.out.data += first * a.out.row_stride;
      Problem<float>::run(isa, serial_workers(), one);
    }
    REQUIRE(same_bits(packed, all.out));
  }
}
