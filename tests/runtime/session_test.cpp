#include "runtime/session.hpp"

#include "attn/error.hpp"
#include "runtime/autodiff.hpp"
#include "runtime/op.hpp"
#include "runtime/ops.hpp"
#include "support/numbers.hpp"
#include "support/sessions.hpp"

#include <catch2/catch.hpp>

#include <random>

using namespace attn::runtime;
using namespace attn::test;
using attn::Error;
using attn::kernels::Binary;
using attn::kernels::Isa;
using attn::kernels::Unary;

namespace {

// A small transformer-like block over [n, 16], with weights.
struct Block {
  Graph graph;
  ValueId x, y, attention_weights;
  std::vector<std::vector<float>> numbers;
  std::vector<Binding> bindings;

  Block() {
    Graph& g = graph;
    const Symbol n = g.symbol("n");
    x = g.input("x", DType::f32, Shape{n, 16});
    const ValueId q = linear(g, x, weight("q", {16, 16}));
    const ValueId k = linear(g, x, weight("k", {16, 16}));
    const ValueId v = linear(g, x, weight("v", {16, 16}));
    const AttentionValues a = attention(g, q, k, v, {.heads = 4, .kv_heads = 4});
    attention_weights = a.weights;
    const ValueId h = add(g, x, a.output);
    const ValueId normed = rms_norm(g, h, weight("gain", {16}), 1e-5);
    const ValueId up = unary(g, Unary::silu, linear(g, normed, weight("up", {64, 16})));
    y = add(g, h, linear(g, up, weight("down", {16, 64})));
    g.output("y", y);
  }

  ValueId weight(const std::string& name, const Shape& shape) {
    const ValueId id = graph.weight(name, DType::f32, shape);
    std::size_t count = 1;
    for (const Dim dim : shape.dims()) count *= static_cast<std::size_t>(dim.extent);
    numbers.push_back(random_values(count, static_cast<std::uint32_t>(numbers.size()), -0.3, 0.3));
    bindings.push_back({id, nullptr});
    for (std::size_t i = 0; i < numbers.size(); ++i) bindings[i].data = numbers[i].data();
    return id;
  }
};

}  // namespace

TEST_CASE("a session planned for many tokens gives few tokens the same bits", "[session]") {
  Block block;
  for (const Isa isa : attn::kernels::supported_isas()) {
    for (const std::int64_t n : {1, 2, 5, 31}) {
      const auto input = random_values(static_cast<std::size_t>(n) * 16, 5);
      Run exact(block.graph, {block.y}, block.bindings, {n}, isa);
      exact.set(block.x, input);
      exact.session.run();
      Run large(block.graph, {block.y}, block.bindings, {31}, isa);
      large.session.resize(std::vector<std::int64_t>{n});
      large.set(block.x, input);
      large.session.run();
      REQUIRE(same_bits(large.get<float>(block.y), exact.get<float>(block.y)));
      large.session.run();  // the input is still there
      REQUIRE(same_bits(large.get<float>(block.y), exact.get<float>(block.y)));
    }
  }
}

TEST_CASE("asking for attention weights does not change the output much, and they sum to 1",
          "[session]") {
  Block block;
  const auto input = random_values(9 * 16, 5);
  for (const Isa isa : attn::kernels::supported_isas()) {
    Run plain(block.graph, {block.y}, block.bindings, {9}, isa);
    Run shown(block.graph, {block.y, block.attention_weights}, block.bindings, {9}, isa);
    plain.set(block.x, input);
    shown.set(block.x, input);
    plain.session.run();
    shown.session.run();
    REQUIRE(nmse(shown.get<float>(block.y), plain.get<float>(block.y)) <= 1e-12);
    const auto weights = shown.get<float>(block.attention_weights);
    REQUIRE(weights.size() == 4 * 9 * 9);
    for (std::size_t row = 0; row < 4 * 9; ++row) {
      float sum = 0;
      for (std::size_t c = 0; c < 9; ++c) sum += weights[row * 9 + c];
      REQUIRE(sum == Approx(1).margin(4e-7));
    }
    REQUIRE_THROWS_AS(plain.session.tensor(block.attention_weights), Error);
  }
}

TEST_CASE("every number of threads gives the same bits", "[session][threads]") {
  Block block;
  const auto input = random_values(200 * 16, 8);
  for (const Isa isa : attn::kernels::supported_isas()) {
    Run alone(block.graph, {block.y}, block.bindings, {200}, isa);
    alone.set(block.x, input);
    alone.session.run();
    for (const int threads : {2, 3, 8}) {
      const auto workers = attn::kernels::make_workers(threads);
      Run together(block.graph, {block.y}, block.bindings, {200}, isa, workers.get());
      together.set(block.x, input);
      together.session.run();
      REQUIRE(same_bits(together.get<float>(block.y), alone.get<float>(block.y)));
    }
  }
}

// Random graphs of elementwise nodes, products and views: what the planner shares must not change
// results. The reference fetches every value, so nothing is shared there.
TEST_CASE("sharing memory changes no result on random graphs", "[session]") {
  std::mt19937 random(11);
  for (int round = 0; round < 60; ++round) {
    Graph g;
    std::vector<ValueId> values{g.input("x", DType::f32, Shape{6, 6})};
    const auto any = [&] { return values[random() % values.size()]; };
    for (int i = 0; i < 25; ++i) {
      switch (random() % 8) {
        case 0: values.push_back(binary(g, Binary::add, any(), any())); break;
        case 1: values.push_back(binary(g, Binary::sub, any(), any())); break;
        case 2: values.push_back(unary(g, Unary::tanh, any())); break;
        case 3: values.push_back(affine(g, any(), 0.5, 0.25)); break;
        case 4: values.push_back(transpose(g, any(), 0, 1)); break;
        case 5: values.push_back(softmax(g, any())); break;
        case 6: {  // one row of a value, for all rows of another
          const ValueId whole = any(), row = slice(g, any(), 0, 2, 1);
          values.push_back(binary(g, Binary::sub, whole, reshape(g, row, Shape{6})));
          break;
        }
        default: values.push_back(unary(g, Unary::sigmoid, matmul(g, any(), any()))); break;
      }
    }
    const ValueId last_value = copy(g, values.back());
    std::vector<ValueId> everything;
    for (std::size_t v = 0; v < g.values().size(); ++v) {
      everything.push_back(static_cast<ValueId>(v));
    }
    const auto input = random_values(36, static_cast<std::uint32_t>(round));
    Run shared(g, {last_value}, {}, {});
    Run apart(g, everything, {}, {});
    REQUIRE(shared.session.memory().arena <= apart.session.memory().arena);
    shared.set(values[0], input);
    apart.set(values[0], input);
    shared.session.run();
    apart.session.run();
    REQUIRE(same_bits(shared.get<float>(last_value), apart.get<float>(last_value)));
  }
}

TEST_CASE("elementwise chains run in place", "[session]") {
  Graph g;
  const ValueId x = g.input("x", DType::f32, Shape{64});
  const ValueId y = unary(g, Unary::tanh, unary(g, Unary::exp, affine(g, x, 2, 0)));
  Run run(g, {y}, {}, {});
  REQUIRE(run.session.memory().results_in_place == 2);
  REQUIRE(run.session.memory().arena == 2 * 64 * sizeof(float));  // x, and one for the chain
}

TEST_CASE("states outlive runs and optimizers write weights", "[session]") {
  Graph g;
  const ValueId w = g.weight("w", DType::f32, Shape{3});
  const ValueId target = g.input("target", DType::f32, Shape{3});
  const ValueId step = g.input("step", DType::i32, Shape{1});
  const ValueId rate = g.input("rate", DType::f64, Shape{1});
  const ValueId miss = binary(g, Binary::sub, w, target);
  const ValueId loss =
      dot(g, binary(g, Binary::mul, miss, miss), g.constant(DType::f32, Shape{3}, {1, 1, 1}));
  const ValueId gradient = gradients(g, loss, std::span(&w, 1))[0];
  const ValueId updated = adam(g, w, gradient, step, rate);
  std::vector<float> numbers{1, 2, 3};
  Run run(g, {loss, updated}, {{w, numbers.data()}}, {});
  run.set<float>(target, {0, 0, 0});
  run.set<double>(rate, {0.05});
  float before = 1e9F;
  for (std::int32_t t = 1; t <= 200; ++t) {
    run.set<std::int32_t>(step, {t});
    run.session.run();
    if (t % 50 == 0) {
      const float now = run.get<float>(loss)[0];
      REQUIRE(now < before);
      before = now;
    }
  }
  for (const float number : numbers) REQUIRE(std::fabs(number) < 0.1F);
  REQUIRE(run.session.memory().states == 2 * 64);
  const ValueId moment = g.find(Role::state, "w.adam_v");
  for (const float number : run.get<float>(moment)) REQUIRE(number > 0);
  run.session.reset_states();
  REQUIRE(run.get<float>(moment) == std::vector<float>(3, 0.0F));
}

TEST_CASE("what a session lacks is an error that says what", "[session]") {
  Block block;
  REQUIRE_THROWS_WITH(Run(block.graph, {block.y}, {}, {4}), Catch::Contains("'q'"));
  REQUIRE_THROWS_AS(Session(block.graph, std::span(&block.y, 1), block.bindings, {}), Error);
  Run run(block.graph, {block.y}, block.bindings, {4});
  REQUIRE_THROWS_WITH(run.session.resize(std::vector<std::int64_t>{5}), Catch::Contains("0..4"));
  REQUIRE_THROWS_WITH(run.session.resize(std::vector<std::int64_t>{-1}), Catch::Contains("n = -1"));
  REQUIRE_THROWS_AS(run.session.resize(std::vector<std::int64_t>{}), Error);
}

TEST_CASE("ids outside the table stop the run", "[session]") {
  Graph g;
  const ValueId table = g.weight("table", DType::f32, Shape{3, 2});
  const ValueId ids = g.input("ids", DType::i32, Shape{2});
  const ValueId rows = gather(g, table, ids);
  std::vector<float> numbers{1, 2, 3, 4, 5, 6};
  Run run(g, {rows}, {{table, numbers.data()}}, {});
  run.set<std::int32_t>(ids, {2, 0});
  run.session.run();
  REQUIRE(run.get<float>(rows) == std::vector<float>{5, 6, 1, 2});
  for (const std::int32_t bad : {-1, 3}) {
    run.set<std::int32_t>(ids, {0, bad});
    REQUIRE_THROWS_WITH(run.session.run(), Catch::Contains(std::to_string(bad)));
  }
}

TEST_CASE("states that together are too large for an address space are refused", "[session]") {
  Graph g;
  const ValueId x = g.input("x", DType::f32, Shape{1, 32});
  constexpr std::int64_t most = (std::int64_t{1} << 61) - 32;  // floats: just below 2^63 bytes
  std::vector<ValueId> all;
  for (const std::int64_t rows :
       {most / 32, most / 32, std::int64_t{4}}) {  // 256 bytes if it wraps
    const ValueId state = g.state("s" + std::to_string(all.size()), DType::f32, Shape{rows, 32});
    all.push_back(append(g, state, x, 1));
  }
  try {
    SessionOptions options;
    options.memory_limit = 1 << 20;
    const Session session(g, all, {}, options);
    FAIL("they were not refused");
  } catch (const Error& error) {
    CHECK(error.kind() == attn::ErrorKind::memory);
  }
}

TEST_CASE("a size that no address space holds is an error of memory", "[session]") {
  Graph g;
  const Symbol n = g.symbol("n");
  const ValueId x = g.input("x", DType::f32, Shape{n, n, n, n});
  const ValueId y = unary(g, Unary::exp, x);
  try {
    Run run(g, {y}, {}, {std::int64_t{1} << 40});
    FAIL("accepted");
  } catch (const Error& error) {
    REQUIRE(error.kind() == attn::ErrorKind::memory);
  }
}
