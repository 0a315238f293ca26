// A run that is cancelled between any two of its nodes: weights are all written, or none is.

#include "runtime/autodiff.hpp"
#include "runtime/ops.hpp"
#include "runtime/session.hpp"
#include "support/files.hpp"
#include "support/numbers.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <cstring>
#include <memory>

using namespace attn;
using namespace attn::runtime;
using namespace attn::test;

namespace {

/// Sets the flag in the region of that number, as if another thread did while a node runs.
class Cancelling final : public kernels::Workers {
 public:
  Cancelling(std::shared_ptr<std::atomic<bool>> flag, int at) : flag_(std::move(flag)), at_(at) {}
  [[nodiscard]] int size() const noexcept override { return 2; }
  void run(kernels::index_t chunks, Body body, void* context) noexcept override {
    if (++regions == at_) *flag_ = true;
    for (kernels::index_t chunk = 0; chunk < chunks; ++chunk) body(context, chunk, 0);
  }
  int regions = 0;

 private:
  std::shared_ptr<std::atomic<bool>> flag_;
  int at_;
};

}  // namespace

TEST_CASE("a cancelled run has written all weights or none", "[session]") {
  // weights that are updated in several chunks, so that the flag rises in an update as well
  constexpr std::int64_t rows = 30, width = 256;
  Graph g;
  const ValueId x = g.input("x", DType::f32, Shape{rows, width});
  const std::vector<ValueId> weights{g.weight("v", DType::f32, Shape{width, width}),
                                     g.weight("w", DType::f32, Shape{width, width})};
  const ValueId y =
      softmax(g, linear(g, unary(g, kernels::Unary::gelu, linear(g, x, weights[0])), weights[1]));
  std::vector<double> wanted(rows * width);
  for (std::size_t i = 0; i < wanted.size(); ++i) wanted[i] = static_cast<double>(i % 7);
  const ValueId loss = dot(g, y, g.constant(DType::f32, Shape{rows, width}, wanted));
  const std::vector<ValueId> gradient = gradients(g, loss, weights);
  const ValueId step = g.input("step", DType::i32, Shape{1});
  const ValueId rate = g.input("rate", DType::f64, Shape{1});
  std::vector<ValueId> fetches{loss};
  for (std::size_t i = 0; i < weights.size(); ++i) {
    fetches.push_back(adam(g, weights[i], gradient[i], step, rate));
  }
  const auto first = random_values(width * width, 1), second = random_values(width * width, 2);
  const auto input = random_values(rows * width, 3);
  const auto run = [&](int at, int& regions, bool& cancelled, bool& changed) {
    auto v = first, w = second;
    const std::vector<Binding> bindings{{weights[0], v.data()}, {weights[1], w.data()}};
    SessionOptions options;
    options.cancel = std::make_shared<std::atomic<bool>>(false);
    auto flag = std::const_pointer_cast<std::atomic<bool>>(options.cancel);
    Cancelling workers(flag, at);
    options.workers = &workers;
    Session session(g, fetches, bindings, options);
    std::memcpy(session.tensor(x).data, input.data(), input.size() * sizeof(float));
    *session.tensor(step).as<std::int32_t>() = 1;
    *session.tensor(rate).as<double>() = 0.1;
    cancelled = false;
    try {
      session.run();
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::cancelled);
      cancelled = true;
    }
    regions = workers.regions;
    const bool v_changed = v != first, w_changed = w != second;
    CHECK(v_changed == w_changed);
    changed = v_changed;
    // and again: at once, until the flag falls
    if (!*flag) return;
    require_error(ErrorKind::cancelled, {"cancelled"}, [&] { session.run(); });
    *flag = false;
    session.run();
  };
  int regions = 0, ended = 0, done = 0;
  bool cancelled = false, changed = false;
  run(0, regions, cancelled, changed);
  REQUIRE(regions > 4);
  CHECK_FALSE(cancelled);
  CHECK(changed);
  const int all = regions;
  for (int at = 1; at <= all; ++at) {
    run(at, regions, cancelled, changed);
    CHECK(cancelled != changed);
    ++(cancelled ? ended : done);
  }
  CHECK(ended > 0);
  CHECK(done > 0);
}
