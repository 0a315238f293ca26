// What decoders with a cache stand on: states that grow, views of symbolic length, and a session
// that goes on token by token.

#include "attn/error.hpp"
#include "runtime/ops.hpp"
#include "support/files.hpp"
#include "support/numbers.hpp"
#include "support/sessions.hpp"

#include <catch2/catch.hpp>

#include <cstring>
#include <fstream>

using namespace attn;
using namespace attn::runtime;
using namespace attn::test;

namespace {

// Attention with a cache: inputs q, k, v of this run; what came before stands in the states.
struct Cached {
  Graph graph;
  ValueId q, k, v, out;

  explicit Cached(int window = 0) {
    const Symbol tokens = graph.symbol("tokens"), context = graph.symbol("context");
    const Symbol capacity = graph.symbol("capacity");
    q = graph.input("q", DType::f32, Shape{tokens, 16});
    k = graph.input("k", DType::f32, Shape{tokens, 8});
    v = graph.input("v", DType::f32, Shape{tokens, 8});
    const ValueId keys = graph.state("keys", DType::f32, Shape{capacity, 8});
    const ValueId values = graph.state("values", DType::f32, Shape{capacity, 8});
    out = attention(graph, q, append(graph, keys, k, context), append(graph, values, v, context),
                    {.heads = 4, .kv_heads = 2, .causal = true, .window = window})
              .output;
  }
};

std::vector<float> rows(const std::vector<float>& all, std::int64_t width, std::int64_t from,
                        std::int64_t count) {
  return {all.begin() + from * width, all.begin() + (from + count) * width};
}

// The outputs of 30 tokens, read in pieces of that many.
std::vector<float> in_pieces(const Cached& cached, std::int64_t piece, kernels::Isa isa) {
  const std::vector<float> q = random_values(30 * 16, 1), k = random_values(30 * 8, 2),
                           v = random_values(30 * 8, 3);
  Run run(cached.graph, {cached.out}, {}, {30, 40, 40}, isa);
  std::vector<float> all;
  for (std::int64_t at = 0; at < 30; at += piece) {
    const std::int64_t count = std::min(piece, 30 - at);
    const std::int64_t symbols[] = {count, at + count, 40};
    run.session.resize(symbols);
    run.set(cached.q, rows(q, 16, at, count));
    run.set(cached.k, rows(k, 8, at, count));
    run.set(cached.v, rows(v, 8, at, count));
    run.session.run();
    const std::vector<float> some = run.get<float>(cached.out);
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t all = 0, resident = 0;
  file >> all >> resident;
  return resident * 4096;
}

}  // namespace

TEST_CASE("a cache gives the same attention at once, in pieces, and token by token",
          "[session][isa]") {
  for (const int window : {0, 5}) {
    const Cached cached(window);
    for (const kernels::Isa isa : kernels::supported_isas()) {
      INFO(kernels::isa_name(isa) << " window " << window);
      const std::vector<float> at_once = in_pieces(cached, 30, isa);
      for (const std::int64_t piece : {1, 3, 8, 11}) {
        const std::vector<float> some = in_pieces(cached, piece, isa);
        REQUIRE(some.size() == at_once.size());
        for (std::size_t i = 0; i < some.size(); ++i) {
          CHECK(std::fabs(some[i] - at_once[i]) <= 1e-6F);
        }
      }
      // up to eight tokens together have the bits of one alone
      CHECK(in_pieces(cached, 4, isa) == in_pieces(cached, 1, isa));
      CHECK(in_pieces(cached, 8, isa) == in_pieces(cached, 1, isa));
    }
  }
}

TEST_CASE("an append of more rows than there will be is an error, and leaves the session usable") {
  const Cached cached;
  Run run(cached.graph, {cached.out}, {}, {4, 8, 8});
  const std::int64_t impossible[] = {3, 2, 8}, possible[] = {3, 3, 8}, beyond[] = {3, 9, 8};
  require_error(ErrorKind::invalid, {"append", "3 rows", "2"},
                [&] { run.session.resize(impossible); });
  require_error(ErrorKind::invalid, {"context", "9", "8"}, [&] { run.session.resize(beyond); });
  run.session.resize(possible);
  CHECK_NOTHROW(run.session.run());
}

TEST_CASE("views of symbolic length follow the symbols", "[session]") {
  Graph graph;
  const Symbol n = graph.symbol("n"), m = graph.symbol("m");
  const ValueId x = graph.input("x", DType::f32, Shape{n, 2});
  const ValueId head = copy(graph, first(graph, x, 0, m)), tail = copy(graph, last(graph, x, 0, m));
  Run run(graph, {head, tail}, {}, {6, 6});
  for (const auto& [length, part] : {std::pair{6, 2}, {5, 5}, {4, 0}, {6, 3}}) {
    const std::int64_t symbols[] = {length, part};
    run.session.resize(symbols);
    std::vector<float> values;
    for (int i = 0; i < length * 2; ++i) values.push_back(static_cast<float>(i));
    run.set(x, values);
    run.session.run();
    CHECK(run.get<float>(head) == rows(values, 2, 0, part));
    CHECK(run.get<float>(tail) == rows(values, 2, length - part, part));
  }
  const std::int64_t impossible[] = {2, 3};
  require_error(ErrorKind::invalid, {"3 of 2"}, [&] { run.session.resize(impossible); });
}

TEST_CASE("a large state costs no memory before it is written", "[session]") {
  Graph graph;
  const Symbol capacity = graph.symbol("capacity"), length = graph.symbol("length");
  const ValueId rows_in = graph.input("rows", DType::f32, Shape{1, 1024});
  const ValueId state = graph.state("state", DType::f32, Shape{capacity, 1024});
  const ValueId out = append(graph, state, rows_in, length);
  const std::size_t before = resident_bytes();
  constexpr std::int64_t many = 1 << 18;  // a gigabyte
  Run run(graph, {out}, {}, {many, 4});
  run.session.run();
  CHECK(run.session.memory().states == std::size_t{many} * 4096);
  CHECK(resident_bytes() < before + (std::size_t{64} << 20));
  // zeros, but for the new row
  const TensorView& view = run.session.tensor(out);
  CHECK(view.dim(0) == 4);
  CHECK(*view.as<const float>() == 0);
}

TEST_CASE("a session over its memory limit is refused before it takes any", "[session]") {
  Graph graph;
  const Symbol capacity = graph.symbol("capacity"), length = graph.symbol("length");
  const ValueId rows_in = graph.input("rows", DType::f32, Shape{1, 1024});
  const ValueId state = graph.state("state", DType::f32, Shape{capacity, 1024});
  const ValueId out = append(graph, state, rows_in, length);
  SessionOptions options;
  options.bounds = {1 << 30, 4};
  options.memory_limit = std::size_t{1} << 32;
  require_error(ErrorKind::memory, {"4398046511104 bytes", "4294967296"},
                [&] { Session session(graph, std::span(&out, 1), {}, options); });
  options.bounds = {1024, 4};
  CHECK_NOTHROW(Session(graph, std::span(&out, 1), {}, options));
}

TEST_CASE("ops on packed sequences and stored weights say what does not fit", "[graph]") {
  Graph graph;
  const ValueId x = graph.input("x", DType::f32, Shape{4, 64});
  const ValueId w = graph.weight("w", DType::q8_0, Shape{8, 64});
  const ValueId odd = graph.weight("odd", DType::q4_k, Shape{8, 64});
  const ValueId starts = graph.input("starts", DType::i32, Shape{3});
  const auto refuses = [&](std::initializer_list<std::string_view> parts, auto action) {
    require_error(ErrorKind::invalid, parts, action);
  };
  CHECK(graph.value(linear(graph, x, w)).shape == Shape{4, 8});
  CHECK(graph.value(matmul(graph, linear(graph, x, w), w)).shape == Shape{4, 64});
  refuses({"matmul", "Q8_0"}, [&] { (void)matmul(graph, w, x); });
  refuses({"matmul", "stored weights"},
          [&] { (void)matmul(graph, x, w, {.transpose_a = true, .transpose_b = true}); });
  refuses({"matmul", "blocks"}, [&] { (void)linear(graph, x, odd); });
  refuses({"attention", "window"}, [&] { (void)attention(graph, x, x, x, {.window = 3}); });
  refuses({"rope"}, [&] { (void)rope(graph, x, x, {.heads = 3}); });
  refuses({"gated_silu"}, [&] { (void)gated_silu(graph, x, slice(graph, x, 1, 0, 3)); });
  refuses({"append", "states"}, [&] { (void)append(graph, x, x, 4); });
  const ValueId packed =
      attention(graph, x, x, x, {.heads = 4, .kv_heads = 4}, ValueId::none, starts).output;
  Run run(graph, {packed}, {}, {});
  run.set(starts, std::vector<std::int32_t>{0, 3, 4});
  CHECK_NOTHROW(run.session.run());
  for (const auto& bad : {std::vector<std::int32_t>{0, 3, 5}, {1, 3, 4}, {0, 5, 4}}) {
    run.set(starts, bad);
    refuses({"attention", "sequences", "4 rows"}, [&] { run.session.run(); });
  }
}
