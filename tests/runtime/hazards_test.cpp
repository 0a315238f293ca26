// What shares memory, and what a session does when something goes wrong: places where a mistake is
// a wrong number or a write outside, and not a message.

#include "attn/error.hpp"
#include "kernels/attention/attention.hpp"
#include "kernels/matmul/matmul.hpp"
#include "kernels/norm/norm.hpp"
#include "runtime/autodiff.hpp"
#include "runtime/op.hpp"
#include "runtime/ops.hpp"
#include "runtime/ops/defs.hpp"
#include "support/files.hpp"
#include "support/numbers.hpp"
#include "support/sessions.hpp"

#include <catch2/catch.hpp>

#include <limits>
#include <numeric>

using namespace attn::runtime;
using namespace attn::test;
using attn::ErrorKind;
using attn::kernels::Binary;
using attn::kernels::Isa;
using attn::kernels::Unary;

namespace {

std::vector<float> counting(std::size_t n) {
  std::vector<float> values(n);
  std::iota(values.begin(), values.end(), 1.0F);
  return values;
}

using Numbers = std::vector<std::int64_t>;

}  // namespace

TEST_CASE("no result takes over memory that another operand looks into", "[session][views]") {
  const auto row_of = [](Graph& g, ValueId value) {
    return reshape(g, slice(g, value, 0, 0, 1), Shape{4});
  };
  const auto check = [&](auto build) {
    Graph g;
    const ValueId x = g.input("x", DType::f32, Shape{3, 4});
    const ValueId a = affine(g, x, 2, 0);
    const ValueId y = build(g, a, row_of(g, a));
    Run shared(g, {y}, {}, {});
    Run apart(g, {y, a}, {}, {});  // what is fetched keeps its memory
    for (Run* run : {&shared, &apart}) {
      run->set(x, counting(12));
      run->session.run();
    }
    CHECK(same_bits(shared.get<float>(y), apart.get<float>(y)));
  };
  check([](Graph& g, ValueId a, ValueId row) { return binary(g, Binary::add, a, row); });
  check([](Graph& g, ValueId a, ValueId row) { return softmax(g, a, {}, row); });
  check([](Graph& g, ValueId a, ValueId row) { return layer_norm(g, a, row, row, 1e-5); });
  check([](Graph& g, ValueId a, ValueId row) { return rms_norm(g, a, row, 1e-5); });
  check([](Graph& g, ValueId a, ValueId) { return binary(g, Binary::mul, a, a); });
  check([](Graph& g, ValueId a, ValueId row) {
    return g.apply(scaled_by_op, {a, dot(g, row, row)});
  });
}

TEST_CASE("results take over memory of any operand whose last reader they are", "[session]") {
  // an operand is x where it is not the one to be taken over
  const auto check = [](std::size_t operands, auto build) {
    for (std::size_t taken = 0; taken < operands; ++taken) {
      Graph g;
      std::vector<ValueId> inputs;
      for (std::size_t i = 0; i < operands; ++i) {
        inputs.push_back(g.input("x" + std::to_string(i), DType::f32, Shape{50, 1000}));
      }
      std::vector<ValueId> given = inputs;
      given[taken] = affine(g, inputs[taken], 2, 0.5);
      const std::vector<ValueId> results = build(g, given);
      std::vector<ValueId> all = results;
      all.push_back(given[taken]);  // what is fetched keeps its memory
      for (const Isa isa : attn::kernels::supported_isas()) {
        INFO("operand " << taken << " at " << attn::kernels::isa_name(isa));
        Run shared(g, results, {}, {}, isa);
        Run apart(g, all, {}, {}, isa);
        CHECK(shared.session.memory().results_in_place ==
              apart.session.memory().results_in_place + 1);
        for (Run* run : {&shared, &apart}) {
          for (std::size_t i = 0; i < operands; ++i) {
            run->set(inputs[i], random_values<float>(50 * 1000, static_cast<std::uint32_t>(i)));
          }
          run->session.run();
        }
        for (const ValueId result : results) {
          CHECK(same_bits(shared.get<float>(result), apart.get<float>(result)));
        }
      }
    }
  };
  check(3, [](Graph& g, const std::vector<ValueId>& of) {
    const auto both = g.node(g.add(gated_silu_backward_op, {of[0], of[1], of[2]})).outputs;
    return std::vector<ValueId>(both.begin(), both.end());
  });
  check(1, [](Graph& g, const std::vector<ValueId>& of) {
    const ValueId by = g.constant(DType::f32, Shape{}, {3});
    return std::vector<ValueId>{g.apply(scaled_by_op, {of[0], by})};
  });
}

TEST_CASE("the last columns of a symbolic number are not contiguous, however many", "[views]") {
  for (const std::int64_t length : {1, 7, 8, 11, 12}) {
    Graph g;
    const Symbol n = g.symbol("n");
    const ValueId x = g.input("x", DType::f32, Shape{3, n});
    const ValueId y = affine(g, last(g, x, 1, length), 1, 0);
    const ValueId rows = affine(g, last(g, transpose(g, x, 0, 1), 0, length), 1, 0);
    for (const std::int64_t columns : {length, length + 3}) {
      Run run(g, {y, rows}, {}, {columns});
      run.set(x, counting(static_cast<std::size_t>(3 * columns)));
      run.session.run();
      const auto got = run.get<float>(y), transposed = run.get<float>(rows);
      for (std::int64_t r = 0; r < 3; ++r) {
        for (std::int64_t c = 0; c < length; ++c) {
          const auto expected = static_cast<float>(r * columns + columns - length + c + 1);
          CHECK(got[static_cast<std::size_t>(r * length + c)] == expected);
          CHECK(transposed[static_cast<std::size_t>(c * 3 + r)] == expected);
        }
      }
    }
  }
}

TEST_CASE("attention reads slices where they stand, and transposed operands rightly", "[views]") {
  const std::int64_t n = 5, d = 4;
  const auto x = random_values(static_cast<std::size_t>(n * 3 * d), 3);
  for (const bool batched : {false, true}) {
    Graph g;
    const auto shape = [&](std::int64_t rows, std::int64_t cols) {
      return batched ? Shape{1, rows, cols} : Shape{rows, cols};
    };
    const ValueId fused = g.input("fused", DType::f32, shape(n, 3 * d));
    const ValueId turned = g.input("turned", DType::f32, shape(3 * d, n));
    const std::size_t nodes = g.nodes().size();
    const auto attended = [&](auto part) {
      return attention(g, part(0), part(1), part(2), {.heads = 2, .kv_heads = 2}).output;
    };
    const ValueId sliced = attended([&](int i) { return slice(g, fused, -1, i * d, d); });
    CHECK(g.nodes().size() == nodes + 4);  // three slices and the attention: nothing is copied
    const ValueId copied = attended([&](int i) { return copy(g, slice(g, fused, -1, i * d, d)); });
    const ValueId back =
        attended([&](int i) { return transpose(g, slice(g, turned, -2, i * d, d), -2, -1); });
    std::vector<float> x_turned(x.size());
    for (std::size_t r = 0; r < 5; ++r) {
      for (std::size_t c = 0; c < 12; ++c) x_turned[c * 5 + r] = x[r * 12 + c];
    }
    for (const Isa isa : attn::kernels::supported_isas()) {
      Run run(g, {sliced, copied, back}, {}, {}, isa);
      run.set(fused, x);
      run.set(turned, x_turned);
      run.session.run();
      CHECK(same_bits(run.get<float>(sliced), run.get<float>(copied)));
      CHECK(same_bits(run.get<float>(back), run.get<float>(copied)));
    }
  }
}

TEST_CASE("a resize that fails leaves no shapes, and trying it again fails again", "[session]") {
  Graph g;
  const Symbol n = g.symbol("n");
  const ValueId x = g.input("x", DType::f32, Shape{n, 2});
  const ValueId y = affine(g, last(g, x, 0, 3), 2, 0);
  Run run(g, {y}, {}, {8});
  for (int attempt = 0; attempt < 2; ++attempt) {
    require_error(ErrorKind::invalid, {"last 3 of 2"}, [&] { run.session.resize(Numbers{2}); });
  }
  require_error(ErrorKind::invalid, {"resize"}, [&] { run.session.run(); });
  require_error(ErrorKind::invalid, {"no shapes"}, [&] { (void)run.session.tensor(y); });
  run.session.resize(Numbers{4});
  run.set(x, counting(8));
  run.session.run();
  CHECK(run.get<float>(y) == std::vector<float>{6, 8, 10, 12, 14, 16});
  // refused before anything changes
  require_error(ErrorKind::invalid, {"n = 9", "0..8"}, [&] { run.session.resize(Numbers{9}); });
  run.session.run();
  CHECK(run.get<float>(y).size() == 6);
}

TEST_CASE("gradients check what the forward pass would, since it need not run", "[autodiff]") {
  Graph g;
  const Symbol n = g.symbol("n");
  const ValueId x = g.weight("x", DType::f32, Shape{3, 2});
  const ValueId ids = g.input("ids", DType::i32, Shape{2});
  const ValueId loss = dot(g, gather(g, x, ids), g.constant(DType::f32, Shape{2, 2}, {1, 2, 3, 4}));
  const ValueId dx = gradients(g, loss, std::span(&x, 1))[0];
  std::vector<float> numbers(6);
  Run run(g, {dx}, {{x, numbers.data()}}, {4});
  run.set<std::int32_t>(ids, {2, 0});
  run.session.run();
  CHECK(run.get<float>(dx) == std::vector<float>{3, 4, 0, 0, 1, 2});
  for (const std::int32_t bad : {-1, 3, std::numeric_limits<std::int32_t>::max()}) {
    run.set<std::int32_t>(ids, {0, bad});
    require_error(ErrorKind::invalid, {std::to_string(bad).c_str()}, [&] { run.session.run(); });
  }

  const ValueId y = g.input("y", DType::f32, Shape{n, 2});
  const ValueId tail = dot(g, last(g, y, 0, 2), g.constant(DType::f32, Shape{2, 2}, {1, 2, 3, 4}));
  const ValueId dy = gradients(g, tail, std::span(&y, 1))[0];
  Run slices(g, {dy}, {}, {4});
  slices.session.run();
  CHECK(slices.get<float>(dy) == std::vector<float>{0, 0, 0, 0, 1, 2, 3, 4});
  require_error(ErrorKind::invalid, {"last 2 of 1"}, [&] { slices.session.resize(Numbers{1}); });
}

TEST_CASE("the gradient of a sum over columns does not see the numbers summed", "[autodiff]") {
  Graph g;
  const ValueId x = g.weight("x", DType::f32, Shape{2, 2});
  const ValueId loss = dot(g, sum_columns(g, x), g.constant(DType::f32, Shape{2}, {1, 2}));
  const ValueId dx = gradients(g, loss, std::span(&x, 1))[0];
  std::vector<float> numbers{1, std::numeric_limits<float>::infinity(), std::nanf(""), 4};
  Run run(g, {dx}, {{x, numbers.data()}}, {});
  run.session.run();
  CHECK(run.get<float>(dx) == std::vector<float>{1, 2, 1, 2});
}

TEST_CASE("operands of different types are refused", "[graph]") {
  Graph g;
  const ValueId a = g.input("a", DType::f32, Shape{4, 4});
  const ValueId b = g.input("b", DType::f64, Shape{4, 4});
  const ValueId row = g.input("row", DType::f64, Shape{4});
  const auto refused = [](auto body) { require_error(ErrorKind::invalid, {"F32", "F64"}, body); };
  refused([&] { matmul(g, a, b); });
  refused([&] { matmul(g, a, a, {}, row); });
  refused([&] { add(g, a, row); });
  refused([&] { softmax(g, a, {}, row); });
  refused([&] { layer_norm(g, a, row, ValueId::none, 1e-5); });
  refused([&] { layer_norm(g, a, ValueId::none, row, 1e-5); });
  refused([&] { rms_norm(g, a, row, 1e-5); });
  refused([&] { dot(g, b, a); });
  refused([&] { attention(g, a, a, b, {}); });
  refused([&] { attention(g, a, a, a, {}, b); });
}

TEST_CASE("shapes that are none are refused", "[graph]") {
  Graph g;
  const Symbol n = g.symbol("n");
  const std::int64_t huge = std::int64_t{1} << 40;
  const ValueId x = g.input("x", DType::f32, Shape{3, 4});
  const ValueId y = g.input("y", DType::f32, Shape{n, 4});
  const auto refused = [](std::string_view part, auto body) {
    require_error(ErrorKind::invalid, {part}, body);
  };
  refused("reshape", [&] { reshape(g, x, Shape{-3, -4}); });
  refused("reshape", [&] { reshape(g, x, Shape{huge, huge}); });
  refused("slice", [&] { slice(g, x, 0, 0, -1); });
  refused("slice", [&] { slice(g, x, 0, std::numeric_limits<std::int64_t>::max(), 1); });
  refused("slice", [&] { last(g, y, 0, -1); });
  refused("slice", [&] { last(g, y, 0, std::numeric_limits<std::int64_t>::min()); });
  refused("constant", [&] { g.constant(DType::f32, Shape{-1, -2}, {1, 2}); });
  refused("constant", [&] { g.constant(DType::f32, Shape{huge, huge}, {}); });
  refused("U8", [&] { g.constant(DType::u8, Shape{1}, {1}); });
  refused("symbolic", [&] { g.weight("w", DType::f32, Shape{n}); });
  refused("'z'", [&] { g.input("z", DType::f32, Shape{-1}); });
}

TEST_CASE("a session takes weights and states only, and bounds that are numbers", "[session]") {
  Graph g;
  const Symbol n = g.symbol("n");
  const ValueId x = g.input("x", DType::f32, Shape{n});
  const ValueId y = affine(g, x, 2, 0);
  float number = 0;
  require_error(ErrorKind::invalid, {"[n]", "bound"}, [&] { Run(g, {y}, {{y, &number}}, {1}); });
  require_error(ErrorKind::invalid, {"bound of n is -1"}, [&] { Run(g, {y}, {}, {-1}); });
}

TEST_CASE("nothing is a size too: sessions of no tokens run", "[session]") {
  Graph g;
  const Symbol n = g.symbol("n");
  const ValueId x = g.input("x", DType::f32, Shape{n, 4});
  const ValueId w = g.weight("w", DType::f32, Shape{4, 4});
  const AttentionValues a = attention(g, linear(g, x, w), x, x, {.heads = 2, .kv_heads = 2});
  const ValueId context = matmul(g, softmax(g, matmul(g, x, x, {.transpose_b = true})), x);
  const ValueId loss = dot(g, reduce(g, attn::kernels::Reduce::sum, add(g, a.output, context)),
                           reduce(g, attn::kernels::Reduce::mean, x));
  std::vector<ValueId> fetches = gradients(g, loss, std::span(&w, 1));
  fetches.push_back(a.weights);
  auto numbers = random_values(16, 1);
  for (const Isa isa : attn::kernels::supported_isas()) {
    for (const std::int64_t bound : {0, 3}) {
      Run run(g, fetches, {{w, numbers.data()}}, {bound}, isa);
      run.session.resize(Numbers{0});
      run.session.run();
      CHECK(run.get<float>(fetches[0]) == std::vector<float>(16, 0.0F));
      CHECK(run.get<float>(a.weights).empty());
    }
  }
}

TEST_CASE("bounds that no memory holds are an error of memory, zero or not", "[session]") {
  const std::int64_t huge = std::int64_t{1} << 40;
  Graph g;
  const Symbol n = g.symbol("n"), m = g.symbol("m"), k = g.symbol("k");
  const ValueId x = g.input("x", DType::f32, Shape{n, m, k});
  const ValueId y = unary(g, Unary::exp, x);
  for (const Numbers& bounds : {Numbers{huge, huge, huge}, {0, huge, huge}, {huge, huge, 0}}) {
    require_error(ErrorKind::memory, {"address space"}, [&] { Run(g, {y}, {}, bounds); });
  }
}

// A session plans scratch for its bounds and then runs with less: no smaller problem may want more.
TEST_CASE("scratch for the bounds is enough for every smaller shape", "[session][scratch]") {
  using namespace attn::kernels;
  MatmulProblem plain, turned, constant, stored, rows_of_b, tiled;
  turned.a_transposed = turned.b_transposed = true;
  constant.b_constant = true;
  stored.stored = rows_of_b.stored = tiled.stored = true;
  rows_of_b.stored_rows_of_b = true;
  tiled.tiled = true;
  MatmulProblem forms[] = {plain, turned, constant, stored, rows_of_b, tiled,
                           plain, turned, constant, stored, rows_of_b, tiled};
  for (MatmulProblem& form : std::span(forms).last(6)) form.bf16 = true;
  for (const Isa isa : supported_isas()) {
    for (const MatmulProblem& form : forms) {
      for (const MatmulImpl& impl : matmul_table()) {
        INFO(impl.name << " at " << isa_name(isa) << ", form " << &form - forms);
        const auto bytes = [&](index_t m, index_t n, index_t k, index_t batch = 1) {
          MatmulProblem p = form;
          p.m = m;
          p.n = n;
          p.k = k;
          p.batch = batch;
          return impl.scratch_bytes(p, isa, 2);
        };
        const bool one = !form.stored;  // stored weights come without a batch
        for (const index_t n : {1, 40, 1000, 3000}) {
          for (const index_t k : {1, 64, 3000}) {
            std::size_t most = 0;
            for (index_t m = 0; m < 700; ++m) {
              const std::size_t now = bytes(m, n, k);
              if (now < most) FAIL("m " << m << " n " << n << " k " << k);
              if (one && bytes(m, n, k, 3) < now)
                FAIL("batch, m " << m << " n " << n << " k " << k);
              most = now;
            }
          }
        }
        for (index_t i = 0; i < 2500; ++i) {
          if (bytes(300, 100, i + 1) < bytes(300, 100, i)) FAIL("k " << i);
          if (bytes(300, 2000, i + 1) < bytes(300, 2000, i)) FAIL("k " << i << ", n 2000");
          if (bytes(300, i + 1, 2000) < bytes(300, i, 2000)) FAIL("n " << i);
        }
      }
    }
    for (const index_t batch : {1, 3}) {
      std::size_t forward = 0, backward = 0, one_query = 0;
      for (index_t n = 0; n < 700; ++n) {
        INFO("attention over " << n);
        const std::size_t f = attention_scratch_bytes(isa, 2, batch, 4, 2, n, n, 64, 64);
        const std::size_t b = attention_backward_scratch_bytes(isa, 2, batch, 4, 2, n, n, 64, 64);
        const std::size_t one = attention_scratch_bytes(isa, 2, batch, 4, 2, 1, n, 64, 64);
        REQUIRE(f >= forward);
        REQUIRE(b >= backward);
        REQUIRE(one >= one_query);
        REQUIRE(f >= (n > 0 ? one : 0));
        forward = f, backward = b, one_query = one;
      }
    }
  }
  index_t norm = 0;
  for (index_t rows = 0; rows < 3000; ++rows) {
    REQUIRE(norm_backward_scratch(rows, 8) >= norm);
    norm = norm_backward_scratch(rows, 8);
  }
}
