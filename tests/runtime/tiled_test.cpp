// Weights that stand in tiles: their sizes, and who reads them how.

#include "runtime/tiled.hpp"

#include "attn/error.hpp"
#include "runtime/autodiff.hpp"
#include "runtime/ops.hpp"
#include "runtime/session.hpp"
#include "runtime/stored.hpp"
#include "support/files.hpp"
#include "support/numbers.hpp"
#include "support/stored_weights.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstring>

using namespace attn;
using namespace attn::runtime;
using namespace attn::test;

namespace {

constexpr std::int64_t n = 37, k = 256;

// Rows looked up in W and multiplied with it, as a tied head does.
struct Tied {
  Graph graph;
  ValueId ids, w, logits;

  Tied(DType type, WeightLayout layout) {
    ids = graph.input("ids", DType::i32, Shape{3});
    w = graph.weight("w", type, Shape{n, k}, layout);
    logits = linear(graph, gather(graph, w, ids), w);
  }
};

struct Outcome {
  std::vector<float> logits;
  std::size_t packed = 0;  // bytes
};

Outcome run(DType type, WeightLayout layout, const void* data, kernels::Isa isa,
            Precision precision) {
  const Tied tied(type, layout);
  SessionOptions options;
  options.isa = isa;
  options.precision = precision;
  options.packs = std::make_shared<Packs>();
  // read-only: nothing here trains
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast)
  const std::vector<Binding> bindings{{tied.w, const_cast<void*>(data)}};
  const std::vector<ValueId> fetches{tied.logits};
  Session session(tied.graph, fetches, bindings, options);
  const std::int32_t ids[] = {36, 0, 17};
  std::memcpy(session.tensor(tied.ids).data, ids, sizeof ids);
  session.run();
  const TensorView& out = session.tensor(tied.logits);
  return {{out.as<const float>(), out.as<const float>() + out.elements()}, options.packs->bytes()};
}

}  // namespace

TEST_CASE("tiles are read where they stand, and by those who need rows unpacked once",
          "[tiles][session][isa]") {
  for (const DType type : {DType::bf16, DType::f16, DType::q8_0, DType::q4_1, DType::q5_0,
                           DType::q4_k, DType::q5_k, DType::q6_k}) {
    const StoredMatrix m = random_stored(*weight_type(type), n, k, 5);
    const auto rows = std::as_bytes(std::span(m.data(), dtype_bytes(type, n * k)));
    const std::int64_t shape[] = {n, k};
    const std::vector<std::byte> tiles = to_tiles(type, shape, rows);
    CHECK(tiles.size() == tiled_size(type, shape));
    CHECK(std::ranges::equal(to_rows(type, shape, tiles), rows));
    for (const kernels::Isa isa : kernels::supported_isas()) {
      for (const Precision precision : {Precision::automatic, Precision::bf16, Precision::f32}) {
        INFO(dtype_name(type) << " at " << kernels::isa_name(isa));
        const Outcome of_rows = run(type, WeightLayout::rows, rows.data(), isa, precision);
        const Outcome of_tiles = run(type, WeightLayout::tiles, tiles.data(), isa, precision);
        CHECK(of_tiles.logits == of_rows.logits);
        const bool multiplied = isa != kernels::Isa::scalar && precision != Precision::f32;
        CHECK(of_rows.packed == (multiplied ? tiles.size() : 0));
        CHECK(of_tiles.packed == (multiplied ? 0 : rows.size()));
      }
    }
  }
}

TEST_CASE("what cannot stand in tiles has no size there", "[tiles]") {
  const auto size = [](DType type, std::vector<std::int64_t> shape) {
    return tiled_size(type, shape);
  };
  CHECK(size(DType::q4_1, {16, 32}) == 320);
  CHECK(size(DType::q4_1, {17, 32}) == 640);
  CHECK(size(DType::bf16, {1, 1}) == 1024);
  CHECK(size(DType::q8_0, {0, 32}) == 0);
  CHECK_FALSE(size(DType::f32, {16, 32}));
  CHECK_FALSE(size(DType::u8, {16, 32}));
  CHECK_FALSE(size(DType::q4_1, {16, 33}));
  CHECK_FALSE(size(DType::q4_k, {16, 32}));
  CHECK_FALSE(size(DType::q4_1, {16}));
  CHECK_FALSE(size(DType::q4_1, {16, 32, 1}));
  CHECK_FALSE(size(DType::q4_1, {-16, 32}));
  for (const std::int64_t large : {std::int64_t{1} << 58, std::int64_t{1} << 61}) {
    CHECK_FALSE(size(DType::bf16, {1, large}));
    CHECK_FALSE(size(DType::bf16, {large, 64}));
  }
  Graph graph;
  require_error(ErrorKind::invalid, {"'w'", "tiles"}, [&] {
    (void)graph.weight("w", DType::f32, Shape{16, 32}, WeightLayout::tiles);
  });
}

TEST_CASE("columns that a weight lacks are zeros in its tiles", "[tiles]") {
  for (const DType type : {DType::bf16, DType::f16}) {
    for (const std::int64_t columns : {1, 31, 32, 45, 64}) {
      const std::int64_t shape[] = {20, columns};
      const StoredMatrix m = random_stored(*weight_type(type), shape[0], columns, 8);
      const auto rows = std::as_bytes(std::span(m.data(), dtype_bytes(type, shape[0] * columns)));
      std::vector<std::byte> tiles = to_tiles(type, shape, rows);
      CHECK(pads_with_zeros(type, shape, tiles));
      // a pair has its two columns side by side: the last number of a tile is of column 31
      tiles.back() = std::byte{1};
      CHECK(pads_with_zeros(type, shape, tiles) == (columns % 32 == 0));
      tiles.back() = std::byte{};
      tiles[tiles.size() / 2 - 1] = std::byte{1};  // of the first of two bands
      CHECK(pads_with_zeros(type, shape, tiles) == (columns % 32 == 0));
    }
  }
  const std::int64_t whole[] = {20, 32};
  CHECK(pads_with_zeros(DType::q8_0, whole, std::vector<std::byte>(2 * 544, std::byte{1})));
}

TEST_CASE("the weights that are multiplied are those of x Wᵀ", "[tiles]") {
  Graph graph;
  const ValueId x = graph.input("x", DType::f32, Shape{2, 32});
  const ValueId a = graph.weight("a", DType::q8_0, Shape{32, 32});
  const ValueId b = graph.weight("b", DType::f32, Shape{32, 32});
  const ValueId ids = graph.input("ids", DType::i32, Shape{2});
  const ValueId table = graph.weight("table", DType::q8_0, Shape{8, 32});
  (void)matmul(graph, add(graph, linear(graph, x, a), gather(graph, table, ids)), b);
  CHECK(multiplied_weights(graph) == std::set<std::string, std::less<>>{"a"});
}

TEST_CASE("a gradient goes back through weights as they are stored", "[tiles][autodiff][isa]") {
  // loss = Σ c ⊙ (x Uᵀ) Wᵀ: the gradient of U passes W
  constexpr std::int64_t rows = 40, width = 24;
  const auto gradient_of = [&](DType type, WeightLayout layout, const void* w, kernels::Isa isa,
                               Precision precision) {
    Graph graph;
    const ValueId x = graph.constant(
        DType::f32, Shape{2, rows / 2, width},
        converted<double>(random_values<float>(static_cast<std::size_t>(rows * width), 1)));
    const ValueId u = graph.weight("u", DType::f32, Shape{k, width});
    const ValueId stored = graph.weight("w", type, Shape{n, k}, layout);
    const ValueId y = linear(graph, linear(graph, x, u), stored);
    const Shape flat{rows * n};
    const ValueId c = graph.constant(
        DType::f32, flat,
        converted<double>(random_values<float>(static_cast<std::size_t>(rows * n), 2)));
    const ValueId loss = dot(graph, reshape(graph, y, flat), c);
    const std::vector<ValueId> gradient = gradients(graph, loss, std::vector<ValueId>{u});
    std::vector<float> factors = random_values<float>(static_cast<std::size_t>(k * width), 3);
    // read-only: nothing here is trained
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast)
    const std::vector<Binding> bindings{{u, factors.data()}, {stored, const_cast<void*>(w)}};
    SessionOptions options;
    options.isa = isa;
    options.precision = precision;
    Session session(graph, gradient, bindings, options);
    session.run();
    const TensorView& out = session.tensor(gradient[0]);
    return std::vector<float>(out.as<const float>(), out.as<const float>() + out.elements());
  };
  for (const DType type :
       {DType::bf16, DType::f16, DType::q8_0, DType::q4_1, DType::q5_1, DType::q4_k, DType::q6_k}) {
    const StoredMatrix m = random_stored(*weight_type(type), n, k, 5);
    const auto bytes = std::as_bytes(std::span(m.data(), dtype_bytes(type, n * k)));
    const std::int64_t shape[] = {n, k};
    const std::vector<std::byte> tiles = to_tiles(type, shape, bytes);
    const auto exact = gradient_of(DType::f32, WeightLayout::rows, m.values.data(),
                                   kernels::Isa::scalar, Precision::f32);
    for (const kernels::Isa isa : kernels::supported_isas()) {
      for (const Precision precision : {Precision::automatic, Precision::f32}) {
        INFO(dtype_name(type) << " at " << kernels::isa_name(isa));
        const auto of_rows = gradient_of(type, WeightLayout::rows, bytes.data(), isa, precision);
        CHECK(nmse(of_rows, exact) <= (precision == Precision::f32 ? 1e-11 : 1e-4));
        CHECK(gradient_of(type, WeightLayout::tiles, tiles.data(), isa, precision) == of_rows);
      }
    }
  }
}
