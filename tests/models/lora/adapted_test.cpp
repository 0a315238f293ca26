// Projections with adapters, as graphs.

#include "models/lora/adapted.hpp"

#include "runtime/autodiff.hpp"
#include "runtime/ops.hpp"
#include "support/numbers.hpp"
#include "support/sessions.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace attn::models;
using namespace attn::runtime;
using namespace attn::test;

namespace {

constexpr std::int64_t rows = 30, width = 8, rank = 2;

// What the adapters of a projection add to 0, of x that is 1 everywhere, A and B; and what comes
// back to x from the sum of it.
struct Added {
  std::vector<float> y, dx;
};

Added added(double rate, bool training, std::int32_t counter) {
  std::vector<WeightSpec> specs(2);
  specs[0].name = lora_a("m", 0);
  specs[0].shape = {rank, width};
  specs[0].lora = LoraFactor{.scale = 0.5, .dropout = rate, .seed = 11};
  specs[1].name = lora_b("m", 0);
  specs[1].shape = {width, rank};
  specs[1].lora = specs[0].lora;
  Graph g;
  const ValueId x = g.input("x", DType::f32, Shape{rows, width});
  const ValueId y = g.input("y", DType::f32, Shape{rows, width});
  if (training) g.input(dropout_input, DType::i32, Shape{1});
  const ValueId out = adapted(g, specs, "m", x, y);
  const ValueId ones =
      g.constant(DType::f32, Shape{rows, width}, std::vector<double>(rows * width, 1));
  const std::vector<ValueId> wrt{x};
  const std::vector<ValueId> dx = gradients(g, dot(g, out, ones), wrt);
  std::vector<float> a(rank * width, 1), b(width * rank, 1);
  const std::vector<Binding> bindings{{g.find(Role::weight, specs[0].name), a.data()},
                                      {g.find(Role::weight, specs[1].name), b.data()}};
  Run run(g, {out, dx[0]}, bindings, {});
  run.set(x, std::vector<float>(rows * width, 1));
  run.set(y, std::vector<float>(rows * width, 0));
  if (training && rate > 0) {
    run.set(g.find(Role::input, dropout_input), std::vector<std::int32_t>{counter});
  }
  run.session.run();
  return {run.get<float>(out), run.get<float>(dx[0])};
}

}  // namespace

TEST_CASE("an adapter adds scale · x Aᵀ Bᵀ, of what dropout leaves of x in training only",
          "[lora]") {
  // 0.5 · width · rank, and back 0.5 · rank · width
  const std::vector<float> whole(rows * width, 8);
  for (const Added& one : {added(0, true, 1), added(0, false, 1), added(0.25, false, 1)}) {
    CHECK(one.y == whole);
    CHECK(one.dx == whole);
  }
  const Added thinned = added(0.25, true, 1);
  CHECK(thinned.y != whole);
  CHECK(thinned.y == added(0.25, true, 1).y);
  CHECK(thinned.y != added(0.25, true, 2).y);
  const auto dropped = std::count(thinned.dx.begin(), thinned.dx.end(), 0.0F);
  CHECK(dropped > rows * width / 8);
  CHECK(dropped < rows * width / 2);
  for (std::int64_t r = 0; r < rows; ++r) {
    // of row r of x, as many as are not dropped count 1 / 0.75 each
    const auto* const back = thinned.dx.data() + r * width;
    const auto kept = static_cast<float>(width - std::count(back, back + width, 0.0F));
    const float sum = kept * rank * 0.5F / 0.75F;
    CHECK(thinned.y[static_cast<std::size_t>(r * width)] == Approx(sum));
  }
}
