// Several sequences in slots of one cache.

#include "attn/error.hpp"
#include "runtime/ops.hpp"
#include "support/files.hpp"
#include "support/numbers.hpp"
#include "support/sessions.hpp"

#include <catch2/catch.hpp>

using namespace attn;
using namespace attn::runtime;
using namespace attn::test;

namespace {

// 3 slots of 12 positions; q of 4 heads, k and v of 2, all 4 wide.
struct Slots {
  Graph graph;
  ValueId q, k, v, runs, out;

  Slots() {
    const Symbol rows = graph.symbol("rows"), count = graph.symbol("runs");
    q = graph.input("q", DType::f32, Shape{rows, 16});
    k = graph.input("k", DType::f32, Shape{rows, 8});
    v = graph.input("v", DType::f32, Shape{rows, 8});
    runs = graph.input("runs", DType::i32, Shape{count, 4});
    const ValueId keys = graph.state("keys", DType::f32, Shape{3, 12, 8});
    const ValueId values = graph.state("values", DType::f32, Shape{3, 12, 8});
    out = attention_runs(graph, q, append_runs(graph, keys, k, runs),
                         append_runs(graph, values, v, runs), runs,
                         {.heads = 4, .kv_heads = 2, .causal = true});
  }
};

struct Slices {
  std::vector<float> q, k, v;
  explicit Slices(std::int64_t rows, std::uint32_t seed)
      : q(random_values(static_cast<std::size_t>(rows * 16), seed)),
        k(random_values(static_cast<std::size_t>(rows * 8), seed + 1)),
        v(random_values(static_cast<std::size_t>(rows * 8), seed + 2)) {}
};

std::vector<float> step(Run& run, const Slots& slots, const Slices& x,
                        const std::vector<std::int32_t>& runs) {
  const std::int64_t symbols[] = {std::ssize(x.k) / 8, std::ssize(runs) / 4};
  run.session.resize(symbols);
  run.set(slots.q, x.q);
  run.set(slots.k, x.k);
  run.set(slots.v, x.v);
  run.set(slots.runs, runs);
  run.session.run();
  return run.get<float>(slots.out);
}

}  // namespace

TEST_CASE("a sequence among others in a cache gives what it gives alone", "[session][isa]") {
  const Slots slots;
  for (const kernels::Isa isa : kernels::supported_isas()) {
    INFO(kernels::isa_name(isa));
    Run run(slots.graph, {slots.out}, {}, {12, 3}, isa);
    // two sequences of which each step reads some rows, and each alone in the third slot
    const Slices first(7, 1), second(3, 5);
    const std::vector<float> both_first = step(run, slots, first, {0, 5, 0, 5, 5, 2, 1, 2});
    const std::vector<float> both_second = step(run, slots, second, {0, 1, 1, 3, 1, 2, 0, 7});
    const auto part = [](const Slices& all, std::int64_t from, std::int64_t count) {
      Slices some(0, 0);
      some.q.assign(all.q.begin() + from * 16, all.q.begin() + (from + count) * 16);
      some.k.assign(all.k.begin() + from * 8, all.k.begin() + (from + count) * 8);
      some.v.assign(all.v.begin() + from * 8, all.v.begin() + (from + count) * 8);
      return some;
    };
    const auto same = [](const std::vector<float>& alone, const std::vector<float>& all,
                         std::int64_t from) {
      return std::equal(alone.begin(), alone.end(), all.begin() + from * 16);
    };
    CHECK(same(step(run, slots, part(first, 0, 5), {0, 5, 2, 5}), both_first, 0));
    CHECK(same(step(run, slots, part(second, 1, 2), {0, 2, 2, 7}), both_second, 1));
    CHECK(same(step(run, slots, part(first, 5, 2), {0, 2, 2, 2}), both_first, 5));
    CHECK(same(step(run, slots, part(second, 0, 1), {0, 1, 2, 3}), both_second, 0));
  }
}

TEST_CASE("runs that do not fit a cache are refused before it is written", "[session]") {
  const Slots slots;
  Run run(slots.graph, {slots.out}, {}, {12, 3});
  const Slices x(3, 1);
  const std::vector<std::vector<std::int32_t>> wrong{
      {0, 2, 0, 2},               // a row is left
      {0, 4, 0, 4},               // one too many
      {1, 2, 0, 2},               // not from the first on
      {0, 2, 0, 2, 1, 1, 1, 1},   // twice the same row
      {0, 3, 3, 3},               // no such slot
      {0, 3, -1, 3},              //
      {0, 3, 0, 13},              // longer than a slot
      {0, 3, 0, 2},               // shorter than its rows
      {0, 4, 0, 4, 4, -1, 1, 1},  //
  };
  for (const auto& runs : wrong) {
    INFO(runs[1] << " rows in slot " << runs[2]);
    require_error(ErrorKind::invalid, {"run"}, [&] { (void)step(run, slots, x, runs); });
  }
  CHECK(step(run, slots, x, {0, 3, 0, 3}).size() == 48);
}
