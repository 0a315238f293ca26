// What training needs beside gradients: sums of them over several runs, their norm, updates of
// scaled ones, and dropout.

#include "attn/error.hpp"
#include "runtime/ops.hpp"
#include "support/files.hpp"
#include "support/numbers.hpp"
#include "support/sessions.hpp"

#include <catch2/catch.hpp>

#include <cmath>

using namespace attn;
using namespace attn::runtime;
using namespace attn::test;

TEST_CASE("accumulate adds up what several runs bring", "[training]") {
  for (const kernels::Isa isa : kernels::supported_isas()) {
    Graph g;
    const ValueId x = g.input("x", DType::f32, Shape{2, 3});
    const ValueId sum = g.state("sum", DType::f32, Shape{2, 3});
    const ValueId now = accumulate(g, sum, affine(g, x, 2, 0));
    const ValueId norm = squared_norm(g, now);
    Run run(g, {now, norm}, {}, {}, isa);
    run.set(x, std::vector<float>{1, 2, 3, 4, 5, 6});
    run.session.run();
    CHECK(run.get<float>(sum) == std::vector<float>{2, 4, 6, 8, 10, 12});
    run.session.run();
    CHECK(run.get<float>(now) == std::vector<float>{4, 8, 12, 16, 20, 24});
    CHECK(run.get<double>(norm) == std::vector<double>{16 * 91});
    run.session.reset_states();
    run.session.run();
    CHECK(run.get<float>(now) == std::vector<float>{2, 4, 6, 8, 10, 12});
  }
}

TEST_CASE("adam multiplies a gradient by its scale", "[training]") {
  const auto updated = [](bool scaled, float gradient) {
    Graph g;
    const ValueId w = g.weight("w", DType::f32, Shape{2});
    const ValueId grad = g.input("g", DType::f32, Shape{2});
    const ValueId step = g.input("step", DType::i32, Shape{1});
    const ValueId rate = g.input("rate", DType::f64, Shape{1});
    const ValueId scale = g.input("scale", DType::f64, Shape{1});
    const ValueId after = scaled ? adam(g, w, grad, step, rate, {.eps = 1}, scale)
                                 : adam(g, w, grad, step, rate, {.eps = 1});
    std::vector<float> numbers{1, 2};
    const std::vector<Binding> bindings{{w, numbers.data()}};
    std::vector<ValueId> fetches{after};
    if (!scaled) fetches.push_back(scale);
    Run run(g, fetches, bindings, {});
    run.set(grad, std::vector<float>{gradient, -gradient});
    run.set(step, std::vector<std::int32_t>{1});
    run.set(rate, std::vector<double>{0.1});
    run.set(scale, std::vector<double>{0.5});
    run.session.run();
    return run.get<float>(after);
  };
  CHECK(updated(true, 0.5F) == updated(false, 0.25F));
  CHECK(updated(true, 0.5F) != updated(false, 0.5F));
}

TEST_CASE("dropout drops otherwise in a run with another counter", "[training]") {
  Graph g;
  const ValueId x = g.input("x", DType::f32, Shape{100});
  const ValueId counter = g.input("counter", DType::i32, Shape{1});
  const ValueId y = dropout(g, x, counter, {.rate = 0.25, .seed = 1});
  const ValueId z = dropout(g, x, counter, {.rate = 0.25, .seed = 2});
  Run run(g, {y, z}, {}, {});
  run.set(x, std::vector<float>(100, 3));
  const auto at = [&](std::int32_t n) {
    run.set(counter, std::vector<std::int32_t>{n});
    run.session.run();
    return run.get<float>(y);
  };
  const auto first = at(1), second = at(2);
  CHECK(first != second);
  CHECK(run.get<float>(z) != second);
  CHECK(at(1) == first);
  for (const float v : first) CHECK((v == 0 || v == 4));
}

TEST_CASE("training's ops say what does not fit", "[training]") {
  Graph g;
  const ValueId x = g.input("x", DType::f32, Shape{4});
  const ValueId state = g.state("s", DType::f32, Shape{5});
  const ValueId counter = g.input("c", DType::i32, Shape{1});
  const ValueId w = g.weight("w", DType::f32, Shape{4});
  require_error(ErrorKind::invalid, {"accumulate", "shapes"},
                [&] { (void)accumulate(g, state, x); });
  require_error(ErrorKind::invalid, {"accumulate", "states"}, [&] { (void)accumulate(g, x, x); });
  for (const double rate : {-0.1, 1.0, static_cast<double>(NAN)}) {
    require_error(ErrorKind::invalid, {"dropout", "[0, 1)"},
                  [&] { (void)dropout(g, x, counter, {.rate = rate, .seed = 0}); });
  }
  require_error(ErrorKind::invalid, {"dropout", "counter"},
                [&] { (void)dropout(g, x, x, {.rate = 0.1, .seed = 0}); });
  require_error(ErrorKind::invalid, {"squared_norm"}, [&] { (void)squared_norm(g, counter); });
  const ValueId rate = g.input("rate", DType::f64, Shape{1});
  require_error(ErrorKind::invalid, {"adam", "scale"},
                [&] { (void)adam(g, w, x, counter, rate, {}, counter); });
}

TEST_CASE("mean_rows takes sequences as they lie, and no others", "[training]") {
  Graph g;
  const ValueId x = g.input("x", DType::f32, Shape{g.symbol("rows"), 2});
  const ValueId sequences = g.input("sequences", DType::i32, Shape{g.symbol("bounds")});
  const ValueId mean = mean_rows(g, x, sequences, g.symbol("count"));
  const std::unique_ptr<kernels::Workers> workers = kernels::make_workers(2);
  Run run(g, {mean}, {}, {4, 4, 3}, kernels::Isa::scalar, workers.get());
  run.set(x, std::vector<float>{1, 2, 3, 6, 5, 10, 9, 20});
  run.set(sequences, std::vector<std::int32_t>{0, 3, 3, 4});
  run.session.run();
  CHECK(run.get<float>(mean) == std::vector<float>{3, 6, 0, 0, 9, 20});
  for (const std::vector<std::int32_t>& wrong :
       {std::vector{0, 3, 2, 4}, {1, 2, 3, 4}, {0, 1, 2, 3}}) {
    run.set(sequences, wrong);
    require_error(ErrorKind::invalid, {"mean_rows", "do not rise from 0 to 4"},
                  [&] { run.session.run(); });
  }
  require_error(ErrorKind::invalid, {"mean_rows: 4 bounds for 2 sequences"}, [&] {
    run.session.resize(std::vector<std::int64_t>{4, 4, 2});
  });
}
