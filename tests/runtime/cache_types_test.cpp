// Caches in fewer bits: states of those types, what is appended to them, attention to them.

#include "attn/error.hpp"
#include "kernels/cache/cache.hpp"
#include "runtime/ops.hpp"
#include "runtime/stored.hpp"
#include "support/files.hpp"
#include "support/numbers.hpp"
#include "support/sessions.hpp"

#include <catch2/catch.hpp>

using namespace attn;
using namespace attn::runtime;
using namespace attn::test;

namespace {

constexpr std::int64_t q_width = 128, kv_width = 64;  // 4 heads of 32 on 2
constexpr std::int64_t tokens_in_all = 30, capacity = 40;

// Attention with a cache of a type; or in f32 with what such a cache keeps of k and v.
struct Cached {
  Graph graph;
  ValueId q, k, v, keys, out;

  explicit Cached(DType type, int window = 0) {
    const Symbol tokens = graph.symbol("tokens"), context = graph.symbol("context");
    q = graph.input("q", DType::f32, Shape{tokens, q_width});
    k = graph.input("k", DType::f32, Shape{tokens, kv_width});
    v = graph.input("v", DType::f32, Shape{tokens, kv_width});
    keys = append(graph, graph.state("keys", type, Shape{capacity, kv_width}), k, context);
    const ValueId values =
        append(graph, graph.state("values", type, Shape{capacity, kv_width}), v, context);
    out = attention(graph, q, keys, values,
                    {.heads = 4, .kv_heads = 2, .causal = true, .window = window})
              .output;
  }
};

struct Slots {
  Graph graph;
  ValueId q, k, v, runs, out;

  explicit Slots(DType type) {
    const Symbol rows = graph.symbol("rows"), count = graph.symbol("runs");
    q = graph.input("q", DType::f32, Shape{rows, q_width});
    k = graph.input("k", DType::f32, Shape{rows, kv_width});
    v = graph.input("v", DType::f32, Shape{rows, kv_width});
    runs = graph.input("runs", DType::i32, Shape{count, 4});
    const Shape shape{3, capacity, kv_width};
    out = attention_runs(graph, q, append_runs(graph, graph.state("keys", type, shape), k, runs),
                         append_runs(graph, graph.state("values", type, shape), v, runs), runs,
                         {.heads = 4, .kv_heads = 2, .causal = true});
  }
};

// What a cache of that type keeps.
std::vector<float> kept(DType type, const std::vector<float>& x) {
  std::vector<std::byte> bytes(dtype_bytes(type, std::ssize(x)));
  std::vector<float> numbers(x.size());
  const kernels::WeightType stored = *weight_type(type);
  kernels::store_in_cache(kernels::Isa::scalar, stored, std::ssize(x), x.data(), bytes.data());
  kernels::dequantize(kernels::Isa::scalar, stored, std::ssize(x), bytes.data(), numbers.data());
  return numbers;
}

std::vector<float> rows(const std::vector<float>& all, std::int64_t width, std::int64_t from,
                        std::int64_t count) {
  return {all.begin() + from * width, all.begin() + (from + count) * width};
}

struct Numbers {
  std::vector<float> q = random_values(tokens_in_all * q_width, 1);
  std::vector<float> k = random_values(tokens_in_all * kv_width, 2);
  std::vector<float> v = random_values(tokens_in_all * kv_width, 3);
};

std::vector<float> in_pieces(const Cached& cached, const Numbers& x, std::int64_t piece,
                             kernels::Isa isa, int threads = 1) {
  const auto workers = kernels::make_workers(threads);
  Run run(cached.graph, {cached.out}, {}, {tokens_in_all, capacity}, isa, workers.get());
  std::vector<float> all;
  for (std::int64_t at = 0; at < tokens_in_all; at += piece) {
    const std::int64_t count = std::min(piece, tokens_in_all - at);
    const std::int64_t symbols[] = {count, at + count};
    run.session.resize(symbols);
    run.set(cached.q, rows(x.q, q_width, at, count));
    run.set(cached.k, rows(x.k, kv_width, at, count));
    run.set(cached.v, rows(x.v, kv_width, at, count));
    run.session.run();
    const std::vector<float> some = run.get<float>(cached.out);
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

}  // namespace

TEST_CASE("a cache in fewer bits attends to the numbers it keeps, however they came",
          "[session][cache][isa]") {
  const Numbers x;
  for (const DType type : {DType::bf16, DType::q8_0}) {
    const Numbers rounded{x.q, kept(type, x.k), kept(type, x.v)};
    for (const int window : {0, 5}) {
      const Cached cached(type, window), plain(DType::f32, window);
      for (const kernels::Isa isa : kernels::supported_isas()) {
        for (const std::int64_t piece : {1, 8, 11, 30}) {
          INFO(dtype_name(type) << " at " << kernels::isa_name(isa) << ", window " << window
                                << ", pieces of " << piece);
          const std::vector<float> exact = in_pieces(plain, rounded, piece, isa);
          CHECK(same_bits(in_pieces(cached, x, piece, isa), exact));
          CHECK(same_bits(in_pieces(cached, x, piece, isa, 3), exact));
          CHECK(in_pieces(plain, x, piece, isa) != exact);
        }
      }
    }
  }
}

TEST_CASE("slots of a cache in fewer bits attend to the numbers they keep",
          "[session][cache][isa]") {
  const Numbers x;
  const std::vector<std::vector<std::int32_t>> steps{{0, 20, 2, 20, 20, 10, 0, 10},
                                                     {0, 1, 0, 11, 1, 29, 1, 29}};
  const auto answer = [&](DType type, const Numbers& numbers, kernels::Isa isa) {
    const Slots slots(type);
    Run run(slots.graph, {slots.out}, {}, {tokens_in_all, 3}, isa);
    std::vector<float> all;
    for (const auto& runs : steps) {
      const std::int64_t symbols[] = {tokens_in_all, std::ssize(runs) / 4};
      run.session.resize(symbols);
      run.set(slots.q, numbers.q);
      run.set(slots.k, numbers.k);
      run.set(slots.v, numbers.v);
      run.set(slots.runs, runs);
      run.session.run();
      const std::vector<float> some = run.get<float>(slots.out);
      all.insert(all.end(), some.begin(), some.end());
    }
    return all;
  };
  for (const DType type : {DType::bf16, DType::q8_0}) {
    const Numbers rounded{x.q, kept(type, x.k), kept(type, x.v)};
    for (const kernels::Isa isa : kernels::supported_isas()) {
      INFO(dtype_name(type) << " at " << kernels::isa_name(isa));
      CHECK(same_bits(answer(type, x, isa), answer(DType::f32, rounded, isa)));
    }
  }
}

TEST_CASE("a state takes the bytes of its type", "[session][cache]") {
  const std::size_t numbers = capacity * kv_width;
  for (const auto& [type, bytes] : {std::pair{DType::f32, numbers * 4},
                                    {DType::bf16, numbers * 2},
                                    {DType::q8_0, numbers / 32 * 34}}) {
    INFO(dtype_name(type));
    const Cached cached(type);
    const Run run(cached.graph, {cached.out}, {}, {1, capacity});
    const std::size_t aligned = (bytes + 63) / 64 * 64;
    CHECK(run.session.memory().states == 2 * aligned);
  }
}

TEST_CASE("what no cache can be is refused", "[graph][cache]") {
  Graph graph;
  const ValueId x = graph.input("x", DType::f32, Shape{4, 64});
  const ValueId halves = graph.state("halves", DType::bf16, Shape{8, 64});
  const ValueId blocks = graph.state("blocks", DType::q8_0, Shape{8, 64});
  const auto refuses = [](std::initializer_list<std::string_view> parts, auto action) {
    require_error(ErrorKind::invalid, parts, action);
  };
  const ValueId fours = graph.state("fours", DType::q4_0, Shape{8, 64});
  refuses({"append", "types"}, [&] { (void)append(graph, fours, x, 8); });
  const ValueId odd = graph.state("odd", DType::q8_0, Shape{8, 48});
  const ValueId narrow = graph.input("narrow", DType::f32, Shape{4, 48});
  refuses({"append", "blocks of 32"}, [&] { (void)append(graph, odd, narrow, 8); });
  const ValueId wide = graph.input("wide", DType::f64, Shape{4, 64});
  refuses({"append", "types"}, [&] { (void)append(graph, halves, wide, 8); });
  refuses({"attention", "F32"}, [&] { (void)attention(graph, x, halves, blocks, {}); });
  refuses({"attention", "BF16"}, [&] { (void)attention(graph, wide, halves, halves, {}); });
  refuses({"attention", "blocks of 32"},
          [&] { (void)attention(graph, x, blocks, blocks, {.heads = 4, .kv_heads = 4}); });
  CHECK_NOTHROW(attention(graph, x, blocks, blocks, {.heads = 2, .kv_heads = 2}));
}
