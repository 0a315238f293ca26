// What may happen on the way back from a loss: activations that are computed again, updates in the
// middle of it, weights that change between runs.

#include "attn/error.hpp"
#include "runtime/autodiff.hpp"
#include "runtime/ops.hpp"
#include "runtime/session.hpp"
#include "support/numbers.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstring>
#include <map>
#include <string>
#include <vector>

using namespace attn::runtime;
using attn::kernels::Isa;
using attn::test::random_values;

namespace {

constexpr std::int64_t rows = 40, width = 48;

// A chain of layers x → x + gelu(dropout(norm(x)) Wᵀ) U. W is every layer's, and a half of it is
// looked at once more at the end; U is each layer's own.
struct Chain {
  Graph graph;
  ValueId tokens, step, rate, counter, loss;
  std::vector<ValueId> weights, between;
  std::map<std::string, std::vector<float>> values;

  explicit Chain(int layers) {
    tokens = graph.input("tokens", DType::i32, Shape{rows});
    counter = graph.input("counter", DType::i32, Shape{1});
    step = graph.input("step", DType::i32, Shape{1});
    rate = graph.input("rate", DType::f64, Shape{1});
    const ValueId table = weight("table", 10);
    const ValueId shared = weight("shared", width);
    ValueId x = gather(graph, table, tokens);
    const ValueId first = x;
    between.push_back(x);
    for (int l = 0; l < layers; ++l) {
      const ValueId own = weight("own" + std::to_string(l), width);
      ValueId h = rms_norm(graph, x, ValueId::none, 1e-5);
      h = dropout(graph, h, counter, {.rate = 0.25, .seed = static_cast<std::uint64_t>(l)});
      h = unary(graph, attn::kernels::Unary::gelu, linear(graph, h, shared));
      x = add(graph, x, matmul(graph, h, own));
      between.push_back(x);
    }
    // of the first stretch, used behind the last
    x = binary(graph, attn::kernels::Binary::mul, x, first);
    const ValueId half = linear(graph, x, slice(graph, shared, 0, 0, width / 2));
    loss = dot(graph, reshape(graph, half, Shape{rows * width / 2}),
               graph.constant(DType::f32, Shape{rows * width / 2},
                              random_values<double>(rows * width / 2, 3)));
  }

  ValueId weight(const std::string& name, std::int64_t count) {
    values[name] = random_values(static_cast<std::size_t>(count * width),
                                 static_cast<std::uint32_t>(values.size() + 1), -0.2F, 0.2F);
    weights.push_back(graph.weight(name, DType::f32, Shape{count, width}));
    return weights.back();
  }

  std::unique_ptr<Session> session(std::vector<ValueId> fetches, Isa isa, Precision precision,
                                   attn::kernels::Workers* workers) {
    std::vector<Binding> bindings;
    for (auto& [name, numbers] : values) {
      bindings.push_back({graph.find(Role::weight, name), numbers.data()});
    }
    SessionOptions options;
    options.isa = isa;
    options.precision = precision;
    options.workers = workers;
    auto made = std::make_unique<Session>(graph, fetches, bindings, options);
    made->resize({});
    auto* const ids = made->tensor(tokens).as<std::int32_t>();
    for (std::int32_t i = 0; i < rows; ++i) ids[i] = i * 7 % 10;
    *made->tensor(counter).as<std::int32_t>() = 5;
    return made;
  }
};

std::vector<float> numbers(const Session& session, ValueId id) {
  const TensorView& tensor = session.tensor(id);
  const auto* const from = tensor.as<const float>();
  return {from, from + tensor.elements()};
}

}  // namespace

TEST_CASE("activations that are computed again give the same gradients in less memory",
          "[autodiff]") {
  const auto workers = attn::kernels::make_workers(2);
  for (const Isa isa : attn::kernels::supported_isas()) {
    for (const Precision precision : {Precision::f32, Precision::bf16}) {
      INFO(attn::kernels::isa_name(isa) << (precision == Precision::bf16 ? " bf16" : " f32"));
      std::vector<std::vector<float>> kept;
      std::size_t arena = 0;
      for (const bool again : {false, true}) {
        Chain chain(20);
        GradientOptions options;
        if (again) options.checkpoints = chain.between;
        std::vector<ValueId> fetches = gradients(chain.graph, chain.loss, chain.weights, options);
        fetches.push_back(chain.loss);
        const auto session = chain.session(fetches, isa, precision, workers.get());
        session->run();
        for (std::size_t i = 0; i < fetches.size(); ++i) {
          if (!again) kept.push_back(numbers(*session, fetches[i]));
          CHECK((numbers(*session, fetches[i]) == kept[i]));
        }
        if (again) CHECK(session->memory().arena < arena / 2);
        arena = session->memory().arena;
      }
    }
  }
}

TEST_CASE("checkpoints have to follow each other", "[autodiff]") {
  Chain chain(3);
  std::vector<ValueId> wrong = chain.between;
  std::swap(wrong[1], wrong[2]);
  GradientOptions options;
  options.checkpoints = wrong;
  CHECK_THROWS_AS(gradients(chain.graph, chain.loss, chain.weights, options), attn::Error);
}

TEST_CASE("a weight that is updated on the way back has been read by all", "[autodiff]") {
  const auto workers = attn::kernels::make_workers(2);
  for (const bool again : {false, true}) {
    std::map<std::string, std::vector<float>> after;
    for (const bool at_once : {false, true}) {
      Chain chain(4);
      GradientOptions options;
      if (again) options.checkpoints = chain.between;
      std::vector<ValueId> updated;
      const auto update = [&](std::size_t i, ValueId gradient) {
        updated.push_back(adam(chain.graph, chain.weights[i], gradient, chain.step, chain.rate));
      };
      if (at_once) options.on_complete = update;
      const auto all = gradients(chain.graph, chain.loss, chain.weights, options);
      for (std::size_t i = 0; !at_once && i < all.size(); ++i) update(i, all[i]);
      CHECK(updated.size() == chain.weights.size());
      const auto session = chain.session(updated, attn::kernels::supported_isas().back(),
                                         Precision::automatic, workers.get());
      for (std::int32_t step = 1; step <= 3; ++step) {
        *session->tensor(chain.step).as<std::int32_t>() = step;
        *session->tensor(chain.rate).as<double>() = 0.01;
        session->run();
      }
      if (!at_once) after = chain.values;
      CHECK((chain.values == after));
    }
  }
}

TEST_CASE("no packed copy is kept of weights that something else writes", "[autodiff]") {
  const auto workers = attn::kernels::make_workers(2);
  for (const Isa isa : attn::kernels::supported_isas()) {
    for (const Precision precision : {Precision::f32, Precision::bf16}) {
      INFO(attn::kernels::isa_name(isa) << (precision == Precision::bf16 ? " bf16" : " f32"));
      Graph graph;
      const ValueId x = graph.input("x", DType::f32, Shape{rows, width});
      const ValueId w = graph.weight("w", DType::f32, Shape{width, width});
      const ValueId y = linear(graph, x, w);
      std::vector<float> weights = random_values(width * width, 1);
      const auto result = [&](Session& session) {
        const std::vector<float> input = random_values(rows * width, 2);
        std::memcpy(session.tensor(x).data, input.data(), input.size() * sizeof(float));
        session.run();
        return numbers(session, y);
      };
      const auto make = [&](bool told) {
        SessionOptions options;
        options.isa = isa;
        options.precision = precision;
        options.workers = workers.get();
        if (told) options.written_elsewhere = {w};
        const Binding binding{w, weights.data()};
        auto session = std::make_unique<Session>(graph, std::span(&y, 1), std::span(&binding, 1),
                                                 std::move(options));
        session->resize({});
        return session;
      };
      const auto session = make(true);
      const std::vector<float> before = result(*session);
      const std::vector<float> others = random_values(width * width, 3);
      std::copy(others.begin(), others.end(), weights.begin());
      const std::vector<float> changed = result(*session);
      CHECK((changed != before));
      CHECK((changed == result(*make(true))));
    }
  }
  Graph graph;
  const ValueId w = graph.weight("w", DType::f32, Shape{2, 2});
  SessionOptions options;
  options.written_elsewhere = {static_cast<ValueId>(7)};
  float data[4] = {};
  const Binding binding{w, data};
  CHECK_THROWS_AS(Session(graph, std::span(&w, 1), std::span(&binding, 1), options), attn::Error);
}
