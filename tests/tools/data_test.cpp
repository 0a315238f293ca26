#include "tools/common/data.hpp"

#include "attn/error.hpp"

#include <catch2/catch.hpp>

#include <cstring>
#include <limits>

using namespace attn;
using namespace attn::tools;
using Catch::Matchers::Contains;

namespace {

const std::vector<PortInfo> numbers{{"x", {-1, 3}, false}};
const std::vector<PortInfo> ids{{"tokens", {-1}, true}};
const std::vector<PortInfo> two{{"x", {-1, 3}, false}, {"mask", {-1}, false}};

template <class Number>
std::vector<Number> values(const Data& data) {
  return std::get<std::vector<Number>>(data.values);
}

/// The message of an Error(invalid); anything else fails the test.
template <class Call>
std::string refusal(Call call, ErrorKind kind = ErrorKind::invalid) {
  try {
    call();
  } catch (const Error& error) {
    CHECK(error.kind() == kind);
    CHECK(std::string(error.what()).find('\n') == std::string::npos);
    return error.what();
  }
  return "not refused";
}

std::string json_refusal(std::string_view text, const std::vector<PortInfo>& ports = numbers) {
  return refusal([&] { (void)parse_data(text, "in.json", ports); });
}

std::string npy(const std::string& dictionary, const std::string& content, int version = 1) {
  std::string bytes = "\x93NUMPY";
  bytes += static_cast<char>(version);
  bytes += '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) {
    bytes += static_cast<char>(dictionary.size() >> (8 * i) & 0xff);
  }
  return bytes + dictionary + content;
}

std::string header(const std::string& type, const std::string& shape,
                   const std::string& order = "False") {
  return "{'descr': '" + type + "', 'fortran_order': " + order + ", 'shape': " + shape +
         ", }     \n";
}

template <class Number>
std::string bytes_of(const std::vector<Number>& list) {
  return {reinterpret_cast<const char*>(list.data()), list.size() * sizeof(Number)};
}

std::string npy_refusal(const std::string& bytes, const std::vector<PortInfo>& ports = numbers) {
  return refusal([&] { (void)parse_data(bytes, "in.npy", ports); });
}

}  // namespace

TEST_CASE("JSON: a bare list is the only input, a name finds its input") {
  const auto bare = parse_data(" [[1, 2.5, -3], [4e0, 0, 1e-3]]\n", "in.json", numbers);
  REQUIRE(bare.size() == 1);
  CHECK(bare[0].name == "x");
  CHECK(bare[0].shape == Dims{2, 3});
  CHECK(values<float>(bare[0]) == std::vector<float>{1, 2.5F, -3, 4, 0, 1e-3F});

  const auto named = parse_data(R"({"mask": [1], "x": [[[1, 2]], [[3, 4]]]})", "in.json", two);
  REQUIRE(named.size() == 2);
  CHECK(named[0].name == "mask");
  CHECK(named[1].shape == Dims{2, 1, 2});

  const auto tokens = parse_data("[0, 12, 2147483647]", "in.json", ids);
  CHECK(values<std::int32_t>(tokens[0]) == std::vector<std::int32_t>{0, 12, 2147483647});
  CHECK(std::holds_alternative<std::span<const std::int32_t>>(tokens[0].input().values));
}

TEST_CASE("JSON: every number is the float32 next to it") {
  // just above the middle of two floats: rounding to float64 in between would land on the middle,
  // and then on the even one below
  const auto data = parse_data("[1.00000017881393432617187500001, 16777217, 1e-60, 3.4028235e38]",
                               "in.json", numbers);
  const float above = 1 + 2 * std::numeric_limits<float>::epsilon();
  CHECK(values<float>(data[0]) ==
        std::vector<float>{above, 16777216.0F, 0.0F, std::numeric_limits<float>::max()});
}

TEST_CASE("JSON: what is no input is refused with its place") {
  CHECK(json_refusal("") == "in.json: is empty");
  CHECK_THAT(json_refusal("[[1, 2], [3]]"), Contains("x[1] has length 1, the lists before it 2"));
  CHECK_THAT(json_refusal("[[1, 2], 3]"),
             Contains("x[1] is a number, where a list stands before it"));
  CHECK_THAT(json_refusal("[1, [2]]"), Contains("x[1] is a list, where numbers stand before it"));
  CHECK_THAT(json_refusal("[[[1]], [2]]"), Contains("x[1][0] is a number, where a list"));
  CHECK_THAT(json_refusal("[]"), Contains("x is an empty list"));
  CHECK_THAT(json_refusal("[[], []]"), Contains("x[0] is an empty list"));
  CHECK_THAT(json_refusal("[[1, \"two\"]]"),
             Contains("x[0][1] is the string \"two\", not a number"));
  CHECK_THAT(json_refusal("[null]"), Contains("x[0] is null, not a number"));
  CHECK_THAT(json_refusal("[true]"), Contains("x[0] is true, not a number"));
  CHECK_THAT(json_refusal("[{\"a\": 1}]"), Contains("x[0] is an object"));
  CHECK_THAT(json_refusal("7"), Contains("a number alone, where nested lists"));
  CHECK_THAT(json_refusal("{\"x\": 7}"), Contains("x is a single number, where nested lists"));
  CHECK_THAT(json_refusal("\"words\""), Contains("the string \"words\", where nested lists"));
  CHECK_THAT(json_refusal("[[1, NaN]]"), Contains("line 1, column 6: NaN is no JSON number"));
  CHECK_THAT(json_refusal("[1,\n -Infinity]"), Contains("line 2, column 3: Infinity is no JSON"));
  CHECK_THAT(json_refusal("[1e39]"), Contains("x[0] is 1e39, beyond the float32 limit"));
  CHECK_THAT(json_refusal("[1e999]"), Contains("does not fit float32"));
  CHECK_THAT(json_refusal("[1, 2"), Contains("ends too early"));
  CHECK_THAT(json_refusal("[1, 2] x"), Contains("line 1, column 8: not JSON: unexpected 'x'"));
  CHECK_THAT(json_refusal("[1, 2,]"), Contains("not JSON: unexpected ']'"));
  CHECK_THAT(json_refusal(std::string_view("[1]\0[2]", 7)), Contains("offset 3"));
  CHECK_THAT(json_refusal(std::string(100000, '[')), Contains("deeper than the limit of 8"));
  CHECK_THAT(json_refusal("{\"y\": [1]}"), Contains("unknown input \"y\"; the model takes x"));
  CHECK_THAT(json_refusal("{\"x\": [1], \"x\": [2]}"), Contains("input 'x' is given twice"));
  CHECK_THAT(json_refusal("{}"), Contains("input 'x' is missing"));
  CHECK_THAT(json_refusal("{\"x\": [1]}", two), Contains("input 'mask' is missing"));
  CHECK_THAT(json_refusal("[1]", two), Contains("the model has several inputs"));
  CHECK_THAT(json_refusal("[1.5]", ids), Contains("tokens[0] is 1.5, not a token id"));
  CHECK_THAT(json_refusal("[1, -1]", ids), Contains("tokens[1] is -1, not a token id"));
  CHECK_THAT(json_refusal("[2147483648]", ids), Contains("tokens[0] is 2147483648"));
  CHECK_THAT(json_refusal("[\"" + std::string(5000, 'a') + "\"]"), Contains("aaa…\""));
}

TEST_CASE("npy: the four types, both versions") {
  const std::vector<double> wanted{1, -2, 3, 40, 5, 6};
  const auto check = [&](const std::string& bytes) {
    const auto data = parse_data(bytes, "in.npy", numbers);
    CHECK(data[0].shape == Dims{2, 3});
    CHECK(values<float>(data[0]) == std::vector<float>(wanted.begin(), wanted.end()));
  };
  check(npy(header("<f4", "(2, 3)"), bytes_of(std::vector<float>(wanted.begin(), wanted.end()))));
  check(npy(header("<f8", "(2, 3,)"), bytes_of(wanted), 2));
  check(npy(header("<i4", "(2,3)"),
            bytes_of(std::vector<std::int32_t>(wanted.begin(), wanted.end()))));
  check(npy(header("<i8", "(2, 3)"),
            bytes_of(std::vector<std::int64_t>(wanted.begin(), wanted.end()))));

  const auto tokens = parse_data(
      npy(header("<i8", "(2,)"), bytes_of(std::vector<std::int64_t>{3, 0})), "in.npy", ids);
  CHECK(values<std::int32_t>(tokens[0]) == std::vector<std::int32_t>{3, 0});
}

TEST_CASE("npy: what is not read is refused") {
  const std::string six = bytes_of(std::vector<float>(6, 1));
  CHECK_THAT(npy_refusal("no numbers"), Contains("offset 0: does not begin with NumPy's"));
  CHECK_THAT(npy_refusal(npy(header(">f4", "(2, 3)"), six)),
             Contains("npy type '>f4' is not read"));
  CHECK_THAT(npy_refusal(npy(header("<f2", "(2, 3)"), six)), Contains("npy type '<f2'"));
  CHECK_THAT(npy_refusal(npy(header("<f4", "(2, 3)", "True"), six)),
             Contains("fortran_order is True"));
  CHECK_THAT(npy_refusal(npy(header("<f4", "(2, 4)"), six)),
             Contains("24 bytes, but shape (2, 4) of '<f4' needs 32"));
  CHECK_THAT(npy_refusal(npy(header("<f4", "()"), six)), Contains("has 0 dimensions"));
  CHECK_THAT(npy_refusal(npy(header("<f4", "(0, 3)"), "")), Contains("shape (0, 3) is empty"));
  CHECK_THAT(npy_refusal(npy(header("<f4", "(4294967296, 4294967296)"), six)),
             Contains("too large"));
  CHECK_THAT(npy_refusal(npy(header("<f4", "(-1, 3)"), six)), Contains("unexpected '-'"));
  CHECK_THAT(npy_refusal(npy(header("<f4", "(99999999999999999999,)"), six)),
             Contains("unexpected"));
  CHECK_THAT(
      npy_refusal(npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (6,)}", six)),
      Contains("structured types are not read"));
  CHECK_THAT(npy_refusal(npy("{'fortran_order': False, 'shape': (6,)}", six)),
             Contains("'descr' is missing"));
  CHECK_THAT(npy_refusal(npy("{'descr': '<f4', 'fortran_order': False}", six)),
             Contains("'shape' is missing"));
  CHECK_THAT(npy_refusal(npy("{'descr': '<f4', 'oops': 1}", six)), Contains("unknown key 'oops'"));
  CHECK_THAT(npy_refusal(npy(header("<f4", "(6,)"), six, 3)),
             Contains("npy version 3 is not read"));
  CHECK_THAT(npy_refusal(npy(header("<f4", "(2,)"), bytes_of(std::vector<float>{1, NAN}))),
             Contains("x[1] is nan, not a finite number"));
  CHECK_THAT(npy_refusal(npy(header("<f8", "(1, 2)"), bytes_of(std::vector<double>{1, 1e39}))),
             Contains("x[0][1] is 1e+39, not a finite number"));
  CHECK_THAT(npy_refusal(npy(header("<f4", "(6,)"), six), ids), Contains("takes token ids"));
  CHECK_THAT(npy_refusal(npy(header("<i4", "(1,)"), bytes_of(std::vector<std::int32_t>{-1})), ids),
             Contains("tokens[0] is -1, not a token id"));
  CHECK_THAT(refusal([&] { (void)parse_data(npy(header("<f4", "(6,)"), six), "in.npy", two); },
                     ErrorKind::usage),
             Contains("several inputs"));
}

TEST_CASE("npy: cut off anywhere it is refused, and no byte can make the reader stumble") {
  const std::string whole = npy(header("<f4", "(2, 3)"), bytes_of(std::vector<float>(6, 1)));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    CHECK_THROWS_AS(parse_data(whole.substr(0, length), "in.npy", numbers), Error);
  }
  std::size_t read = 0;
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const int byte : {0, 1, 0x27, 0x28, 0x7f, 0xff}) {
      std::string changed = whole;
      changed[at] = static_cast<char>(byte);
      try {
        read += parse_data(changed, "in.npy", numbers).size();
      } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::invalid);
      }
    }
  }
  CHECK(read > 0);  // a changed weight is still a weight
}
