#include "kernels/softmax/softmax.hpp"

#include "support/numbers.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <limits>

using namespace attn::kernels;
using namespace attn::test;

namespace {

constexpr float inf = std::numeric_limits<float>::infinity();

struct Shape {
  index_t rows, cols;
};

// What differs from call to call; pointers are set by run().
struct Setup {
  Shape shape;
  double scale = 1;
  std::vector<float> mask = {};
  index_t mask_rows = 1;
  bool causal = false;
  index_t causal_rows = 1, causal_offset = 0;
};

template <class T>
std::vector<T> run(Isa isa, const Setup& setup, const std::vector<float>& x,
                   Workers& workers = serial_workers(), std::size_t misalign = 0) {
  const auto input = converted<T>(x);
  const auto mask = converted<T>(setup.mask);
  std::vector<T> storage(input.size() + misalign, T{-7});
  std::vector<T> source(misalign);
  source.insert(source.end(), input.begin(), input.end());
  SoftmaxArgs<T> args;
  args.rows = setup.shape.rows;
  args.cols = args.stride_x = args.stride_y = setup.shape.cols;
  args.x = source.data() + misalign;
  args.y = storage.data() + misalign;
  args.scale = static_cast<T>(setup.scale);
  args.mask = setup.mask.empty() ? nullptr : mask.data();
  args.mask_rows = setup.mask_rows;
  args.causal = setup.causal;
  args.causal_rows = setup.causal_rows;
  args.causal_offset = setup.causal_offset;
  softmax(isa, workers, args);
  return {storage.begin() + static_cast<std::ptrdiff_t>(misalign), storage.end()};
}

// Errors in units in the last place of the row's largest weight.
// bias_rounding: what rounding mask − largest score can cost an exponential, relative.
void follows_float64(Isa isa, const Setup& setup, const std::vector<float>& x,
                     double bias_rounding = 0) {
  const auto got = run<float>(isa, setup, x);
  const auto exact = run<double>(Isa::scalar, setup, x);
  const auto cols = static_cast<std::size_t>(setup.shape.cols);
  for (std::size_t row = 0; row < static_cast<std::size_t>(setup.shape.rows); ++row) {
    double largest = 0, sum = 0, worst = 0;
    for (std::size_t c = 0; c < cols; ++c) {
      largest = std::max(largest, exact[row * cols + c]);
      sum += static_cast<double>(got[row * cols + c]);
      const double off =
          std::fabs(static_cast<double>(got[row * cols + c]) - exact[row * cols + c]);
      if (!(off <= worst)) worst = off;
    }
    if (largest == 0) {
      REQUIRE(sum == 0);
      continue;
    }
    const double ulp = std::ldexp(1.0, std::ilogb(static_cast<float>(largest)) - 23);
    REQUIRE(worst <= 3 * ulp + bias_rounding * largest);
    REQUIRE(std::fabs(sum - 1) <= 4e-7);
  }
}

}  // namespace

TEST_CASE("softmax is within 3 ULP at every level, size and spread", "[softmax]") {
  for (const Isa isa : supported_isas()) {
    for (const index_t cols :
         {1, 2, 3, 7, 8, 9, 13, 15, 16, 17, 31, 33, 64, 65, 100, 511, 1000, 4097, 49152}) {
      for (const double spread : {0.0, 1.0, 20.0, 300.0}) {
        INFO(isa_name(isa) << " cols " << cols << " spread " << spread);
        const auto x = random_values(static_cast<std::size_t>(5 * cols), 3, -spread, spread);
        follows_float64(isa, {{5, cols}}, x);
        follows_float64(isa, {{5, cols}, 0.125}, x);
        follows_float64(isa, {{5, cols}, -1.7}, x);
      }
    }
  }
}

TEST_CASE("softmax with masks, shared or by row", "[softmax]") {
  for (const Isa isa : supported_isas()) {
    for (const index_t cols : {3, 16, 40, 130}) {
      const auto x = random_values(static_cast<std::size_t>(6 * cols), 3, -4, 4);
      for (const index_t mask_rows : {1, 3}) {
        Setup setup{{6, cols}, 0.5};
        setup.mask_rows = mask_rows;
        setup.mask = random_values(static_cast<std::size_t>(mask_rows * cols), 4, -2, 2);
        for (std::size_t i = 0; i < setup.mask.size(); i += 3) setup.mask[i] = -inf;
        // |mask| ≤ 2 and |largest score| ≤ 0.5 · 4 + 2: half an ulp of a number below 8
        follows_float64(isa, setup, x, std::ldexp(1.0, -22));
        const auto y = run<float>(isa, setup, x);
        for (std::size_t i = 0; i < y.size(); ++i) {
          if (setup.mask[i % setup.mask.size()] == -inf) REQUIRE(y[i] == 0);
        }
      }
    }
  }
}

TEST_CASE("a mask of zeros and infinities costs no accuracy", "[softmax]") {
  for (const Isa isa : supported_isas()) {
    Setup setup{{6, 70}, 0.3};
    setup.mask.resize(70);
    for (std::size_t i = 0; i < 70; i += 3) setup.mask[i] = -inf;
    follows_float64(isa, setup, random_values(6 * 70, 3, -40, 40));
  }
}

TEST_CASE("a causal row sees its past and nothing else", "[softmax]") {
  for (const Isa isa : supported_isas()) {
    for (const index_t offset : {-2, 0, 3}) {
      Setup setup{{2 * 20, 24}, 0.7};
      setup.causal = true;
      setup.causal_rows = 20;
      setup.causal_offset = offset;
      const auto x = random_values(2 * 20 * 24, 5, -3, 3);
      follows_float64(isa, setup, x);
      const auto y = run<float>(isa, setup, x);
      for (index_t r = 0; r < 40; ++r) {
        for (index_t c = 0; c < 24; ++c) {
          const bool seen = c <= r % 20 + offset;
          REQUIRE((y[static_cast<std::size_t>(r * 24 + c)] > 0) == seen);
        }
      }
    }
  }
}

TEST_CASE("rows of every magnitude among each other", "[softmax]") {
  const std::vector<float> offsets{0,      500, -3,   -500, 1e30F, 1,   -30,
                                   -1e38F, 30,  -inf, 2,    70,    -70, 0};
  for (const Isa isa : supported_isas()) {
    for (const index_t cols : {5, 16, 47, 600, 4096, 4100}) {
      INFO(isa_name(isa) << " cols " << cols);
      const auto n = static_cast<std::size_t>(cols);
      const auto rows = static_cast<index_t>(offsets.size());
      auto x = random_values(offsets.size() * n, 6, -6, 6);
      for (std::size_t i = 0; i < x.size(); ++i) x[i] += offsets[i / n];
      follows_float64(isa, {{rows, cols}}, x);
      Setup causal{{rows, cols}, 0.5};  // exact, also of 1e38
      causal.causal = true;
      causal.causal_rows = 5;
      causal.causal_offset = cols - 4;
      follows_float64(isa, causal, x);
      const auto y = run<float>(isa, {{rows, cols}}, x);
      for (std::size_t row = 0; row < offsets.size(); ++row) {
        const auto from = static_cast<std::ptrdiff_t>(row * n), to = from + cols;
        REQUIRE(same_bits(run<float>(isa, {{1, cols}}, {x.begin() + from, x.begin() + to}),
                          {y.begin() + from, y.begin() + to}));
      }
    }
  }
}

TEST_CASE("rows that see nothing are zero, and NaN stays in its row", "[softmax]") {
  for (const Isa isa : supported_isas()) {
    for (const index_t cols : {1, 5, 16, 37, 70}) {
      const auto n = static_cast<std::size_t>(cols);
      std::vector<float> x(4 * n, 1);
      for (std::size_t c = 0; c < n; ++c) x[c] = -inf;          // nothing to see
      x[n + n / 2] = std::nanf("");                             // NaN among numbers
      for (std::size_t c = 0; c < n; ++c) x[2 * n + c] = -inf;  // NaN among nothing
      x[2 * n + n - 1] = std::nanf("");
      const auto y = run<float>(isa, {{4, cols}}, x);
      INFO(isa_name(isa) << " cols " << cols);
      for (std::size_t c = 0; c < n; ++c) {
        REQUIRE(y[c] == 0);
        REQUIRE(std::isnan(y[n + c]));
        REQUIRE(std::isnan(y[2 * n + c]));
        REQUIRE(y[3 * n + c] == Approx(1.0 / static_cast<double>(n)));
      }
      x[3 * n] = inf;
      const auto infinite = run<float>(isa, {{4, cols}}, x);
      REQUIRE(std::isnan(infinite[3 * n]));
    }
  }
}

TEST_CASE("huge and tiny scores", "[softmax]") {
  for (const Isa isa : supported_isas()) {
    for (const std::size_t n : {4U, 20U}) {
      std::vector<float> x(n, -3e38F);
      x[2] = 3e38F;
      auto y = run<float>(isa, {{1, static_cast<index_t>(n)}}, x);
      REQUIRE(y[2] == 1);
      REQUIRE(y[0] == 0);
      std::fill(x.begin(), x.end(), 1e-40F);
      y = run<float>(isa, {{1, static_cast<index_t>(n)}}, x);
      REQUIRE(y[0] == Approx(1.0 / static_cast<double>(n)));
    }
  }
}

TEST_CASE("huge scores with a scale that rounds", "[softmax]") {
  for (const Isa isa : supported_isas()) {
    Setup setup{{1, 20}, 0.9};
    std::vector<float> x(20, -1e30F);
    x[3] = x[7] = 1e30F;
    const auto y = run<float>(isa, setup, x);
    REQUIRE(y[3] == 0.5F);
    REQUIRE(y[7] == 0.5F);
    REQUIRE(y[0] == 0);
  }
}

TEST_CASE("nothing to do", "[softmax]") {
  for (const Isa isa : supported_isas()) {
    REQUIRE(run<float>(isa, {{0, 5}}, {}).empty());
    REQUIRE(run<float>(isa, {{5, 0}}, {}).empty());
  }
}

TEST_CASE("softmax in place, with strides, and from unaligned memory", "[softmax]") {
  for (const Isa isa : supported_isas()) {
    const auto x = random_values(3 * 50, 9);
    const auto y = run<float>(isa, {{3, 50}}, x);
    REQUIRE(same_bits(run<float>(isa, {{3, 50}}, x, serial_workers(), 1), y));
    std::vector<float> wide(3 * 60, 9.5F);
    for (std::size_t r = 0; r < 3; ++r) {
      for (std::size_t c = 0; c < 50; ++c) wide[r * 60 + c] = x[r * 50 + c];
    }
    SoftmaxArgs<float> args;
    args.rows = 3;
    args.cols = 50;
    args.stride_x = args.stride_y = 60;
    args.x = args.y = wide.data();
    softmax(isa, serial_workers(), args);
    for (std::size_t r = 0; r < 3; ++r) {
      for (std::size_t c = 0; c < 60; ++c) {
        REQUIRE(wide[r * 60 + c] == (c < 50 ? y[r * 50 + c] : 9.5F));
      }
    }
  }
}

TEST_CASE("a row's bits depend on neither its neighbours nor the threads", "[softmax][threads]") {
  for (const Isa isa : supported_isas()) {
    const auto x = random_values(300 * 700, 12, -5, 5);
    const auto alone = run<float>(isa, {{300, 700}}, x);
    for (const int threads : {2, 3, 8}) {
      REQUIRE(same_bits(run<float>(isa, {{300, 700}}, x, *make_workers(threads)), alone));
    }
    for (const std::size_t row : {0U, 5U, 299U}) {
      const std::vector<float> one(x.begin() + static_cast<std::ptrdiff_t>(row * 700),
                                   x.begin() + static_cast<std::ptrdiff_t>((row + 1) * 700));
      const std::vector<float> expected(
          alone.begin() + static_cast<std::ptrdiff_t>(row * 700),
          alone.begin() + static_cast<std::ptrdiff_t>((row + 1) * 700));
      REQUIRE(same_bits(run<float>(isa, {{1, 700}}, one), expected));
    }
  }
}

TEST_CASE("softmax's gradient follows float64 at every level", "[softmax]") {
  for (const Isa isa : supported_isas()) {
    for (const index_t cols : {1, 5, 16, 17, 33, 100, 513}) {
      const auto n = static_cast<std::size_t>(4 * cols);
      const auto y = run<float>(isa, {{4, cols}}, random_values(n, 1, -2, 2));
      const auto dy = random_values(n, 2);
      std::vector<float> dx(n);
      softmax_backward<float>(isa, serial_workers(), 4, cols, 0.3F, y.data(), dy.data(), dx.data());
      std::vector<double> exact(n);
      const auto y64 = converted<double>(y), dy64 = converted<double>(dy);
      softmax_backward<double>(Isa::scalar, serial_workers(), 4, cols, static_cast<double>(0.3F),
                               y64.data(), dy64.data(), exact.data());
      REQUIRE(largest_difference(dx, exact) <= 1e-7);
      std::vector<float> in_place = dy;
      softmax_backward<float>(isa, serial_workers(), 4, cols, 0.3F, y.data(), in_place.data(),
                              in_place.data());
      REQUIRE(same_bits(in_place, dx));
    }
  }
}
