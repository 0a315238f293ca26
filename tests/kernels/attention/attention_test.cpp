#include "kernels/attention/attention.hpp"

#include "kernels/attention/problem.hpp"

#include <catch2/catch.hpp>

using namespace attn::kernels;
using namespace attn::test;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

// Shapes that walk every path: direct and tiled, whole and ragged tiles, odd dimensions, groups.
std::vector<Problem<float>> shapes() {
  const struct {
    index_t batch, heads, kv_heads, q_len, kv_len, head_dim, value_dim;
  } all[] = {{1, 1, 1, 1, 1, 1, 1},       {1, 1, 1, 3, 3, 4, 4},     {2, 4, 2, 1, 37, 33, 20},
             {1, 3, 3, 8, 130, 64, 64},   {1, 2, 1, 5, 300, 3, 200}, {2, 6, 2, 9, 9, 16, 33},
             {1, 2, 2, 13, 70, 4, 4},     {1, 1, 1, 70, 64, 64, 64}, {1, 2, 1, 67, 200, 128, 65},
             {1, 1, 1, 300, 270, 33, 16}, {1, 2, 2, 40, 17, 200, 1}, {1, 1, 1, 20, 129, 1, 128},
             {1, 6, 3, 4, 1000, 64, 64},  {2, 2, 1, 8, 513, 20, 36}, {1, 3, 1, 1, 257, 33, 7}};
  std::vector<Problem<float>> problems;
  std::uint32_t seed = 100;
  for (const auto& s : all) {
    for (const int options : {0, 1, 2, 3, 4, 7}) {
      Problem<float> p{s.batch, s.heads, s.kv_heads, s.q_len, s.kv_len, s.head_dim, s.value_dim};
      p.causal = (options & 1) != 0;
      p.masked = (options & 2) != 0;
      p.with_weights = (options & 4) != 0;
      p.scale = 1 / std::sqrt(static_cast<double>(s.head_dim));
      p.fill(seed += 20);
      problems.push_back(std::move(p));
    }
  }
  return problems;
}

template <class T>
std::string described(const Problem<T>& p) {
  std::string text = std::to_string(p.batch) + "x" + std::to_string(p.heads) + "/" +
                     std::to_string(p.kv_heads) + "x" + std::to_string(p.q_len) + "x" +
                     std::to_string(p.kv_len) + "x" + std::to_string(p.head_dim) + "/" +
                     std::to_string(p.value_dim);
  if (p.causal) text += " causal";
  if (p.masked) text += " masked";
  if (p.with_weights) text += " weights";
  return text;
}

// Largest difference where both are finite; infinities must match.
template <class A, class B>
double finite_difference_of(const std::vector<A>& got, const std::vector<B>& exact) {
  double worst = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    const auto g = static_cast<double>(got[i]), e = static_cast<double>(exact[i]);
    if (std::isinf(e) ? g != e : !(std::fabs(g - e) <= worst)) worst = std::fabs(g - e);
    if (std::isinf(e) && g != e) return std::numeric_limits<double>::infinity();
  }
  return worst;
}

}  // namespace

TEST_CASE("attention is the definition, at every level and shape", "[attention]") {
  for (const Problem<float>& problem : shapes()) {
    const Problem<double> exact = defined(problem.as<double>());
    Problem<double> truth = problem.as<double>();
    truth.run(Isa::scalar, serial_workers());
    INFO(described(problem));
    REQUIRE(nmse(truth.out, exact.out) <= 1e-28);
    REQUIRE(finite_difference_of(truth.lse, exact.lse) <= 1e-13);
    for (const Isa isa : supported_isas()) {
      INFO(isa_name(isa));
      Problem<float> p = problem;
      p.run(isa, serial_workers());
      p.out[0] = 7;
      REQUIRE(nmse(p.out, exact.out) <= 1e-11);
      // a score of magnitude ≤ 4√d is a sum of d rounded products
      REQUIRE(finite_difference_of(p.lse, exact.lse) <= 1e-4);
      if (p.with_weights) {
        REQUIRE(nmse(p.weights, exact.weights) <= 1e-11);
        REQUIRE(largest_difference(p.weights, exact.weights) <= 1e-5);
      }
    }
  }
}

TEST_CASE("a query that sees nothing has weights and output 0 and log-sum-exp -inf",
          "[attention]") {
  for (const Isa isa : supported_isas()) {
    for (const index_t q_len : {5, 80}) {
      INFO(isa_name(isa) << " " << q_len);
      Problem<float> p{1, 2, 1, q_len, 70, 16, 20};
      p.with_weights = true;
      p.masked = true;
      p.fill(1);
      for (std::size_t j = 0; j < 70; ++j) p.mask[1 + 2 * 70 + j] = -infinity;  // query 2
      for (const bool causal : {false, true}) {
        p.causal = causal;  // with q_len 80 over 70 keys the queries 0..9 see nothing either
        p.run(isa, serial_workers());
        p.run_backward(isa, serial_workers(), true, true);
        const auto row = static_cast<std::size_t>(2);
        REQUIRE(p.lse[row] == -infinity);
        for (std::size_t j = 0; j < 70; ++j) REQUIRE(p.weights[row * 70 + j] == 0);
        for (std::size_t d = 0; d < 20; ++d) REQUIRE(p.out[1 + row * 40 + d] == 0);
        for (std::size_t d = 0; d < 16; ++d) REQUIRE(p.dq[1 + row * 32 + d] == 0);
        for (const auto* values : {&p.out, &p.weights, &p.dq, &p.dk, &p.dv}) {
          for (const float value : *values) REQUIRE(std::isfinite(value));
        }
      }
    }
  }
}

TEST_CASE("no keys, no queries, no dimensions", "[attention]") {
  for (const Isa isa : supported_isas()) {
    for (const index_t q_len : {0, 3, 20}) {
      for (const index_t kv_len : {0, 5}) {
        for (const index_t head_dim : {0, 4}) {
          for (const index_t value_dim : {0, 4}) {
            INFO(isa_name(isa) << q_len << kv_len << head_dim << value_dim);
            Problem<float> p{1, 1, 1, q_len, kv_len, head_dim, value_dim};
            if (q_len * kv_len == 0) {
              p.fill(3);
              p.dweights.assign(1, 0);
            } else {
              p.with_weights = true;
              p.fill(3);
            }
            p.run(isa, serial_workers());
            p.run_backward(isa, serial_workers(), true, true);
            p.out[0] = 0;
            const auto exact = defined(p.as<double>());
            REQUIRE(largest_difference(p.out, exact.out) <= 1e-6);
            REQUIRE(finite_difference_of(p.lse, exact.lse) <= 1e-6);
            for (std::size_t i = 1; kv_len == 0 && i < p.dq.size(); ++i) REQUIRE(p.dq[i] == 0);
            for (std::size_t i = 1; q_len == 0 && i < p.dk.size(); ++i) REQUIRE(p.dk[i] == 0);
            for (std::size_t i = 1; q_len == 0 && i < p.dv.size(); ++i) REQUIRE(p.dv[i] == 0);
          }
        }
      }
    }
  }
}

TEST_CASE("huge scores pick the largest, NaN stays in its row", "[attention]") {
  for (const Isa isa : supported_isas()) {
    for (const index_t q_len : {4, 40}) {
      INFO(isa_name(isa) << " " << q_len);
      Problem<float> p{1, 1, 1, q_len, 150, 8, 8};
      p.masked = true;
      p.fill(5);
      const auto at = [&](index_t i, index_t j) -> float& {
        return p.mask[static_cast<std::size_t>(1 + i * 150 + j)];
      };
      for (index_t j = 0; j < 150; ++j) at(0, j) = -3e38F;
      at(0, 140) = 3e38F;
      for (index_t j = 0; j < 150; ++j) at(1, j) = -3e38F;
      at(2, 77) = std::nanf("");
      p.run(isa, serial_workers());
      const auto exact = defined(p.as<double>());
      for (index_t i = 0; i < q_len; ++i) {
        for (index_t d = 0; d < 8; ++d) {
          const auto e = static_cast<std::size_t>(1 + i * 8 + d);
          INFO(i << " " << d);
          if (i == 2) {
            REQUIRE(std::isnan(p.out[e]));
          } else if (i == 0) {
            REQUIRE(p.out[e] == p.v[static_cast<std::size_t>(1 + 140 * 8 + d)]);
          } else if (i == 1) {
            // every score rounds to −3e38: equal weights
            REQUIRE(std::isfinite(p.out[e]));
          } else {
            REQUIRE(std::fabs(p.out[e] - exact.out[e]) <= 1e-5);
          }
        }
      }
      REQUIRE(std::isnan(p.lse[2]));
    }
  }
}

TEST_CASE("chunks of keys that a query does not see count for nothing", "[attention]") {
  for (const Isa isa : supported_isas()) {
    INFO(isa_name(isa));
    Problem<float> p{1, 1, 1, 4, 700, 20, 20};
    p.masked = true;
    p.fill(21);
    const auto row = [&](index_t i) { return p.mask.begin() + 1 + i * 700; };
    std::fill(row(0), row(0) + 300, -infinity);
    std::fill(row(0) + 520, row(1), -infinity);
    std::fill(row(1), row(2), -infinity);
    *(row(2) + 600) = std::nanf("");
    const auto exact = defined(p.as<double>());
    p.run(isa, serial_workers());
    for (std::size_t d = 1; d <= 20; ++d) {
      CHECK(std::fabs(p.out[d] - exact.out[d]) <= 1e-5);
      CHECK(p.out[d + 20] == 0);
      CHECK(std::isnan(p.out[d + 40]));
      CHECK(std::fabs(p.out[d + 60] - exact.out[d + 60]) <= 1e-5);
    }
    CHECK(p.lse[1] == -infinity);
  }
}

TEST_CASE("keys and values that causality hides may hold anything", "[attention]") {
  for (const Isa isa : supported_isas()) {
    for (const index_t len : {7, 90}) {
      INFO(isa_name(isa) << " " << len);
      Problem<float> p{1, 1, 1, len, len, 20, 20};
      p.causal = true;
      p.fill(6);
      p.run(isa, serial_workers());
      const auto before = p.out;
      const index_t hidden = len - 3;
      for (index_t e = hidden * 20; e < len * 20; ++e) {
        p.k[static_cast<std::size_t>(1 + e)] = std::nanf("");
        p.v[static_cast<std::size_t>(1 + e)] = e % 2 == 0 ? infinity : std::nanf("");
      }
      p.run(isa, serial_workers());
      const auto seen = static_cast<std::size_t>(1 + hidden * 20);
      REQUIRE(same_bits(std::span<const float>(before.data(), seen),
                        std::span<const float>(p.out.data(), seen)));
      for (std::size_t e = seen; e < p.out.size(); ++e) REQUIRE(std::isnan(p.out[e]));
    }
  }
}

TEST_CASE("attention gives the same bits on any number of threads", "[attention][threads]") {
  for (const Isa isa : supported_isas()) {
    for (const index_t q_len : {1, 5, 300}) {
      for (const bool causal : {false, true}) {
        // three key/value heads, which two threads share by chunks of keys
        Problem<float> alone{2, 6, 3, q_len, 820, 32, 40};
        alone.causal = causal;
        alone.fill(9);
        Problem<float> crowd = alone;
        alone.run(isa, serial_workers());
        alone.run_backward(isa, serial_workers(), true, true);
        for (const int threads : {2, 3, 8}) {
          const auto workers = make_workers(threads);
          crowd.run(isa, *workers);
          crowd.run_backward(isa, *workers, true, true);
          REQUIRE(same_bits(crowd.out, alone.out));
          REQUIRE(same_bits(crowd.lse, alone.lse));
          REQUIRE(same_bits(crowd.dq, alone.dq));
          REQUIRE(same_bits(crowd.dk, alone.dk));
          REQUIRE(same_bits(crowd.dv, alone.dv));
        }
      }
    }
  }
}

TEST_CASE("a query's bits are its own among up to eight", "[attention]") {
  const index_t lens[] = {8, 65, 200, 517}, dims[] = {1, 20, 64, 100};
  for (const Isa isa : supported_isas()) {
    for (const index_t kv_len : lens) {
      for (const index_t dim : dims) {
        for (const bool causal : {false, true}) {
          Problem<float> together{1, 2, 1, 8, kv_len, dim, dim};
          together.causal = causal;
          together.fill(11);
          together.run(isa, serial_workers());
          const auto all = together.args();
          for (index_t i = 0; i < 8; ++i) {
            Problem<float> one = together;
            auto a = one.args();
            a.q_len = 1;
            a.q.data += i * a.q.row_stride;
            if (causal) a.kv_len = i + kv_len - 8 + 1;
            a.log_sum_exp = nullptr;
            std::vector<float> out(static_cast<std::size_t>(2 * dim), 7);
            a.out = {out.data(), 0, dim, dim};
            Problem<float>::run(isa, serial_workers(), a);
            INFO(isa_name(isa) << " " << kv_len << " " << dim << " " << i);
            for (index_t h = 0; h < 2; ++h) {
              const auto n = static_cast<std::size_t>(dim);
              REQUIRE(same_bits(std::span<const float>(all.out.data + h * dim + i * 2 * dim, n),
                                std::span<const float>(out.data() + h * dim, n)));
            }
          }
        }
      }
    }
  }
}
