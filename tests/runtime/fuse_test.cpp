// Nodes that a session runs as one: the same bits as one by one, and only where nobody looks
// between.

#include "runtime/fuse.hpp"

#include "kernels/matmul/projections.hpp"
#include "runtime/ops.hpp"
#include "runtime/session.hpp"
#include "runtime/stored.hpp"
#include "support/numbers.hpp"
#include "support/stored_weights.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstring>

using namespace attn;
using namespace attn::runtime;
using namespace attn::test;

namespace {

constexpr std::int64_t width = 64, narrow = 32, wide = 96;

// A decoder's layer without its attention: norm, three projections of which two are turned, one
// with a residual, norm, and a gated pair with a residual.
struct Layer {
  Graph graph;
  ValueId x, h, q, k, v, q_turned, mixed, residual, normed, gate, up, gated, out;
  std::vector<ValueId> weights;
  std::vector<StoredMatrix> stored;
  std::vector<std::vector<float>> rows;

  explicit Layer(DType type) {
    const Symbol tokens = graph.symbol("tokens");
    x = graph.input("x", DType::f32, Shape{tokens, width});
    h = rms_norm(graph, x, row("input_norm"), 1e-5);
    q = linear(graph, h, weight("q", type, width, width), row("q_bias"));
    q_turned = affine(graph, q, -1, 0.5);
    k = linear(graph, h, weight("k", type, narrow, width));
    v = linear(graph, h, weight("v", type == DType::q4_1 ? DType::q8_0 : type, narrow, width));
    mixed = linear(graph, q_turned, weight("o", type, width, width));
    residual = add(graph, mixed, x);
    normed = rms_norm(graph, residual, row("post_norm"), 1e-6);
    up = linear(graph, normed, weight("up", type, wide, width));
    gate = linear(graph, normed, weight("gate", type, wide, width));
    gated = gated_silu(graph, gate, up);
    out = add(graph, residual, linear(graph, gated, weight("down", type, width, wide)));
  }

  ValueId weight(const char* name, DType type, std::int64_t n, std::int64_t columns) {
    stored.push_back(random_stored(*weight_type(type), n, columns,
                                   static_cast<std::uint32_t>(stored.size() + 3)));
    weights.push_back(graph.weight(name, type, Shape{n, columns}));
    return weights.back();
  }
  ValueId row(const char* name) {
    rows.push_back(random_values<float>(width, static_cast<std::uint32_t>(rows.size() + 40)));
    row_ids.push_back(graph.weight(name, DType::f32, Shape{width}));
    return row_ids.back();
  }

  struct Outcome {
    std::vector<std::vector<float>> values;
    std::size_t nodes;
  };

  // The first of what is fetched is asked for; all is returned.
  Outcome run(std::vector<ValueId> fetches, std::int64_t tokens, kernels::Isa isa,
              Precision precision, int threads = 1) {
    std::vector<Binding> bindings;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      bindings.push_back({weights[i], stored[i].bytes.data() + 1});
    }
    for (std::size_t i = 0; i < row_ids.size(); ++i) {
      bindings.push_back({row_ids[i], rows[i].data()});
    }
    const auto workers = kernels::make_workers(threads);
    SessionOptions options;
    options.isa = isa;
    options.precision = precision;
    options.workers = workers.get();
    options.bounds = {tokens};
    Session session(graph, fetches, bindings, options);
    session.resize(options.bounds);
    const auto input = random_values<float>(static_cast<std::size_t>(tokens * width), 99);
    std::memcpy(session.tensor(x).data, input.data(), input.size() * sizeof(float));
    session.run();
    Outcome outcome{{}, session.node_count()};
    for (const ValueId id : fetches) {
      const TensorView& tensor = session.tensor(id);
      outcome.values.emplace_back(tensor.as<const float>(),
                                  tensor.as<const float>() + tensor.elements());
    }
    return outcome;
  }

  std::vector<ValueId> row_ids;
};

bool fuses(kernels::Isa isa) { return kernels::projects(isa, 1 << 20); }

}  // namespace

TEST_CASE("a layer in fewer nodes gives the bits of all its nodes", "[session][fuse][isa]") {
  for (const DType type : {DType::q4_1, DType::bf16}) {
    Layer layer(type);
    for (const kernels::Isa isa : kernels::supported_isas()) {
      for (const std::int64_t tokens : {1, 7, 12, 50}) {
        INFO(dtype_name(type) << " " << kernels::isa_name(isa) << " " << tokens << " tokens");
        // everything between is fetched: nothing can be left out
        const auto plain = layer.run({layer.out, layer.k, layer.v, layer.h, layer.q, layer.mixed,
                                      layer.normed, layer.gate, layer.up},
                                     tokens, isa, Precision::automatic);
        for (const int threads : {1, 3}) {
          const auto fused =
              layer.run({layer.out, layer.k, layer.v}, tokens, isa, Precision::automatic, threads);
          for (std::size_t i = 0; i < 3; ++i) CHECK(same_bits(fused.values[i], plain.values[i]));
          // norm and three products, affine, a product and sum, norm to gate, a product and sum
          CHECK(fused.nodes == (fuses(isa) ? 5 : 13));
        }
      }
    }
  }
}

TEST_CASE("what somebody else looks at is not fused away", "[session][fuse]") {
  Layer layer(DType::q5_0);
  for (const kernels::Isa isa : kernels::supported_isas()) {
    const auto nodes = [&](std::vector<ValueId> fetches, Precision precision) {
      return layer.run(std::move(fetches), 9, isa, precision).nodes;
    };
    CHECK(nodes({layer.out, layer.k, layer.v}, Precision::f32) == 13);
    if (!fuses(isa)) continue;
    const auto with = [&](ValueId id) {
      return nodes({layer.out, layer.k, layer.v, id}, Precision::automatic);
    };
    CHECK(with(layer.h) == 6);      // the norm stays
    CHECK(with(layer.q) == 5);      // it is an output of the fused node
    CHECK(with(layer.mixed) == 6);  // a product, and a sum of its own
    CHECK(with(layer.normed) == 6);
    CHECK(with(layer.up) == 6);  // a gate of its own
    CHECK(with(layer.gated) == 5);
    CHECK(with(layer.residual) == 5);
    CHECK(nodes({layer.q}, Precision::automatic) == 1);  // what nobody needs does not run
  }
}

TEST_CASE("a weight that training writes is not fused", "[session][fuse]") {
  Graph graph;
  const ValueId x = graph.input("x", DType::f32, Shape{20, width});
  const ValueId w = graph.weight("w", DType::f32, Shape{width, width});
  const ValueId y = linear(graph, rms_norm(graph, x, ValueId::none, 1e-5), w);
  const ValueId gradient = graph.input("gradient", DType::f32, Shape{width, width});
  const ValueId step = graph.input("step", DType::i32, Shape{1});
  const ValueId rate = graph.input("rate", DType::f64, Shape{1});
  const ValueId updated = adam(graph, w, gradient, step, rate);
  for (const kernels::Isa isa : kernels::supported_isas()) {
    const auto count = [&](std::vector<ValueId> fetches) {
      auto needed = needed_nodes(graph, fetches);
      const std::size_t before = needed.size();
      return before -
             fuse_projections(graph, std::move(needed), fetches, isa, Precision::bf16).size();
    };
    CHECK(count({y}) == (fuses(isa) ? 1 : 0));
    CHECK(count({y, updated}) == 0);
  }
}
