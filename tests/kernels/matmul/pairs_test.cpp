// Products that may be rounded to bfloat16 and whose operands do not stand still: what training
// multiplies. And stored weights as the rows of B, rounded or not.

#include "kernels/matmul/matmul.hpp"
#include "support/numbers.hpp"
#include "support/stored_weights.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <cstdlib>
#include <memory>
#include <optional>
#include <ostream>
#include <string>

using namespace attn::kernels;
using namespace attn::test;

namespace {

struct Case {
  index_t m, n, k;
  bool a_transposed = false, b_transposed = false;
  std::optional<WeightType> stored = {};
  bool accumulate = false, bias = false;
  float alpha = 1;
  std::optional<Unary> activation = {};
  bool bf16 = true;
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
  out << c.m << "x" << c.k << (c.a_transposed ? "'" : "") << " by " << c.k << "x" << c.n
      << (c.b_transposed ? "'" : "");
  if (c.stored) out << " of type " << static_cast<int>(*c.stored);
  return out << (c.accumulate ? " added" : "") << (c.activation ? " activated" : "")
             << (c.bf16 ? " bf16" : "");
}

std::size_t count(index_t n) { return static_cast<std::size_t>(n); }

/// Rows are further apart than they are long, but for stored ones.
struct Operands {
  explicit Operands(const Case& c, bool whole = false)
      : lda((c.a_transposed ? c.m : c.k) + 3),
        ldb((c.b_transposed ? c.k : c.n) + 5),
        ldc(c.n + 2),
        // no longer than what may be read, for the sanitizer to see
        a(values((c.a_transposed ? c.k : c.m) * lda - 3, 1, whole)),
        b(values((c.b_transposed ? c.n : c.k) * ldb - 5, 2, whole)),
        bias(values(c.n, 3, whole)),
        result(values(c.m * ldc - 2, 4, whole)) {
    if (!c.stored) return;
    stored = random_stored(*c.stored, c.k, c.n, 5);
    b = stored.values;
    ldb = c.n;
  }

  static std::vector<float> values(index_t n, std::uint32_t seed, bool whole) {
    std::vector<float> v = random_values<float>(count(n), seed);
    for (float& x : v) x = whole ? std::round(8 * x) : x;
    return v;
  }

  MatmulArgs<float> args(const Case& c) {
    MatmulArgs<float> p;
    p.m = c.m;
    p.n = c.n;
    p.k = c.k;
    p.a = {a.data(), c.a_transposed ? 1 : lda, c.a_transposed ? lda : 1};
    if (c.stored) {
      p.stored = {stored.data(), *c.stored, nullptr, true};
    } else {
      p.b = {b.data(), c.b_transposed ? 1 : ldb, c.b_transposed ? ldb : 1};
    }
    p.c = result.data();
    p.stride_c = ldc;
    p.alpha = c.alpha;
    p.accumulate = c.accumulate;
    p.bf16 = c.bf16;
    p.bias = c.bias ? bias.data() : nullptr;
    p.activation = c.activation;
    return p;
  }

  index_t lda, ldb, ldc;
  StoredMatrix stored;
  std::vector<float> a, b, bias, result;
};

MatmulProblem problem_of(const Case& c) {
  MatmulProblem p{c.m, c.n, c.k};
  p.a_transposed = c.a_transposed;
  p.b_transposed = c.b_transposed && !c.stored;
  p.stored = p.stored_rows_of_b = c.stored.has_value();
  p.bf16 = c.bf16;
  return p;
}

/// Which row of the table was taken.
std::string run(const Case& c, Operands& o, Isa isa, Workers& workers) {
  const MatmulProblem problem = problem_of(c);
  const MatmulImpl& chosen = choose_matmul(problem, isa);
  const std::size_t bytes = (chosen.scratch_bytes(problem, isa, workers.size()) + 63) / 64 * 64;
  const std::unique_ptr<void, decltype(&std::free)> scratch(std::aligned_alloc(64, bytes),
                                                            &std::free);
  MatmulArgs<float> p = o.args(c);
  p.scratch = scratch.get();
  chosen.run(isa, workers, p);
  return chosen.name;
}

double activated(const Case& c, double x) {
  if (!c.activation) return x;
  unary(Isa::scalar, serial_workers(), *c.activation, 1, &x, &x);
  return x;
}

struct Exact {
  std::vector<double> values, magnitudes;  // [m, n]; Σ |alpha a b| + |bias| + |c|
};

Exact exact_of(const Case& c, const Operands& o) {
  Exact exact;
  for (index_t i = 0; i < c.m; ++i) {
    for (index_t j = 0; j < c.n; ++j) {
      double sum = 0, magnitude = 0;
      for (index_t l = 0; l < c.k; ++l) {
        const double a = o.a[count(c.a_transposed ? l * o.lda + i : i * o.lda + l)];
        const bool columns = c.b_transposed && !c.stored;
        const double b = o.b[count(columns ? j * o.ldb + l : l * o.ldb + j)];
        sum += a * b;
        magnitude += std::fabs(a * b);
      }
      const double bias = c.bias ? static_cast<double>(o.bias[count(j)]) : 0;
      const double before = c.accumulate ? static_cast<double>(o.result[count(i * o.ldc + j)]) : 0;
      const auto alpha = static_cast<double>(c.alpha);
      exact.values.push_back(activated(c, sum * alpha + bias) + before);
      exact.magnitudes.push_back(magnitude * std::fabs(alpha) + std::fabs(bias) +
                                 std::fabs(before));
    }
  }
  return exact;
}

/// Against float64: two operands rounded to 8 bits and k + 8 roundings to 24; 1.2 for the steepest
/// slope of an activation. What is between the rows of C stays as it was.
void check(const Case& c, Isa isa) {
  INFO(c << " at " << isa_name(isa));
  Operands o(c);
  const Operands before = o;
  const Exact exact = exact_of(c, o);
  const std::string row = run(c, o, isa, serial_workers());
  INFO(row);
  const double rounding = row == "pairs" ? 0x1p-8 + 0x1p-18 : 0;
  const double unit = 1.2 * (rounding + (static_cast<double>(c.k) + 8) * 0x1p-24);
  std::vector<float> got;
  for (index_t i = 0; i < c.m; ++i) {
    for (index_t j = 0; j < c.n; ++j) {
      got.push_back(o.result[count(i * o.ldc + j)]);
      const std::size_t at = got.size() - 1;
      REQUIRE(std::fabs(static_cast<double>(got.back()) - exact.values[at]) <=
              unit * exact.magnitudes[at] + 1e-30);
    }
    for (index_t j = c.n; i + 1 < c.m && j < o.ldc; ++j) {
      const auto at = count(i * o.ldc + j);
      REQUIRE(o.result[at] == before.result[at]);
    }
  }
  REQUIRE(nmse(got, exact.values) <= 1e-4);
  for (const int threads : {2, 3}) {
    Operands again = before;
    (void)run(c, again, isa, *make_thread_workers(threads));
    REQUIRE(same_bits(again.result, o.result));
  }
}

bool rounds(Isa isa) { return isa >= Isa::avx512 && has_dot_products(isa); }

}  // namespace

TEST_CASE("pairs are taken where operands may be rounded, and are not few", "[matmul][isa]") {
  for (const Isa isa : supported_isas()) {
    const std::string taken = choose_matmul(problem_of({64, 64, 64}), isa).name;
    CHECK((taken == "pairs") == rounds(isa));
    const auto declined = [&](const MatmulProblem& p) {
      return choose_matmul(p, isa).name != std::string("pairs");
    };
    CHECK(declined(problem_of({.m = 64, .n = 64, .k = 64, .bf16 = false})));
    CHECK(declined(problem_of({16, 64, 64})));
    CHECK(declined(problem_of({512, 8, 576})));
    CHECK(declined(problem_of({512, 576, 8})));
    for (const auto change :
         {+[](MatmulProblem& p) { p.b_constant = true; }, +[](MatmulProblem& p) { p.batch = 2; },
          +[](MatmulProblem& p) { p.f64 = true; }, +[](MatmulProblem& p) { p.stored = true; }}) {
      MatmulProblem problem = problem_of({64, 64, 64});
      change(problem);
      CHECK(declined(problem));
    }
  }
}

TEST_CASE("rounded products of small integers are exact in every order", "[matmul][isa]") {
  for (const Isa isa : supported_isas()) {
    for (const auto& [m, n, k] : {std::tuple{17, 17, 70},
                                  {64, 32, 64},
                                  {33, 65, 31},
                                  {48, 45, 130},
                                  {130, 40, 33},
                                  {20, 70, 2100},
                                  {130, 33, 2100},
                                  {600, 33, 70},
                                  {1050, 20, 40},
                                  {30, 400, 100}}) {
      for (int variant = 0; variant < 8; ++variant) {
        Case c{m, n, k};
        c.a_transposed = (variant & 1) != 0;
        c.b_transposed = (variant & 2) != 0;
        c.accumulate = c.bias = (variant & 4) != 0;
        INFO(c << " at " << isa_name(isa));
        Operands o(c, true);
        const Exact exact = exact_of(c, o);
        const std::string row = run(c, o, isa, serial_workers());
        REQUIRE((row == "pairs") == rounds(isa));
        for (index_t i = 0; i < c.m; ++i) {
          for (index_t j = 0; j < c.n; ++j) {
            REQUIRE(static_cast<double>(o.result[count(i * o.ldc + j)]) ==
                    exact.values[count(i * c.n + j)]);
          }
        }
      }
    }
  }
}

TEST_CASE("rounded products hold their bound", "[matmul][isa][threads]") {
  for (const Isa isa : supported_isas()) {
    for (int variant = 0; variant < 8; ++variant) {
      for (const auto& [m, n, k] :
           {std::tuple{33, 65, 47}, {70, 20, 300}, {520, 130, 96}, {18, 50, 4200}}) {
        Case c{m, n, k};
        c.a_transposed = (variant & 1) != 0;
        c.b_transposed = (variant & 2) != 0;
        if ((variant & 4) != 0) {
          c.accumulate = c.bias = true;
          c.alpha = -0.3F;
        }
        check(c, isa);
      }
    }
    for (const index_t k : {70, 4100}) {  // at once, and in passes
      Case c{50, 70, k};
      c.bias = true;
      c.alpha = 0.25F;
      c.activation = Unary::gelu;
      check(c, isa);
    }
  }
}

TEST_CASE("stored weights as the rows of B hold the bound of their grade", "[matmul][quant][isa]") {
  for (const Isa isa : supported_isas()) {
    for (const WeightType type : all_weight_types) {
      for (const bool bf16 : {false, true}) {
        const auto with = [&](index_t m, index_t n, index_t k) {
          Case c{m, n, k};
          c.stored = type;
          c.bf16 = bf16;
          return c;
        };
        for (const index_t m : {1, 3, 8, 9, 50}) {
          for (const index_t k : {17, 37, 130}) check(with(m, 256, k), isa);
        }
        check(with(17, 512, 2100), isa);
        if (block_weights(type) <= 32) {
          check(with(20, 96, 70), isa);
          check(with(20, 1120, 33), isa);
        }
        if (block_weights(type) == 1) {
          for (const index_t n : {1, 5, 31, 33, 100}) {
            check(with(2, n, 40), isa);
            check(with(40, n, 40), isa);
          }
        }
        Case all = with(30, 256, 50);
        all.a_transposed = all.accumulate = all.bias = true;
        all.alpha = -0.5F;
        check(all, isa);
        all.accumulate = false;
        all.activation = Unary::silu;
        check(all, isa);
      }
    }
  }
}

TEST_CASE("a row's product with stored rows of B has the same bits alone or among eight",
          "[matmul][quant][isa]") {
  for (const Isa isa : supported_isas()) {
    for (const WeightType type : all_weight_types) {
      Case eight{8, 256, 70};
      eight.stored = type;
      Operands all(eight);
      (void)run(eight, all, isa, serial_workers());
      for (index_t m = 1; m < 8; ++m) {
        Case some = eight;
        some.m = m;
        Operands last(some);
        last.a.assign(all.a.end() - (m * all.lda - 3), all.a.end());
        (void)run(some, last, isa, serial_workers());
        for (index_t i = 0; i < m; ++i) {
          REQUIRE(std::equal(last.result.begin() + i * last.ldc,
                             last.result.begin() + i * last.ldc + 256,
                             all.result.begin() + (8 - m + i) * all.ldc));
        }
      }
    }
  }
}
