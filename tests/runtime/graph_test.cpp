#include "runtime/graph.hpp"

#include "attn/error.hpp"
#include "runtime/autodiff.hpp"
#include "runtime/op.hpp"
#include "runtime/ops.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace attn::runtime;
using attn::Error;
using attn::ErrorKind;
using Catch::Contains;

namespace {

template <class Body>
std::string message_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    REQUIRE(error.kind() == ErrorKind::invalid);
    return error.what();
  }
  FAIL("nothing was thrown");
  return {};
}

}  // namespace

TEST_CASE("shapes are inferred through symbols", "[graph]") {
  Graph g;
  const Symbol n = g.symbol("n");
  const ValueId x = g.input("x", DType::f32, Shape{n, 8});
  const ValueId w = g.weight("w", DType::f32, Shape{4, 8});
  const ValueId y = linear(g, x, w);
  REQUIRE(g.shape_text(y) == "[n, 4]");
  REQUIRE(g.shape_text(matmul(g, y, y, {.transpose_b = true})) == "[n, n]");
  REQUIRE(g.shape_text(reduce(g, attn::kernels::Reduce::sum, y)) == "[n]");
  REQUIRE(g.shape_text(last(g, x, 0, 1)) == "[1, 8]");
  REQUIRE(g.shape_text(transpose(g, x, 0, 1)) == "[8, n]");
}

TEST_CASE("operands that do not fit are an error that names op and shapes", "[graph]") {
  Graph g;
  const ValueId a = g.input("a", DType::f32, Shape{3, 4});
  const ValueId b = g.input("b", DType::f32, Shape{5, 6});
  const ValueId ids = g.input("ids", DType::i32, Shape{3});
  CHECK_THAT(message_of([&] { matmul(g, a, b); }), Contains("matmul") && Contains("[3, 4] [5, 6]"));
  CHECK_THAT(message_of([&] { add(g, a, b); }), Contains("binary"));
  CHECK_THAT(message_of([&] { softmax(g, ids); }), Contains("I32"));
  CHECK_THAT(message_of([&] { gather(g, a, b); }), Contains("ids"));
  CHECK_THAT(message_of([&] { reshape(g, a, Shape{5}); }), Contains("elements"));
  CHECK_THAT(message_of([&] { slice(g, a, 1, 3, 2); }), Contains("slice"));
  CHECK_THAT(message_of([&] { attention(g, a, a, a, {.heads = 3, .kv_heads = 3}); }),
             Contains("3"));
  CHECK_THAT(message_of([&] { attention(g, a, a, a, {.heads = 3, .kv_heads = 2}); }),
             Contains("multiple"));
  CHECK_THAT(message_of([&] { adam(g, a, a, ids, ids); }), Contains("weights only"));
}

TEST_CASE("dangling ids, duplicate names and cycles cannot be built", "[graph]") {
  Graph g;
  const ValueId a = g.input("a", DType::f32, Shape{3});
  // a node may only use what exists, so an id from the future (a cycle) is a dangling one
  CHECK_THAT(message_of([&] { add(g, a, static_cast<ValueId>(99)); }), Contains("99"));
  CHECK_THAT(message_of([&] { add(g, a, ValueId::none); }), Contains("missing"));
  CHECK_THAT(message_of([&] { (void)g.value(ValueId::none); }), Contains("no value"));
  CHECK_THAT(message_of([&] { g.input("a", DType::f32, Shape{3}); }), Contains("'a'"));
  CHECK_THAT(message_of([&] { (void)g.symbol("n"), (void)g.symbol("n"); }), Contains("'n'"));
  CHECK_THAT(message_of([&] { g.output("y", static_cast<ValueId>(42)); }), Contains("42"));
  CHECK_THAT(message_of([&] { g.output("y", a), g.output("y", a); }), Contains("'y'"));
  CHECK_THAT(message_of([&] { g.constant(DType::f32, Shape{2}, {1}); }), Contains("2 elements"));
  CHECK_THAT(message_of([&] { (void)Shape{1, 2, 3, 4, 5, 6}; }), Contains("6 dimensions"));
}

TEST_CASE("gradients want a scalar loss", "[graph]") {
  Graph g;
  const ValueId a = g.weight("a", DType::f32, Shape{3});
  CHECK_THAT(message_of([&] { (void)gradients(g, a, std::span(&a, 1)); }), Contains("loss"));
}

TEST_CASE("every op is in the table once, with a name and a shape rule", "[graph]") {
  for (const OpDef* op : all_ops()) {
    INFO(op->name);
    CHECK_FALSE(op->name.empty());
    CHECK(op->infer != nullptr);
    CHECK((op->bind != nullptr) != (op->view != nullptr));
    int same = 0;
    for (const OpDef* other : all_ops()) same += other->name == op->name ? 1 : 0;
    CHECK(same == 1);
  }
}
