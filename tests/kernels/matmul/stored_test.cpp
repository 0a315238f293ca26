// Products with weights as a file stores them, against float64.

#include "kernels/matmul/matmul.hpp"
#include "support/stored_weights.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

using namespace attn::kernels;
using attn::test::random_values;

namespace {

struct Problem {
  WeightType type;
  index_t m, n, k;
};

struct Operands {
  std::vector<float> a, weights, bias;  // weights as they are decoded, [n, k]
  std::vector<std::uint8_t> stored;     // from byte 1 on: unaligned
};

Operands operands(const Problem& p) {
  attn::test::StoredMatrix w = attn::test::random_stored(p.type, p.n, p.k, 3);
  Operands o;
  o.a = random_values<float>(static_cast<std::size_t>(p.m * p.k), 1);
  o.bias = random_values<float>(static_cast<std::size_t>(p.n), 2);
  o.stored = std::move(w.bytes);
  o.weights = std::move(w.values);
  return o;
}

std::vector<float> run(const Problem& p, const Operands& o, Isa isa, Workers& workers,
                       bool with_bias = true) {
  MatmulArgs<float> args;
  args.m = p.m;
  args.n = p.n;
  args.k = p.k;
  args.a = {o.a.data(), p.k, 1};
  args.stored = {o.stored.data() + 1, p.type};
  std::vector<float> c(static_cast<std::size_t>(p.m * p.n), NAN);
  args.c = c.data();
  args.stride_c = p.n;
  if (with_bias) args.bias = o.bias.data();
  MatmulProblem problem{p.m, p.n, p.k};
  problem.stored = true;
  const MatmulImpl& impl = choose_matmul(problem, isa);
  std::vector<std::byte> scratch(impl.scratch_bytes(problem, isa, workers.size()) + 64);
  const auto at = reinterpret_cast<std::uintptr_t>(scratch.data());
  args.scratch = scratch.data() + (64 - at % 64) % 64;
  impl.run(isa, workers, args);
  return c;
}

void check(const Problem& p, Isa isa) {
  INFO("type " << static_cast<int>(p.type) << " " << p.m << "x" << p.n << "x" << p.k << " at "
               << isa_name(isa));
  const Operands o = operands(p);
  const std::vector<float> c = run(p, o, isa, serial_workers());
  for (index_t i = 0; i < p.m; ++i) {
    for (index_t j = 0; j < p.n; ++j) {
      double sum = 0, magnitude = 0;
      for (index_t l = 0; l < p.k; ++l) {
        const float x = o.a[static_cast<std::size_t>(i * p.k + l)];
        const float w = o.weights[static_cast<std::size_t>(j * p.k + l)];
        sum += static_cast<double>(x) * static_cast<double>(w);
        magnitude += std::fabs(static_cast<double>(x) * static_cast<double>(w));
      }
      const double bias = o.bias[static_cast<std::size_t>(j)];
      const double bound =
          std::ldexp(static_cast<double>(p.k) + 8, -24) * (magnitude + std::fabs(bias)) + 1e-30;
      const double got = c[static_cast<std::size_t>(i * p.n + j)];
      REQUIRE(std::fabs(got - sum - bias) <= bound);
    }
  }
  for (const int threads : {2, 3}) {
    CHECK(run(p, o, isa, *make_thread_workers(threads)) == c);
  }
}

}  // namespace

TEST_CASE("products with stored weights are as exact as with floats", "[matmul][quant][isa]") {
  for (const Isa isa : supported_isas()) {
    for (const WeightType type : all_weight_types) {
      for (const index_t m : {1, 3, 8, 9, 50}) {
        check({type, m, 37, 256}, isa);
        check({type, m, 130, 512}, isa);
      }
      check({type, 17, 65, 2560}, isa);  // more than one block along k
      if (block_weights(type) == 1) {
        for (const index_t k : {1, 31, 33, 100}) {
          check({type, 1, 5, k}, isa);
          check({type, 12, 5, k}, isa);
        }
      }
    }
  }
}

TEST_CASE("a row's product with stored weights has the same bits alone or among eight",
          "[matmul][quant][isa]") {
  for (const Isa isa : supported_isas()) {
    for (const WeightType type : all_weight_types) {
      const Problem eight{type, 8, 70, 512};
      const Operands o = operands(eight);
      const std::vector<float> all = run(eight, o, isa, serial_workers());
      for (index_t m = 1; m < 8; ++m) {
        for (index_t first = 0; first + m <= 8; first += m) {
          Operands some = o;
          some.a.assign(o.a.begin() + first * 512, o.a.begin() + (first + m) * 512);
          const std::vector<float> rows = run({type, m, 70, 512}, some, isa, serial_workers());
          CHECK(std::memcmp(rows.data(), all.data() + first * 70, rows.size() * sizeof(float)) ==
                0);
        }
      }
    }
  }
}

TEST_CASE("stored weights meet small whole numbers exactly", "[matmul][quant][isa]") {
  for (const Isa isa : supported_isas()) {
    for (const index_t m : {2, 30}) {
      Operands o;
      const index_t n = 19, k = 96;
      std::vector<float> w;
      for (index_t i = 0; i < m * k; ++i) o.a.push_back(static_cast<float>(i * 7 % 13 - 6));
      for (index_t i = 0; i < n * k; ++i) w.push_back(static_cast<float>(i * 5 % 11 - 5));
      o.stored.resize(static_cast<std::size_t>(row_bytes(WeightType::f16, n * k)) + 1);
      quantize(WeightType::f16, n * k, w.data(), o.stored.data() + 1);
      const std::vector<float> c = run({WeightType::f16, m, n, k}, o, isa, serial_workers(), false);
      for (index_t i = 0; i < m; ++i) {
        for (index_t j = 0; j < n; ++j) {
          float sum = 0;
          for (index_t l = 0; l < k; ++l) {
            sum +=
                o.a[static_cast<std::size_t>(i * k + l)] * w[static_cast<std::size_t>(j * k + l)];
          }
          REQUIRE(c[static_cast<std::size_t>(i * n + j)] == sum);
        }
      }
    }
  }
}
