#include "kernels/matmul/matmul.hpp"

#include "support/numbers.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <memory>

using namespace attn::kernels;
using namespace attn::test;

namespace {

struct Shape {
  index_t m, n, k, batch = 1;
};

std::ostream& operator<<(std::ostream& out, const Shape& s) {
  return out << s.batch << " x " << s.m << "x" << s.k << " by " << s.k << "x" << s.n;
}

struct Options {
  bool a_transposed = false, b_transposed = false, packed = false, shared_b = false;
  bool accumulate = false, bias = false;
  double alpha = 1;
  std::optional<Unary> activation;
};

std::size_t count(index_t n) { return static_cast<std::size_t>(n); }

/// A block of memory that begins at a cache line; asan sees the first byte beyond its last line.
struct Memory {
  explicit Memory(std::size_t bytes)
      : data(std::aligned_alloc(64, (bytes + 63) / 64 * 64), &std::free) {}
  std::unique_ptr<void, decltype(&std::free)> data;
};

/// The operands of a product, with rows further apart than they are long, one element off
/// alignment.
template <class T>
struct Operands {
  Operands(const Shape& shape, const Options& options, std::uint32_t seed)
      : s(shape),
        o(options),
        lda((o.a_transposed ? s.m : s.k) + 3),
        ldb((o.b_transposed ? s.k : s.n) + 5),
        ldc(s.n + 2) {
    a = converted<T>(random_values<float>(count(1 + s.batch * size_a()), seed));
    // a weight is there, and packed, even for a batch of none
    const index_t operands_b = o.shared_b ? 1 : s.batch;
    b = converted<T>(random_values<float>(count(1 + operands_b * size_b()), seed + 1));
    c = converted<T>(random_values<float>(count(1 + s.batch * size_c()), seed + 2));
    bias = converted<T>(random_values<float>(count(1 + s.n), seed + 3));
  }

  index_t size_a() const { return (o.a_transposed ? s.k : s.m) * lda; }
  index_t size_b() const { return (o.b_transposed ? s.n : s.k) * ldb; }
  index_t size_c() const { return s.m * ldc; }

  MatmulArgs<T> args() {
    MatmulArgs<T> p;
    p.m = s.m;
    p.n = s.n;
    p.k = s.k;
    p.batch = s.batch;
    p.a = {a.data() + 1, o.a_transposed ? 1 : lda, o.a_transposed ? lda : 1};
    p.b = {b.data() + 1, o.b_transposed ? 1 : ldb, o.b_transposed ? ldb : 1};
    p.c = c.data() + 1;
    p.stride_c = ldc;
    p.batch_stride_a = size_a();
    p.batch_stride_b = o.shared_b ? 0 : size_b();
    p.batch_stride_c = size_c();
    p.alpha = static_cast<T>(o.alpha);
    p.accumulate = o.accumulate;
    p.bias = o.bias ? bias.data() + 1 : nullptr;
    p.activation = o.activation;
    return p;
  }

  Shape s;
  Options o;
  index_t lda, ldb, ldc;
  std::vector<T> a, b, c, bias;
};

MatmulProblem problem_of(const Operands<float>& x) {
  return {x.s.m, x.s.n, x.s.k, x.s.batch, x.o.a_transposed, x.o.b_transposed, x.o.packed, false};
}

/// Runs one row of the table on x.
void run_row(const MatmulImpl& row, Isa isa, Workers& workers, Operands<float>& x) {
  const MatmulProblem problem = problem_of(x);
  MatmulArgs<float> p = x.args();
  const Memory scratch(row.scratch_bytes(problem, isa, workers.size()));
  const Memory packed(x.o.packed ? row.packed_bytes(problem, isa) : 0);
  p.scratch = scratch.data.get();
  if (x.o.packed && row.packed_bytes(problem, isa) > 0) {
    row.pack(problem, isa, p.b, packed.data.get());
    p.packed_b = packed.data.get();
    p.b = {};
  }
  row.run(isa, workers, p);
}

/// Calls body(row, isa) for every row of the table and level that take the problem.
template <class Body>
void for_every_row(const MatmulProblem& problem, Body body) {
  for (const Isa isa : supported_isas()) {
    for (const MatmulImpl& row : matmul_table()) {
      if (row.declines(problem, isa) == nullptr) body(row, isa);
    }
  }
}

/// |got − exact| in units of what each element's rounding may amount to: k + 8 roundings of half an
/// ulp each, at the magnitude of the sum of the absolute products. Rows beyond C must be untouched.
double worst_error(const Operands<float>& got, const Operands<double>& exact,
                   const Operands<double>& magnitude) {
  double worst = 0;
  for (std::size_t i = 0; i < exact.c.size(); ++i) {
    const double unit = (static_cast<double>(exact.s.k) + 8) * 0x1p-24 * magnitude.c[i] + 1e-37;
    const double error = std::fabs(static_cast<double>(got.c[i]) - exact.c[i]) / unit;
    if (!(error <= worst)) worst = error;
  }
  return worst;
}

Operands<double> exact_of(const Shape& s, const Options& o, std::uint32_t seed) {
  Operands<double> x(s, o, seed);
  matmul(Isa::scalar, serial_workers(), x.args());
  return x;
}

/// The same product of the absolute values.
Operands<double> magnitude_of(const Shape& s, Options o, std::uint32_t seed) {
  o.activation.reset();
  Operands<double> x(s, o, seed);
  for (auto* values : {&x.a, &x.b, &x.c, &x.bias}) {
    for (double& v : *values) v = std::fabs(v);
  }
  auto p = x.args();
  p.alpha = std::fabs(p.alpha);
  matmul(Isa::scalar, serial_workers(), p);
  return x;
}

const std::vector<Shape> shapes{{0, 4, 4},         {4, 0, 4},      {4, 4, 0},       {1, 1, 1},
                                {3, 4, 4},         {13, 4, 4},     {1, 16, 1},      {7, 33, 5},
                                {12, 32, 64},      {13, 65, 40},   {1, 150, 300},   {25, 31, 17},
                                {130, 40, 70},     {30, 300, 50},  {250, 70, 33},   {5, 20, 1300},
                                {40, 70, 2100},    {3, 4, 5, 6},   {20, 40, 30, 3}, {17, 20, 9, 0},
                                {30, 70, 1030, 2}, {1021, 40, 260}};

}  // namespace

TEST_CASE("the double reference is the textbook sum", "[matmul]") {
  Operands<double> x({3, 5, 7, 2}, {}, 1);
  const auto p = x.args();
  matmul(Isa::scalar, serial_workers(), p);
  for (index_t e = 0; e < 2; ++e) {
    for (index_t i = 0; i < 3; ++i) {
      for (index_t j = 0; j < 5; ++j) {
        double sum = 0;
        for (index_t k = 0; k < 7; ++k) {
          sum += p.a.data[e * p.batch_stride_a + i * x.lda + k] *
                 p.b.data[e * p.batch_stride_b + k * x.ldb + j];
        }
        REQUIRE(p.c[e * p.batch_stride_c + i * x.ldc + j] == sum);
      }
    }
  }
}

TEST_CASE("every row follows the double product at every level", "[matmul]") {
  for (const Shape& s : shapes) {
    for (int variant = 0; variant < 16; ++variant) {
      Options o;
      o.a_transposed = (variant & 1) != 0;
      o.b_transposed = (variant & 2) != 0;
      o.packed = (variant & 4) != 0;
      o.shared_b = o.packed;
      o.accumulate = o.bias = (variant & 8) != 0;
      o.alpha = o.bias ? -0.3F : 1;
      const auto exact = exact_of(s, o, 7), magnitude = magnitude_of(s, o, 7);
      for_every_row(problem_of(Operands<float>(s, o, 7)), [&](const MatmulImpl& row, Isa isa) {
        Operands<float> got(s, o, 7);
        run_row(row, isa, serial_workers(), got);
        INFO(row.name << " " << isa_name(isa) << " " << s << " variant " << variant);
        REQUIRE(worst_error(got, exact, magnitude) <= 1);
      });
    }
  }
}

TEST_CASE("an activation comes after the bias", "[matmul]") {
  // the bound on the product, times the steepest slope of an activation, and the activation's ulps
  for (const Shape& s :
       {Shape{3, 4, 4}, Shape{13, 70, 33}, Shape{50, 150, 20}, Shape{9, 30, 2100}}) {
    for (const Unary f : {Unary::relu, Unary::gelu, Unary::tanh, Unary::silu}) {
      Options o;
      o.bias = true;
      o.alpha = 0.5;
      o.activation = f;
      const auto exact = exact_of(s, o, 3), magnitude = magnitude_of(s, o, 3);
      for_every_row(problem_of(Operands<float>(s, o, 3)), [&](const MatmulImpl& row, Isa isa) {
        Operands<float> got(s, o, 3);
        run_row(row, isa, serial_workers(), got);
        INFO(row.name << " " << isa_name(isa) << " " << s << " " << static_cast<int>(f));
        REQUIRE(worst_error(got, exact, magnitude) <= 1.2);
      });
    }
  }
}

TEST_CASE("products of small integers are exact", "[matmul]") {
  for (const Shape& s : {Shape{5, 6, 7}, Shape{37, 70, 90}, Shape{20, 40, 2100}}) {
    Operands<float> whole(s, {}, 5);
    Operands<double> exact(s, {}, 5);
    for (auto [from, to] : {std::pair{&whole.a, &exact.a}, std::pair{&whole.b, &exact.b}}) {
      for (std::size_t i = 0; i < from->size(); ++i) {
        (*from)[i] = std::round(8 * (*from)[i]);
        (*to)[i] = static_cast<double>((*from)[i]);
      }
    }
    matmul(Isa::scalar, serial_workers(), exact.args());
    for_every_row(problem_of(whole), [&](const MatmulImpl& row, Isa isa) {
      Operands<float> got = whole;
      run_row(row, isa, serial_workers(), got);
      INFO(row.name << " " << isa_name(isa) << " " << s);
      REQUIRE(largest_difference(got.c, exact.c) == 0);
    });
  }
}

TEST_CASE("matmul gives the same bits on any number of threads", "[matmul][threads]") {
  for (const Shape& s : {Shape{13, 4, 4, 3}, Shape{100, 300, 40}, Shape{260, 140, 70},
                         Shape{20, 140, 2100}, Shape{30, 40, 50, 5}, Shape{1, 600, 64}}) {
    for (const bool transposed : {false, true}) {
      Options o;
      o.accumulate = transposed;
      o.bias = true;
      o.a_transposed = o.b_transposed = transposed;
      if (!o.accumulate) o.activation = Unary::gelu;
      for_every_row(problem_of(Operands<float>(s, o, 9)), [&](const MatmulImpl& row, Isa isa) {
        Operands<float> alone(s, o, 9);
        run_row(row, isa, serial_workers(), alone);
        for (const int threads : {2, 3, 8}) {
          const auto workers = make_workers(threads);
          Operands<float> got(s, o, 9);
          run_row(row, isa, *workers, got);
          INFO(row.name << " " << isa_name(isa) << " " << s << " threads " << threads);
          REQUIRE(same_bits(got.c, alone.c));
        }
      });
    }
  }
}

TEST_CASE("a row's bits are the same alone and among up to eight", "[matmul]") {
  for (const Shape& s : {Shape{8, 4, 4}, Shape{8, 300, 64}, Shape{8, 65, 2100}}) {
    for (int variant = 0; variant < 8; ++variant) {
      Options o;
      o.a_transposed = (variant & 1) != 0;
      o.b_transposed = (variant & 2) != 0;
      o.packed = (variant & 4) != 0;
      o.bias = true;
      for_every_row(problem_of(Operands<float>(s, o, 4)), [&](const MatmulImpl& row, Isa isa) {
        Operands<float> together(s, o, 4);
        run_row(row, isa, serial_workers(), together);
        for (index_t m = 1; m < 8; ++m) {
          for (const index_t first : {index_t{0}, 8 - m}) {
            Operands<float> some(s, o, 4);
            some.s.m = m;
            some.a.erase(some.a.begin(), some.a.begin() + first * (o.a_transposed ? 1 : some.lda));
            some.a.resize(together.a.size());
            run_row(row, isa, serial_workers(), some);
            INFO(row.name << " " << isa_name(isa) << " " << s << " rows " << first << "+" << m);
            for (index_t i = 0; i < m; ++i) {
              REQUIRE(std::memcmp(&some.c[count(1 + i * some.ldc)],
                                  &together.c[count(1 + (first + i) * some.ldc)],
                                  count(s.n) * sizeof(float)) == 0);
            }
          }
        }
      });
    }
  }
}

TEST_CASE("the choice of a row does not depend on m up to eight, and its log says why",
          "[matmul]") {
  for (const Isa isa : supported_isas()) {
    for (const index_t n : {1, 4, 64, 1536}) {
      for (const index_t k : {1, 4, 100, 1100}) {
        for (const bool constant : {false, true}) {
          MatmulProblem problem{1, n, k};
          problem.b_constant = constant;
          const MatmulImpl& alone = choose_matmul(problem, isa);
          for (problem.m = 2; problem.m <= 8; ++problem.m) {
            REQUIRE(&choose_matmul(problem, isa) == &alone);
          }
        }
      }
    }
    std::string log;
    MatmulProblem problem{3, 4, 4};
    problem.f64 = true;
    REQUIRE(choose_matmul(problem, isa, &log).name == std::string("reference"));
    REQUIRE(log.find("small declines (float only); ") != std::string::npos);
    REQUIRE(log.ends_with("reference"));
  }
}

TEST_CASE("huge values and NaN stay in the rows and columns they came in", "[matmul]") {
  const Shape s{14, 40, 20};
  for_every_row({s.m, s.n, s.k}, [&](const MatmulImpl& row, Isa isa) {
    Operands<float> x(s, {}, 2);
    const float nan = std::numeric_limits<float>::quiet_NaN();
    x.a[count(1 + 3 * x.lda + 7)] = nan;
    x.b[count(1 + 7 * x.ldb + 5)] = std::numeric_limits<float>::infinity();
    run_row(row, isa, serial_workers(), x);
    INFO(row.name << " " << isa_name(isa));
    for (index_t i = 0; i < s.m; ++i) {
      for (index_t j = 0; j < s.n; ++j) {
        const float got = x.c[count(1 + i * x.ldc + j)];
        REQUIRE((i == 3 ? std::isnan(got) : j == 5 ? std::isinf(got) : std::isfinite(got)));
      }
    }
  });
}
