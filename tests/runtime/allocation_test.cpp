// Running allocates nothing. The test program's operator new counts, so this holds for all that the
// C++ library gets from there; it is replaced for the whole program, and only counts.

#include "runtime/autodiff.hpp"
#include "runtime/ops.hpp"
#include "support/numbers.hpp"
#include "support/sessions.hpp"
#include "support/stored_weights.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <new>

namespace {

std::atomic<long> allocations{0};

void* counted(std::size_t bytes) noexcept {
  ++allocations;
  return std::malloc(bytes == 0 ? 1 : bytes);
}

void* counted_or_throw(std::size_t bytes) {
  if (void* const memory = counted(bytes)) return memory;
  throw std::bad_alloc();
}

}  // namespace

// GCC pairs the inlined malloc of one operator with the free of the other and calls them mismatched
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"

// all that a sanitizer's library would otherwise bring, so that new and delete stay a pair
void* operator new(std::size_t bytes) { return counted_or_throw(bytes); }
void* operator new[](std::size_t bytes) { return counted_or_throw(bytes); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return counted(bytes); }
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept { return counted(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

using namespace attn::runtime;
using namespace attn::test;

TEST_CASE("a run, and a resize to a shape that was there before, allocate nothing", "[session]") {
  Graph g;
  const Symbol n = g.symbol("n");
  const ValueId x = g.input("x", DType::f32, Shape{n, 32});
  const ValueId w = g.weight("w", DType::f32, Shape{96, 32});
  const ValueId gain = g.weight("gain", DType::f32, Shape{32});
  const ValueId qkv = linear(g, rms_norm(g, x, gain, 1e-5), w);
  const auto part = [&](int i) { return slice(g, qkv, 1, 32 * i, 32); };
  const AttentionValues a = attention(g, part(0), part(1), part(2), {.heads = 4, .kv_heads = 4});
  const ValueId y = softmax(g, unary(g, attn::kernels::Unary::gelu, add(g, x, a.output)));
  const ValueId loss = dot(g, last(g, y, 0, 1), g.constant(DType::f32, Shape{1, 32}, [] {
    std::vector<double> c(32, 0.5);
    return c;
  }()));
  const std::vector<ValueId> weights{w, gain};
  const std::vector<ValueId> dw = gradients(g, loss, weights);
  const ValueId step = g.input("step", DType::i32, Shape{1});
  const ValueId rate = g.input("rate", DType::f64, Shape{1});
  std::vector<ValueId> fetches{loss};
  for (std::size_t i = 0; i < dw.size(); ++i)
    fetches.push_back(adam(g, weights[i], dw[i], step, rate));
  for (const auto isa : attn::kernels::supported_isas()) {
    for (const int threads : {1, 2}) {
      const auto workers = attn::kernels::make_workers(threads);
      auto numbers = random_values(96 * 32, 1), gains = random_values(32, 2);
      Run run(g, fetches, {{w, numbers.data()}, {gain, gains.data()}}, {200}, isa, workers.get());
      run.set(x, random_values(200 * 32, 3));
      run.set<std::int32_t>(step, {1});
      run.set<double>(rate, {1e-3});
      const std::vector<std::int64_t> many{200}, few{7};
      const auto work = [&] {
        run.session.resize(many);
        run.session.run();
        run.session.resize(few);
        run.session.run();
      };
      work();
      const long before = allocations;
      REQUIRE(before > 0);  // it is ours that counts
      work();
      const long made = allocations - before;
      INFO(attn::kernels::isa_name(isa) << " on " << threads << " threads");
      REQUIRE(made == 0);
    }
  }
}

TEST_CASE("a step of training on stored weights allocates nothing", "[session][training]") {
  using attn::kernels::WeightType;
  constexpr std::int64_t d = 32, words = 50, most = 200;
  for (const WeightType type : {WeightType::bf16, WeightType::q8_0}) {
    const DType stored = type == WeightType::bf16 ? DType::bf16 : DType::q8_0;
    Graph g;
    const Symbol n = g.symbol("n");
    const ValueId x = g.input("x", DType::f32, Shape{n, d});
    const ValueId w = g.weight("w", DType::f32, Shape{d, d});
    const ValueId wide = g.weight("wide", stored, Shape{5 * d, d});
    const ValueId head = g.weight("head", stored, Shape{words, d});
    const ValueId sequences = g.input("sequences", DType::i32, Shape{3});
    const ValueId counter = g.input("counter", DType::i32, Shape{1});
    const ValueId targets = g.input("targets", DType::i32, Shape{n});
    const ValueId scale = g.input("scale", DType::f64, Shape{1});
    const ValueId step = g.input("step", DType::i32, Shape{1});
    const ValueId rate = g.input("rate", DType::f64, Shape{1});
    const ValueId together = linear(g, linear(g, x, w), wide);
    const auto part = [&](int i) { return slice(g, together, 1, d * i, d); };
    const AttentionValues a = attention(g, part(0), part(1), part(2), {.heads = 4, .kv_heads = 4},
                                        ValueId::none, sequences);
    const ValueId hidden =
        dropout(g, add(g, a.output, gated_silu(g, part(3), part(4))), counter, {.rate = 0.25});
    const ValueId loss = head_loss(g, hidden, head, targets, scale);
    const ValueId sum = g.state("sum", DType::f32, Shape{d, d});
    const ValueId total = accumulate(g, sum, gradients(g, loss, std::span(&w, 1))[0]);
    const std::vector<ValueId> fetches{loss, squared_norm(g, total), adam(g, w, total, step, rate)};

    const std::vector<std::int64_t> many{most}, few{7};
    const std::vector<std::int32_t> cuts_of_many{0, 90, most}, cuts_of_few{0, 3, 7};
    std::vector<std::int32_t> ids(most);
    for (std::size_t i = 0; i < ids.size(); ++i) {
      ids[i] = i % 3 == 1 ? -1 : static_cast<std::int32_t>(i) % words;
    }
    const auto xs = random_values(most * d, 3);
    for (const auto isa : attn::kernels::supported_isas()) {
      for (const int threads : {1, 2}) {
        const auto workers = attn::kernels::make_workers(threads);
        auto numbers = random_values(d * d, 1);
        StoredMatrix wides = random_stored(type, 5 * d, d, 2);
        StoredMatrix heads = random_stored(type, words, d, 4);
        Run run(
            g, fetches,
            {{w, numbers.data()}, {wide, wides.bytes.data() + 1}, {head, heads.bytes.data() + 1}},
            many, isa, workers.get());
        run.set(x, xs);
        run.set(targets, ids);
        run.set<std::int32_t>(counter, {1});
        run.set<double>(scale, {0.01});
        run.set<std::int32_t>(step, {1});
        run.set<double>(rate, {1e-3});
        const auto work = [&] {
          run.session.resize(many);
          run.set(sequences, cuts_of_many);
          run.session.run();
          run.session.resize(few);
          run.set(sequences, cuts_of_few);
          run.session.run();
        };
        work();
        const long before = allocations;
        work();
        const long made = allocations - before;
        INFO(attn::kernels::isa_name(isa) << " on " << threads << " threads");
        REQUIRE(made == 0);
        REQUIRE(std::isfinite(run.get<float>(loss)[0]));
      }
    }
  }
}
