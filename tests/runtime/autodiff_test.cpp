// Every op's gradient, held against central differences in float64.

#include "runtime/autodiff.hpp"

#include "runtime/op.hpp"
#include "runtime/ops.hpp"
#include "support/numbers.hpp"
#include "support/sessions.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <functional>
#include <set>
#include <string>

using namespace attn::runtime;
using namespace attn::test;
using attn::kernels::Binary;
using attn::kernels::Reduce;
using attn::kernels::Unary;

namespace {

struct Case {
  std::string name;
  std::vector<Shape> weights;
  /// Builds the value whose gradient is checked from the weights; ids is I32 [5] in 0..2.
  std::function<ValueId(Graph&, const std::vector<ValueId>&, ValueId ids)> build;
};

// loss = Σ c ⊙ value with fixed random c, so that no component of the gradient is favoured
ValueId weighted_loss(Graph& g, ValueId value) {
  std::size_t elements = 1;
  for (const Dim dim : g.value(value).shape.dims()) {
    elements *= static_cast<std::size_t>(dim.extent);
  }
  const Shape flat{static_cast<std::int64_t>(elements)};
  const ValueId c = g.constant(DType::f64, flat, random_values<double>(elements, 99));
  return dot(g, reshape(g, value, flat), c);
}

std::vector<Case> cases() {
  using Ids = const std::vector<ValueId>&;
  std::vector<Case> all;
  const auto with = [&](std::string name, std::vector<Shape> weights, auto build) {
    all.push_back({std::move(name), std::move(weights), build});
  };
  with("matmul", {{3, 4}, {4, 5}}, [](Graph& g, Ids w, ValueId) { return matmul(g, w[0], w[1]); });
  with("matmul, a transposed", {{4, 3}, {4, 5}}, [](Graph& g, Ids w, ValueId) {
    return matmul(g, w[0], w[1], {.transpose_a = true, .alpha = 0.5});
  });
  with("matmul, both transposed", {{4, 3}, {5, 4}}, [](Graph& g, Ids w, ValueId) {
    return matmul(g, w[0], w[1], {.transpose_a = true, .transpose_b = true, .alpha = 2});
  });
  with("matmul, pairwise", {{2, 3, 4}, {2, 4, 5}},
       [](Graph& g, Ids w, ValueId) { return matmul(g, w[0], w[1], {.alpha = 3}); });
  with("matmul, pairwise transposed", {{2, 4, 3}, {2, 5, 4}}, [](Graph& g, Ids w, ValueId) {
    return matmul(g, w[0], w[1], {.transpose_a = true, .transpose_b = true});
  });
  with("linear with bias over a batch", {{2, 3, 4}, {5, 4}, {5}},
       [](Graph& g, Ids w, ValueId) { return linear(g, w[0], w[1], w[2]); });
  with("linear with an activation", {{2, 3, 4}, {5, 4}, {5}}, [](Graph& g, Ids w, ValueId) {
    return matmul(g, w[0], w[1], {.transpose_b = true, .activation = Unary::gelu}, w[2]);
  });
  with("matmul over a batch", {{2, 3, 4}, {4, 5}},
       [](Graph& g, Ids w, ValueId) { return matmul(g, w[0], w[1]); });
  with("softmax", {{3, 5}},
       [](Graph& g, Ids w, ValueId) { return softmax(g, w[0], {.scale = 0.7}); });
  with("softmax, causal", {{2, 3, 4}},
       [](Graph& g, Ids w, ValueId) { return softmax(g, w[0], {.scale = 1, .causal = true}); });
  with("softmax, masked", {{3, 5}}, [](Graph& g, Ids w, ValueId) {
    const ValueId mask = g.constant(DType::f64, Shape{5}, {0, -1, -INFINITY, 0, 1});
    return softmax(g, w[0], {}, mask);
  });
  with("attention", {{3, 8}, {4, 8}, {4, 8}}, [](Graph& g, Ids w, ValueId) {
    return attention(g, w[0], w[1], w[2], {.heads = 2, .kv_heads = 2}).output;
  });
  with("attention, grouped, causal, in a batch", {{2, 3, 8}, {2, 5, 4}, {2, 5, 6}},
       [](Graph& g, Ids w, ValueId) {
         return attention(g, w[0], w[1], w[2],
                          {.heads = 4, .kv_heads = 2, .scale = 0.9, .causal = true})
             .output;
       });
  with("attention, its weights", {{3, 8}, {4, 8}, {4, 8}}, [](Graph& g, Ids w, ValueId) {
    return attention(g, w[0], w[1], w[2], {.heads = 2, .kv_heads = 2}).weights;
  });
  with("attention, weights and output together", {{3, 4}, {3, 4}, {3, 4}},
       [](Graph& g, Ids w, ValueId) {
         const AttentionValues a = attention(g, w[0], w[1], w[2], {});
         return add(g, reshape(g, a.output, Shape{3, 4}),
                    matmul(g, reshape(g, a.weights, Shape{3, 3}), w[2]));
       });
  for (const bool causal : {false, true}) {
    with("attention of sequences, grouped", {{7, 16}, {7, 8}, {7, 6}},
         [causal](Graph& g, Ids w, ValueId) {
           const ValueId sequences = g.constant(DType::i32, Shape{5}, {0, 2, 3, 3, 7});
           return attention(g, w[0], w[1], w[2], {.heads = 4, .kv_heads = 2, .causal = causal},
                            ValueId::none, sequences)
               .output;
         });
  }
  with("layer_norm", {{3, 6}, {6}, {6}},
       [](Graph& g, Ids w, ValueId) { return layer_norm(g, w[0], w[1], w[2], 1e-5); });
  with("rms_norm", {{3, 6}, {6}},
       [](Graph& g, Ids w, ValueId) { return rms_norm(g, w[0], w[1], 1e-5); });
  for (const auto& [name, function] : {std::pair{"exp", Unary::exp},
                                       {"tanh", Unary::tanh},
                                       {"sigmoid", Unary::sigmoid},
                                       {"relu", Unary::relu},
                                       {"gelu", Unary::gelu},
                                       {"gelu_tanh", Unary::gelu_tanh},
                                       {"silu", Unary::silu}}) {
    with(std::string("unary ") + name, {{3, 7}},
         [f = function](Graph& g, Ids w, ValueId) { return unary(g, f, w[0]); });
  }
  for (const auto& [name, op] :
       {std::pair{"add", Binary::add}, {"sub", Binary::sub}, {"mul", Binary::mul}}) {
    with(std::string("binary ") + name, {{3, 4}, {3, 4}},
         [o = op](Graph& g, Ids w, ValueId) { return binary(g, o, w[0], w[1]); });
    with(std::string("binary with a row, ") + name, {{2, 3, 4}, {4}},
         [o = op](Graph& g, Ids w, ValueId) { return binary(g, o, w[0], w[1]); });
  }
  with("a value used twice", {{3, 4}},
       [](Graph& g, Ids w, ValueId) { return binary(g, Binary::mul, w[0], add(g, w[0], w[0])); });
  with("affine", {{3, 4}}, [](Graph& g, Ids w, ValueId) { return affine(g, w[0], -2, 3); });
  for (const auto& [name, op] :
       {std::pair{"sum", Reduce::sum}, {"mean", Reduce::mean}, {"max", Reduce::max}}) {
    with(std::string("reduce ") + name, {{2, 3, 4}},
         [o = op](Graph& g, Ids w, ValueId) { return reduce(g, o, w[0]); });
  }
  with("sum_columns", {{2, 3, 4}}, [](Graph& g, Ids w, ValueId) { return sum_columns(g, w[0]); });
  with("gather, ids repeated", {{3, 4}},
       [](Graph& g, Ids w, ValueId ids) { return gather(g, w[0], ids); });
  with("mean_rows", {{7, 5}}, [](Graph& g, Ids w, ValueId) {
    const ValueId sequences = g.constant(DType::i32, Shape{5}, {0, 2, 3, 3, 7});
    return mean_rows(g, unary(g, Unary::tanh, w[0]), sequences, 4);
  });
  with("head_loss", {{5, 4}, {3, 4}}, [](Graph& g, Ids w, ValueId ids) {
    const ValueId scale = g.constant(DType::f64, Shape{1}, {0.3});
    return head_loss(g, w[0], w[1], ids, scale, {.alpha = 1.7});
  });
  with("transpose", {{2, 3, 4}},
       [](Graph& g, Ids w, ValueId) { return unary(g, Unary::tanh, transpose(g, w[0], 0, 2)); });
  with("slice", {{2, 5, 4}},
       [](Graph& g, Ids w, ValueId) { return unary(g, Unary::tanh, slice(g, w[0], 1, 2, 2)); });
  with("slice of columns into a product", {{3, 8}, {4, 5}},
       [](Graph& g, Ids w, ValueId) { return matmul(g, slice(g, w[0], 1, 4, 4), w[1]); });
  with("last", {{5, 4}}, [](Graph& g, Ids w, ValueId) { return last(g, w[0], 0, 2); });
  with("reshape", {{2, 6}}, [](Graph& g, Ids w, ValueId) {
    return unary(g, Unary::tanh, reshape(g, w[0], Shape{3, 4}));
  });
  for (const auto layout :
       {attn::kernels::RopeLayout::half, attn::kernels::RopeLayout::interleaved}) {
    with("rope", {{3, 12}}, [layout](Graph& g, Ids w, ValueId) {
      const ValueId positions = g.constant(DType::i32, Shape{3}, {0, 2, 5});
      const ValueId table = rope_table(g, positions, {1, 0.1}, layout, g.value(w[0]).dtype);
      return unary(g, Unary::tanh, rope(g, w[0], table, {.heads = 2, .layout = layout}));
    });
  }
  with("gated_silu", {{3, 7}, {3, 7}},
       [](Graph& g, Ids w, ValueId) { return gated_silu(g, w[0], w[1]); });
  with("dropout", {{5, 8}}, [](Graph& g, Ids w, ValueId) {
    const ValueId counter = g.constant(DType::i32, Shape{1}, {3});
    return dropout(g, unary(g, Unary::tanh, w[0]), counter, {.rate = 0.4, .seed = 7});
  });
  with("first", {{5, 4}}, [](Graph& g, Ids w, ValueId) { return first(g, w[0], 0, 2); });
  with("copy", {{3, 4}}, [](Graph& g, Ids w, ValueId) { return copy(g, w[0]); });
  return all;
}

std::size_t elements(const Shape& shape) {
  std::size_t count = 1;
  for (const Dim dim : shape.dims()) count *= static_cast<std::size_t>(dim.extent);
  return count;
}

bool uses(const Graph& g, ValueId id) {
  return std::any_of(g.nodes().begin(), g.nodes().end(), [&](const Node& node) {
    return std::count(node.inputs.begin(), node.inputs.end(), id) > 0;
  });
}

}  // namespace

TEST_CASE("gradients agree with central differences in float64", "[autodiff]") {
  std::set<std::string_view> covered;
  for (const Case& test : cases()) {
    INFO(test.name);
    Graph g;
    std::vector<ValueId> weights;
    std::vector<std::vector<double>> numbers;
    std::vector<Binding> bindings;
    for (const Shape& shape : test.weights) {
      const auto seed = static_cast<std::uint32_t>(weights.size() + 1);
      weights.push_back(g.weight("w" + std::to_string(seed), DType::f64, shape));
      numbers.push_back(random_values<double>(elements(shape), seed));
    }
    for (std::size_t i = 0; i < weights.size(); ++i) {
      bindings.push_back({weights[i], numbers[i].data()});
    }
    const ValueId ids = g.input("ids", DType::i32, Shape{5});
    const ValueId loss = weighted_loss(g, test.build(g, weights, ids));
    std::vector<ValueId> fetches = gradients(g, loss, weights);
    fetches.push_back(loss);
    for (const ValueId id : fetches) REQUIRE(id != ValueId::none);
    for (const Node& node : g.nodes()) covered.insert(node.op->name);

    Run run(g, fetches, bindings, {});
    const std::vector<std::int32_t> id_values{0, 2, 1, 2, 2};
    if (uses(g, ids)) run.set(ids, id_values);
    run.session.run();
    for (std::size_t w = 0; w < weights.size(); ++w) {
      const std::vector<double> analytic = run.get<double>(fetches[w]);
      for (std::size_t i = 0; i < numbers[w].size(); ++i) {
        constexpr double step = 1e-6;
        const double at = numbers[w][i];
        numbers[w][i] = at + step;
        run.session.run();
        const double up = run.get<double>(loss)[0];
        numbers[w][i] = at - step;
        run.session.run();
        const double down = run.get<double>(loss)[0];
        numbers[w][i] = at;
        const double numeric = (up - down) / (2 * step);
        INFO("weight " << w << " element " << i << ": " << analytic[i] << " against " << numeric);
        REQUIRE(std::fabs(analytic[i] - numeric) <= 1e-5 + 1e-3 * std::fabs(numeric));
      }
    }
  }
  // an op with a gradient that no case passes through is an op untested
  for (const OpDef* op : all_ops()) {
    INFO(op->name);
    if (op->gradient != nullptr) CHECK(covered.contains(op->name));
  }
}

TEST_CASE("float32 gradients at every level follow the float64 ones", "[autodiff][isa]") {
  for (const attn::kernels::Isa isa : attn::kernels::supported_isas()) {
    for (const Case& test : cases()) {
      const auto gradient_of = [&](auto zero, DType dtype, attn::kernels::Isa level) {
        using T = decltype(zero);
        Graph g;
        std::vector<ValueId> weights;
        std::vector<std::vector<T>> numbers;
        std::vector<Binding> bindings;
        for (const Shape& shape : test.weights) {
          const auto seed = static_cast<std::uint32_t>(weights.size() + 1);
          weights.push_back(g.weight("w" + std::to_string(seed), dtype, shape));
          numbers.push_back(converted<T>(random_values<float>(elements(shape), seed)));
        }
        for (std::size_t i = 0; i < weights.size(); ++i) {
          bindings.push_back({weights[i], numbers[i].data()});
        }
        const ValueId ids = g.input("ids", DType::i32, Shape{5});
        const ValueId value = test.build(g, weights, ids);
        std::size_t count = elements(g.value(value).shape);
        const Shape flat{static_cast<std::int64_t>(count)};
        const auto c = converted<double>(random_values<float>(count, 99));
        const ValueId loss = dot(g, reshape(g, value, flat), g.constant(dtype, flat, c));
        const std::vector<ValueId> wanted = gradients(g, loss, weights);
        Run run(g, wanted, bindings, {}, level);
        if (uses(g, ids)) run.set(ids, std::vector<std::int32_t>{0, 2, 1, 2, 2});
        run.session.run();
        std::vector<T> all;
        for (const ValueId id : wanted) {
          const auto some = run.template get<T>(id);
          all.insert(all.end(), some.begin(), some.end());
        }
        return all;
      };
      if (test.name == "softmax, masked") continue;  // its mask is a constant in float64
      INFO(test.name << " at " << attn::kernels::isa_name(isa));
      const auto exact = gradient_of(double{}, DType::f64, attn::kernels::Isa::scalar);
      const auto got = gradient_of(float{}, DType::f32, isa);
      REQUIRE(nmse(got, exact) <= 1e-11);
    }
  }
}

TEST_CASE("gradients that may be rounded to bfloat16 follow the exact ones", "[autodiff][isa]") {
  // products in every order that gradients take, of enough rows to be rounded
  const auto gradients_of = [](attn::kernels::Isa isa, Precision precision) {
    Graph g;
    const std::vector<Shape> shapes{{2, 20, 40}, {50, 40}, {50, 36}, {40, 33}};
    std::vector<ValueId> weights;
    std::vector<std::vector<float>> numbers;
    std::vector<Binding> bindings;
    for (const Shape& shape : shapes) {
      const auto seed = static_cast<std::uint32_t>(weights.size() + 1);
      weights.push_back(g.weight("w" + std::to_string(seed), DType::f32, shape));
      numbers.push_back(random_values<float>(elements(shape), seed));
    }
    for (std::size_t i = 0; i < weights.size(); ++i) {
      bindings.push_back({weights[i], numbers[i].data()});
    }
    const ValueId y = matmul(g, linear(g, weights[0], weights[1]), weights[2]);
    const ValueId flat = reshape(g, y, Shape{40, 36});
    const ValueId z = matmul(g, weights[3], flat, {.transpose_a = true, .alpha = 0.5});
    const ValueId c =
        g.constant(DType::f32, Shape{33 * 36}, converted<double>(random_values(33 * 36, 99)));
    const ValueId loss = dot(g, reshape(g, z, Shape{33 * 36}), c);
    const std::vector<ValueId> wanted = gradients(g, loss, weights);
    SessionOptions options;
    options.isa = isa;
    options.precision = precision;
    Session session(g, wanted, bindings, options);
    session.run();
    std::vector<std::vector<float>> all;
    for (const ValueId id : wanted) {
      const TensorView& t = session.tensor(id);
      all.emplace_back(t.as<const float>(), t.as<const float>() + t.elements());
    }
    return all;
  };
  const auto exact = gradients_of(attn::kernels::Isa::scalar, Precision::f32);
  for (const attn::kernels::Isa isa : attn::kernels::supported_isas()) {
    for (const Precision precision : {Precision::automatic, Precision::bf16}) {
      const auto got = gradients_of(isa, precision);
      for (std::size_t i = 0; i < exact.size(); ++i) {
        INFO("weight " << i << " at " << attn::kernels::isa_name(isa));
        // two or three products, each of them 1e-5 off where operands have eight bits
        CHECK(nmse(got[i], exact[i]) <= (precision == Precision::bf16 ? 1e-4 : 1e-11));
        if (precision == Precision::bf16 && attn::kernels::has_dot_products(isa)) {
          CHECK(nmse(got[i], exact[i]) > 1e-9);
        }
      }
    }
  }
}
