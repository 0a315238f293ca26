// The head of a language model with its cross-entropy, held against the same in float64 written
// out.

#include "attn/error.hpp"
#include "runtime/autodiff.hpp"
#include "runtime/op.hpp"
#include "runtime/ops.hpp"
#include "runtime/stored.hpp"
#include "runtime/tiled.hpp"
#include "support/files.hpp"
#include "support/numbers.hpp"
#include "support/sessions.hpp"
#include "support/stored_weights.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <functional>

using namespace attn;
using namespace attn::runtime;
using namespace attn::test;

namespace {

constexpr double alpha = 1.5, scale = 0.125;

struct Sizes {
  std::int64_t tokens, d, vocab;
};

struct Outcome {
  std::vector<double> loss, dx, dw;  // of one element, [tokens, d], [vocab, d]
};

// The definition.
Outcome defined(Sizes s, const std::vector<float>& x, const std::vector<float>& w,
                const std::vector<std::int32_t>& targets) {
  Outcome o{{0}, std::vector<double>(x.size()), std::vector<double>(w.size())};
  std::vector<double> z(static_cast<std::size_t>(s.vocab));
  for (std::int64_t t = 0; t < s.tokens; ++t) {
    const std::int32_t target = targets[static_cast<std::size_t>(t)];
    if (target < 0) continue;
    const float* const row = x.data() + t * s.d;
    double most = -INFINITY, sum = 0;
    for (std::int64_t v = 0; v < s.vocab; ++v) {
      double score = 0;
      for (std::int64_t i = 0; i < s.d; ++i) {
        score += static_cast<double>(row[i]) *
                 static_cast<double>(w[static_cast<std::size_t>(v * s.d + i)]);
      }
      z[static_cast<std::size_t>(v)] = alpha * score;
      most = std::max(most, alpha * score);
    }
    for (const double score : z) sum += std::exp(score - most);
    o.loss[0] += scale * (most + std::log(sum) - z[static_cast<std::size_t>(target)]);
    for (std::int64_t v = 0; v < s.vocab; ++v) {
      const double p = std::exp(z[static_cast<std::size_t>(v)] - most) / sum;
      const double dz = scale * alpha * (p - (v == target ? 1 : 0));
      for (std::int64_t i = 0; i < s.d; ++i) {
        const auto at = static_cast<std::size_t>(v * s.d + i);
        o.dx[static_cast<std::size_t>(t * s.d + i)] += dz * static_cast<double>(w[at]);
        o.dw[at] += dz * static_cast<double>(row[i]);
      }
    }
  }
  return o;
}

// The loss and its gradients; `times`: of a multiple of it. Not of a stored weight.
struct Head {
  Graph graph;
  ValueId x, w, targets, by, loss;
  std::vector<ValueId> fetches;

  Head(Sizes s, DType type, WeightLayout layout, double times) {
    x = graph.input("x", DType::f32, Shape{s.tokens, s.d});
    w = graph.weight("w", type, Shape{s.vocab, s.d}, layout);
    targets = graph.input("targets", DType::i32, Shape{s.tokens});
    by = graph.input("scale", DType::f64, Shape{1});
    loss = head_loss(graph, x, w, targets, by, {.alpha = alpha});
    if (times != 1) loss = affine(graph, loss, times, 0);
    std::vector<ValueId> wrt{x};
    if (!storage_only(type)) wrt.push_back(w);
    fetches = gradients(graph, loss, wrt);
    fetches.push_back(loss);
  }
};

Outcome run(Sizes s, DType type, WeightLayout layout, const void* weight,
            const std::vector<float>& x, const std::vector<std::int32_t>& targets,
            SessionOptions options, double times = 1) {
  const Head head(s, type, layout, times);
  // read-only: nothing here trains
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast)
  const std::vector<Binding> bindings{{head.w, const_cast<void*>(weight)}};
  Session session(head.graph, head.fetches, bindings, std::move(options));
  std::memcpy(session.tensor(head.x).data, x.data(), x.size() * sizeof(float));
  std::memcpy(session.tensor(head.targets).data, targets.data(),
              targets.size() * sizeof(std::int32_t));
  *session.tensor(head.by).as<double>() = scale;
  session.run();
  const auto get = [&](ValueId id) {
    const TensorView& t = session.tensor(id);
    return std::vector<double>(t.as<const float>(), t.as<const float>() + t.elements());
  };
  Outcome o{get(head.loss), get(head.fetches[0]), {}};
  if (!storage_only(type)) o.dw = get(head.fetches[1]);
  return o;
}

SessionOptions at(kernels::Isa isa, Precision precision = Precision::automatic,
                  kernels::Workers* workers = nullptr) {
  SessionOptions options;
  options.isa = isa;
  options.precision = precision;
  options.workers = workers;
  return options;
}

std::vector<float> numbers(std::int64_t count, std::uint32_t seed) {
  return random_values<float>(static_cast<std::size_t>(count), seed);
}

// Every third row has nothing to predict, and the first `without`.
std::vector<std::int32_t> targets_of(Sizes s, std::int64_t without = 0) {
  std::vector<std::int32_t> targets;
  for (std::int64_t t = 0; t < s.tokens; ++t) {
    const bool none = t < without || t % 3 == 1;
    targets.push_back(none ? -1 : static_cast<std::int32_t>(t * 7919 % s.vocab));
  }
  return targets;
}

}  // namespace

TEST_CASE("head_loss and its gradients follow float64 at every level", "[head_loss][isa]") {
  // the last in several chunks: 16 MiB hold 83 rows of 50001 logits
  for (const Sizes s : {Sizes{1, 4, 1}, Sizes{5, 8, 3}, Sizes{20, 33, 130}, Sizes{150, 8, 50001}}) {
    const auto x = numbers(s.tokens * s.d, 1), w = numbers(s.vocab * s.d, 2);
    std::vector<std::int32_t> all(targets_of(s));
    std::replace(all.begin(), all.end(), -1, 0);
    for (const auto& targets : {targets_of(s), all}) {
      const Outcome exact = defined(s, x, w, targets);
      for (const kernels::Isa isa : kernels::supported_isas()) {
        if (s.vocab > 50000 && isa == kernels::Isa::scalar) continue;  // a minute of the reference
        INFO(s.tokens << " x " << s.d << " x " << s.vocab << " at " << kernels::isa_name(isa));
        const Outcome got = run(s, DType::f32, WeightLayout::rows, w.data(), x, targets, at(isa));
        CHECK(got.loss[0] == Approx(exact.loss[0]).epsilon(1e-6).margin(1e-6));
        CHECK(nmse(got.dx, exact.dx) <= 1e-10);
        CHECK(nmse(got.dw, exact.dw) <= 1e-10);
        const Outcome twice =
            run(s, DType::f32, WeightLayout::rows, w.data(), x, targets, at(isa), -2);
        CHECK(twice.loss[0] == Approx(-2 * got.loss[0]));
        CHECK(nmse(twice.dx, exact.dx) == Approx(s.vocab == 1 ? 0 : 9));
        CHECK(nmse(twice.dw, exact.dw) == Approx(s.vocab == 1 ? 0 : 9));
      }
    }
  }
}

TEST_CASE("head_loss of rows of which none has a target is 0, and so are its gradients",
          "[head_loss]") {
  const Sizes s{6, 8, 20};
  const auto x = numbers(s.tokens * s.d, 1), w = numbers(s.vocab * s.d, 2);
  const Outcome got =
      run(s, DType::f32, WeightLayout::rows, w.data(), x, std::vector<std::int32_t>(6, -1), {});
  CHECK(got.loss == std::vector<double>{0});
  CHECK(got.dx == std::vector<double>(48));
  CHECK(got.dw == std::vector<double>(160));
}

TEST_CASE("head_loss of symbols has scratch enough for all that is smaller than their bounds",
          "[head_loss][scratch][isa]") {
  constexpr std::int64_t d = 16;
  Graph g;
  const Symbol n = g.symbol("n"), m = g.symbol("m");
  const ValueId x = g.input("x", DType::f32, Shape{n, d});
  const ValueId w = g.input("w", DType::f32, Shape{m, d});
  const ValueId targets = g.input("targets", DType::i32, Shape{n});
  const ValueId by = g.input("scale", DType::f64, Shape{1});
  const ValueId loss = head_loss(g, x, w, targets, by);
  const Node node = g.nodes().back();
  for (const kernels::Isa isa : kernels::supported_isas()) {
    const bool constant[4] = {};
    const auto kernel =
        node.op->bind({g, node, isa, Precision::automatic, true, false, constant, nullptr});
    const auto bytes = [&](std::int64_t tokens, std::int64_t vocab) {
      std::byte there{};  // no data is read
      const auto view = [&](DType type, std::initializer_list<std::int64_t> dims) {
        return TensorView::contiguous_over(&there, type, std::vector<std::int64_t>(dims));
      };
      const TensorView in[] = {view(DType::f32, {tokens, d}), view(DType::f32, {vocab, d}),
                               view(DType::i32, {tokens}), view(DType::f64, {1})};
      const TensorView out[] = {view(DType::f32, {}), view(DType::f32, {tokens, d}),
                                view(DType::f32, {vocab, d})};
      return kernel->scratch_bytes({in, out}, 2);
    };
    const std::vector<std::int64_t> counts{0, 1, 60, 64, 80, 300, 1024, 4096, 16384, 52428, 65537};
    for (std::size_t t = 0; t + 1 < counts.size(); ++t) {
      for (std::size_t v = 0; v + 1 < counts.size(); ++v) {
        INFO(counts[t] << " x " << counts[v] << " at " << kernels::isa_name(isa));
        CHECK(bytes(counts[t], counts[v]) <= bytes(counts[t + 1], counts[v]));
        CHECK(bytes(counts[t], counts[v]) <= bytes(counts[t], counts[v + 1]));
      }
    }
  }

  const std::vector<ValueId> wrt{x, w};
  std::vector<ValueId> fetches = gradients(g, loss, wrt);
  fetches.push_back(loss);
  const auto results = [&](std::vector<std::int64_t> bounds) {
    SessionOptions options = at(kernels::supported_isas().back());
    options.bounds = std::move(bounds);
    Session session(g, fetches, {}, std::move(options));
    // of 80 rows 16 MiB hold the logits, of 65537 words only of 64
    const Sizes s{80, d, 52428};
    session.resize(std::vector<std::int64_t>{s.tokens, s.vocab});
    const auto xs = numbers(s.tokens * d, 1), ws = numbers(s.vocab * d, 2);
    const auto ids = targets_of(s);
    std::memcpy(session.tensor(x).data, xs.data(), xs.size() * sizeof(float));
    std::memcpy(session.tensor(w).data, ws.data(), ws.size() * sizeof(float));
    std::memcpy(session.tensor(targets).data, ids.data(), ids.size() * sizeof(std::int32_t));
    *session.tensor(by).as<double>() = scale;
    session.run();
    std::vector<float> all;
    for (const ValueId fetched : fetches) {
      const TensorView& t = session.tensor(fetched);
      all.insert(all.end(), t.as<const float>(), t.as<const float>() + t.elements());
    }
    return all;
  };
  CHECK(same_bits(results({80, 65537}), results({80, 52428})));
}

TEST_CASE("head_loss has the same bits on any number of threads", "[head_loss][threads]") {
  const Sizes s{150, 8, 50001};
  const auto x = numbers(s.tokens * s.d, 1), w = numbers(s.vocab * s.d, 2);
  const kernels::Isa isa = kernels::supported_isas().back();
  const auto with = [&](kernels::Workers* workers) {
    return run(s, DType::f32, WeightLayout::rows, w.data(), x, targets_of(s, 20),
               at(isa, Precision::automatic, workers));
  };
  const Outcome alone = with(nullptr), three = with(kernels::make_thread_workers(3).get());
  CHECK(alone.loss == three.loss);
  CHECK(same_bits(alone.dx, three.dx));
  CHECK(same_bits(alone.dw, three.dw));
}

TEST_CASE("head_loss reads stored weights in rows and in tiles", "[head_loss][tiles][isa]") {
  const Sizes s{40, 256, 77};
  const auto x = random_values<float>(static_cast<std::size_t>(s.tokens * s.d), 1, -0.1, 0.1);
  const auto targets = targets_of(s);
  for (const DType type : {DType::bf16, DType::f16, DType::q8_0, DType::q4_k}) {
    const StoredMatrix m = random_stored(*weight_type(type), s.vocab, s.d, 5);
    const auto rows = std::as_bytes(std::span(m.data(), dtype_bytes(type, s.vocab * s.d)));
    const std::int64_t shape[] = {s.vocab, s.d};
    const std::vector<std::byte> tiles = to_tiles(type, shape, rows);
    const Outcome exact = defined(s, x, m.values, targets);
    for (const kernels::Isa isa : kernels::supported_isas()) {
      for (const Precision precision : {Precision::automatic, Precision::f32}) {
        const SessionOptions options = at(isa, precision);
        const Outcome of_rows = run(s, type, WeightLayout::rows, rows.data(), x, targets, options);
        const Outcome of_tiles =
            run(s, type, WeightLayout::tiles, tiles.data(), x, targets, options);
        INFO(dtype_name(type) << " at " << kernels::isa_name(isa)
                              << ", f32: " << (precision == Precision::f32));
        const bool exactly = precision == Precision::f32 || isa == kernels::Isa::scalar;
        CHECK(of_rows.loss[0] == Approx(exact.loss[0]).epsilon(exactly ? 1e-5 : 1e-3));
        CHECK(nmse(of_rows.dx, exact.dx) <= (exactly ? 1e-10 : 1e-4));
        CHECK(of_tiles.loss == of_rows.loss);
        CHECK(same_bits(of_tiles.dx, of_rows.dx));
      }
    }
  }
}

TEST_CASE("head_loss of scores that are no numbers is none", "[head_loss]") {
  const Sizes s{6, 8, 20};
  auto x = numbers(s.tokens * s.d, 1);
  x[3] = NAN;
  const auto w = numbers(s.vocab * s.d, 2);
  const Outcome got = run(s, DType::f32, WeightLayout::rows, w.data(), x, targets_of(s), {});
  CHECK(std::isnan(got.loss[0]));
}

TEST_CASE("head_loss says which target it cannot predict, and what does not fit", "[head_loss]") {
  const Sizes s{6, 8, 20};
  const auto x = numbers(s.tokens * s.d, 1), w = numbers(s.vocab * s.d, 2);
  for (const std::int32_t bad : {20, -2}) {
    auto targets = targets_of(s);
    targets[4] = bad;
    require_error(ErrorKind::invalid,
                  {"head_loss: target " + std::to_string(bad), "position 4", "0..19"},
                  [&] { (void)run(s, DType::f32, WeightLayout::rows, w.data(), x, targets, {}); });
  }
  Graph g;
  const ValueId in = g.input("x", DType::f32, Shape{4, 8});
  const ValueId weight = g.weight("w", DType::f32, Shape{9, 7});
  const ValueId stored = g.weight("s", DType::bf16, Shape{9, 8});
  const ValueId targets = g.input("targets", DType::i32, Shape{4});
  const ValueId by = g.input("scale", DType::f64, Shape{1});
  require_error(ErrorKind::invalid, {"head_loss", "[vocab, d]"},
                [&] { (void)head_loss(g, in, weight, targets, by); });
  require_error(ErrorKind::invalid, {"head_loss", "scale"},
                [&] { (void)head_loss(g, in, stored, targets, in); });
  const ValueId loss = head_loss(g, in, stored, targets, by);
  const std::vector<ValueId> wrt{stored};
  require_error(ErrorKind::invalid, {"head_loss", "stored weight"},
                [&] { (void)gradients(g, loss, wrt); });
}
