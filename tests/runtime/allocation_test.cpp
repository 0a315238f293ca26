// Running allocates nothing. The test program's operator new counts, so this holds for all that the
// C++ library gets from there; it is replaced for the whole program, and only counts.

#include "runtime/autodiff.hpp"
#include "runtime/ops.hpp"
#include "support/numbers.hpp"
#include "support/sessions.hpp"

#include <catch2/catch.hpp>

#include <atomic>
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
