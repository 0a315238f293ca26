// Projections taken together are, bit for bit, those taken one by one, which are held to float64
// elsewhere (tests/kernels/tiles).

#include "kernels/matmul/projections.hpp"

#include "kernels/norm/norm.hpp"
#include "kernels/tiles/tiles.hpp"
#include "support/numbers.hpp"
#include "support/stored_weights.hpp"

#include <catch2/catch.hpp>

#include <new>
#include <vector>

using namespace attn::kernels;
using namespace attn::test;

namespace {

struct Free {
  void operator()(void* memory) const { ::operator delete(memory, std::align_val_t(64)); }
};
using Aligned = std::unique_ptr<std::uint8_t, Free>;

Aligned aligned(std::size_t bytes) {
  return Aligned(static_cast<std::uint8_t*>(::operator new(bytes + 1, std::align_val_t(64))));
}

struct Weight {
  WeightType type;
  index_t n;
  Aligned tiles;
};

Weight weight(WeightType type, index_t n, index_t k, std::uint32_t seed) {
  const StoredMatrix stored = random_stored(type, n, k, seed);
  Weight made{type, n, aligned(static_cast<std::size_t>(tiled_bytes(type, n, k)))};
  for (index_t band = 0; band < ceil_div(n, tile_rows); ++band) {
    write_tiles(type, n, k, stored.data(), band,
                made.tiles.get() + band * tile_band_bytes(type, k));
  }
  return made;
}

std::vector<Isa> levels(index_t m) {
  std::vector<Isa> all;
  for (const Isa isa : supported_isas()) {
    if (projects(isa, m)) all.push_back(isa);
  }
  return all;
}

constexpr index_t gap = 3;  // between C's rows, which nobody may touch

void run(Isa isa, Workers& workers, Projections p) {
  const Aligned scratch =
      aligned(projections_scratch_bytes(isa, workers.size(), p.m, p.k, p.gated));
  p.scratch = scratch.get();
  project(isa, workers, p);
}

std::vector<float> normed(Isa isa, index_t m, index_t k, const std::vector<float>& a,
                          const std::vector<float>& gamma) {
  std::vector<float> out(a.size());
  rms_norm<float>(isa, serial_workers(), m, k, 1e-5F, a.data(), gamma.data(), out.data(), nullptr);
  return out;
}

struct Case {
  index_t m, k;
  std::vector<std::pair<WeightType, index_t>> weights;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const index_t m : {1, 5, 8, 9, 16, 17, 530}) {
    all.push_back(
        {m, 96, {{WeightType::q4_1, 72}, {WeightType::q8_0, 40}, {WeightType::q5_0, 33}}});
    all.push_back({m, 256, {{WeightType::q4_k, 500}, {WeightType::q6_k, 16}}});
    all.push_back({m, 45, {{WeightType::f16, 1}, {WeightType::bf16, 50}}});
  }
  return all;
}

}  // namespace

TEST_CASE("projections together are those one by one", "[matmul][tiles]") {
  for (const auto& [m, k, kinds] : cases()) {
    const auto a = random_values<float>(static_cast<std::size_t>(m * k), 1);
    const auto gamma = random_values<float>(static_cast<std::size_t>(k), 2);
    std::vector<Weight> weights;
    std::vector<std::vector<float>> bias, add;
    for (const auto& [type, n] : kinds) {
      weights.push_back(weight(type, n, k, 3));
      bias.push_back(random_values<float>(static_cast<std::size_t>(n), 4));
      add.push_back(random_values<float>(static_cast<std::size_t>(m * (n + gap)), 5));
    }
    for (const Isa isa : levels(m)) {
      INFO(isa_name(isa) << " m " << m << " k " << k);
      const std::vector<float> h = normed(isa, m, k, a, gamma);
      std::vector<std::vector<float>> alone, together;
      std::vector<Projection> each;
      for (std::size_t w = 0; w < weights.size(); ++w) {
        const index_t n = weights[w].n, row = n + gap;
        alone.emplace_back(static_cast<std::size_t>(m * row), 7.0F);
        Projection one;
        one.weights = {nullptr, weights[w].type, weights[w].tiles.get()};
        one.n = n;
        one.c = alone.back().data();
        one.stride_c = row;
        one.alpha = w == 0 ? 1.0F : 0.5F;
        one.bias = w == 1 ? nullptr : bias[w].data();
        if (w == 2) one.activation = Unary::gelu;
        one.add = w == 0 ? nullptr : add[w].data();
        one.stride_add = row;
        Projections single;
        single.m = m;
        single.k = k;
        single.a = {h.data(), k, 1};
        single.each = {&one, 1};
        run(isa, serial_workers(), single);
        for (index_t i = 0; i < m; ++i) {
          for (index_t j = n; j < row; ++j) {
            REQUIRE(alone.back()[static_cast<std::size_t>(i * row + j)] == 7);
          }
        }
        each.push_back(one);
        together.emplace_back(static_cast<std::size_t>(m * row), 7.0F);
      }
      for (std::size_t w = 0; w < weights.size(); ++w) each[w].c = together[w].data();
      Projections all;
      all.m = m;
      all.k = k;
      all.a = {a.data(), k, 1};
      all.norm_eps = 1e-5F;
      all.gamma = gamma.data();
      all.each = each;
      for (const int threads : {1, 2, 3, 8}) {
        const auto workers = make_workers(threads);
        run(isa, *workers, all);
        for (std::size_t w = 0; w < weights.size(); ++w) REQUIRE(same_bits(together[w], alone[w]));
      }
    }
  }
}

TEST_CASE("a projection is added to what C holds, of more than 8 rows", "[matmul][tiles]") {
  for (const index_t m : {9, 12, 16, 17, 70}) {
    const index_t k = 64, n = 40;
    const auto a = random_values<float>(static_cast<std::size_t>(m * k), 1);
    const auto before = random_values<float>(static_cast<std::size_t>(m * n), 2);
    const Weight w = weight(WeightType::q4_1, n, k, 9);
    for (const Isa isa : levels(m)) {
      std::vector<float> product(before.size()), sum = before;
      Projection one;
      one.weights = {nullptr, w.type, w.tiles.get()};
      one.n = one.stride_c = one.stride_add = n;
      Projections p;
      p.m = m;
      p.k = k;
      p.a = {a.data(), k, 1};
      one.c = product.data();
      p.each = {&one, 1};
      run(isa, serial_workers(), p);
      one.c = sum.data();
      one.add = sum.data();
      run(isa, serial_workers(), p);
      // they may round differently: 2⁻⁷ of Σ |a| |w|, which is below 64
      for (std::size_t i = 0; i < sum.size(); ++i) {
        REQUIRE(std::fabs(sum[i] - before[i] - product[i]) <= 0.5F);
      }
    }
  }
}

TEST_CASE("a transposed A is the same rows", "[matmul][tiles]") {
  for (const index_t m : {3, 40}) {
    const index_t k = 64, n = 40;
    const auto a = random_values<float>(static_cast<std::size_t>(m * k), 1);
    std::vector<float> columns(a.size());
    for (index_t i = 0; i < m; ++i) {
      for (index_t j = 0; j < k; ++j) {
        columns[static_cast<std::size_t>(j * m + i)] = a[static_cast<std::size_t>(i * k + j)];
      }
    }
    const Weight w = weight(WeightType::q5_0, n, k, 9);
    for (const Isa isa : levels(m)) {
      std::vector<float> expected(static_cast<std::size_t>(m * n)), got = expected;
      Projection one;
      one.weights = {nullptr, w.type, w.tiles.get()};
      one.n = one.stride_c = n;
      Projections p;
      p.m = m;
      p.k = k;
      p.norm_eps = 1e-6F;
      one.c = expected.data();
      p.each = {&one, 1};
      p.a = {a.data(), k, 1};
      run(isa, serial_workers(), p);
      one.c = got.data();
      p.a = {columns.data(), 1, m};
      run(isa, serial_workers(), p);
      REQUIRE(same_bits(expected, got));
    }
  }
}

TEST_CASE("a gated pair of projections is silu of one times the other", "[matmul][tiles]") {
  for (const index_t m : {1, 7, 8, 9, 100, 530}) {
    for (const index_t n : {16, 50, 1000}) {
      const index_t k = 96;
      const auto a = random_values<float>(static_cast<std::size_t>(m * k), 1);
      const auto bias = random_values<float>(static_cast<std::size_t>(n), 2);
      const Weight gate = weight(WeightType::q4_0, n, k, 3), up = weight(WeightType::q5_1, n, k, 4);
      for (const Isa isa : levels(m)) {
        INFO(isa_name(isa) << " m " << m << " n " << n);
        const auto size = static_cast<std::size_t>(m * n);
        std::vector<float> left(size), right(size), got(size);
        Projection each[2];
        each[0].weights = {nullptr, gate.type, gate.tiles.get()};
        each[1].weights = {nullptr, up.type, up.tiles.get()};
        each[0].bias = bias.data();
        each[1].alpha = 0.25F;
        each[0].n = each[1].n = each[0].stride_c = each[1].stride_c = n;
        each[0].c = left.data();
        each[1].c = right.data();
        Projections p;
        p.m = m;
        p.k = k;
        p.a = {a.data(), k, 1};
        p.each = each;
        run(isa, serial_workers(), p);
        gated_silu(isa, serial_workers(), m * n, left.data(), right.data(), left.data());
        each[0].c = got.data();
        each[1].c = nullptr;
        p.gated = true;
        for (const int threads : {1, 3}) {
          const auto workers = make_workers(threads);
          run(isa, *workers, p);
          REQUIRE(same_bits(got, left));
        }
      }
    }
  }
}
