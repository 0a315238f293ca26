#include "runtime/formats/gguf.hpp"

#include "support/files.hpp"
#include "support/gguf.hpp"

#include <catch2/catch.hpp>

#include <limits>
#include <string>
#include <vector>

using namespace attn;
using namespace attn::test;
using runtime::DType;
using runtime::Gguf;

namespace {

constexpr std::uint64_t huge = std::uint64_t{1} << 60;

Gguf read(const std::string& bytes) { return Gguf::from_memory(bytes_of(bytes), "x.gguf"); }
Gguf read(const GgufBytes& file) { return read(file.bytes()); }

void refuses(const GgufBytes& file, std::initializer_list<std::string_view> parts) {
  require_error(ErrorKind::invalid, parts, [&] { (void)read(file); });
}

// One tensor [3, 64] of Q8_0 and one [5] of F32, with keys of several types.
GgufBytes small_file(std::uint32_t version = 3) {
  GgufBytes file;
  file.header(2, 6, version);
  file.key("general.architecture", gguf_string).text("llama");
  file.key("count", gguf_u32).u32(7);
  file.key("eps", gguf_f32).add(0.5F);
  file.key("flag", gguf_bool).add(std::uint8_t{1});
  file.key("words", gguf_array).u32(gguf_string).u64(2).text("a").text("bc");
  file.key("numbers", gguf_array).u32(gguf_i32).u64(3).u32(1).u32(2).u32(0xffffffff);
  file.tensor("w", {64, 3}, 8, 0).tensor("b", {5}, 0, 224);
  file.pad().zeros(3 * 2 * 34 + 20).zeros(20);
  return file;
}

}  // namespace

TEST_CASE("GGUF files of versions 2 and 3 give keys and tensors as they are", "[gguf]") {
  for (const std::uint32_t version : {2U, 3U}) {
    const GgufBytes file = small_file(version);
    const Gguf gguf = read(file);
    CHECK(gguf.text("general.architecture") == "llama");
    CHECK(gguf.integer("count", 0, 10) == 7);
    CHECK(gguf.number("eps") == 0.5);
    CHECK(gguf.boolean("flag") == true);
    CHECK(gguf.texts("words") == std::vector<std::string_view>{"a", "bc"});
    CHECK(gguf.integers("numbers") == std::vector<std::int64_t>{1, 2, -1});
    CHECK_FALSE(gguf.text("absent"));
    CHECK_FALSE(gguf.has("absent"));
    REQUIRE(gguf.tensors().size() == 2);
    const auto* const w = gguf.find("w");
    REQUIRE(w != nullptr);
    CHECK(w->dtype == DType::q8_0);
    CHECK(w->shape == std::vector<std::int64_t>{3, 64});
    CHECK(w->data.size() == 3 * 2 * 34);
    CHECK(gguf.find("b")->shape == std::vector<std::int64_t>{5});
    CHECK(gguf.find("c") == nullptr);
  }
}

TEST_CASE("a GGUF key of another type is an error that names both", "[gguf]") {
  const GgufBytes file = small_file();
  const Gguf gguf = read(file);
  const auto invalid = ErrorKind::invalid;
  require_error(invalid, {"x.gguf", "\"count\"", "is u32", "string"},
                [&] { (void)gguf.text("count"); });
  require_error(invalid, {"\"eps\"", "is f32", "whole"}, [&] { (void)gguf.integer("eps", 0, 1); });
  require_error(invalid, {"\"count\"", "7 is not in 0..6"},
                [&] { (void)gguf.integer("count", 0, 6); });
  require_error(invalid, {"\"count\"", "f32"}, [&] { (void)gguf.number("count"); });
  require_error(invalid, {"\"count\"", "bool"}, [&] { (void)gguf.boolean("count"); });
  require_error(invalid, {"\"numbers\"", "array of i32", "array of string"},
                [&] { (void)gguf.texts("numbers"); });
  require_error(invalid, {"\"numbers\"", "array of f32"}, [&] { (void)gguf.numbers("numbers"); });
  require_error(invalid, {"\"words\"", "whole numbers"}, [&] { (void)gguf.integers("words"); });
  require_error(invalid, {"\"words\"", "array of string"}, [&] { (void)gguf.text("words"); });
}

TEST_CASE("what is no GGUF file is refused with a reason", "[gguf][damage]") {
  const auto invalid = ErrorKind::invalid;
  require_error(invalid, {"x.gguf", "no GGUF file"}, [&] { (void)read(std::string("GGU")); });
  require_error(invalid, {"no GGUF file", "web page"},
                [&] { (void)read(std::string("<!DOCTYPE html><html>")); });
  require_error(invalid, {"no GGUF file", "Git"}, [&] {
    (void)read(std::string("version https://git-lfs.github.com/spec/v1\noid"));
  });
  require_error(invalid, {"truncated", "4 bytes", "24"}, [&] { (void)read(std::string("GGUF")); });
  for (const std::uint32_t version : {0U, 1U, 4U, 99U}) {
    refuses(GgufBytes().header(0, 0, version), {"version", std::to_string(version), "2 or 3"});
  }
  refuses(GgufBytes().header(0, 0, 0x03000000), {"version", "big-endian"});
}

TEST_CASE("GGUF counts and lengths that the file has no room for are refused at once",
          "[gguf][damage]") {
  refuses(GgufBytes().header(huge, 0), {"tensor count", std::to_string(huge), "no room"});
  refuses(GgufBytes().header(0, huge), {"key count", std::to_string(huge), "no room"});
  refuses(GgufBytes().header(0, 1).u64(huge).zeros(40), {"key 0", "byte 32", "remain"});
  refuses(GgufBytes().header(0, 1).key("k", gguf_string).u64(huge).zeros(20), {"\"k\"", "remain"});
  refuses(GgufBytes().header(0, 1).key("k", gguf_array).u32(gguf_u64).u64(huge * 4).zeros(20),
          {"\"k\"", "more than can be counted"});
  refuses(GgufBytes().header(0, 1).key("k", gguf_array).u32(gguf_u32).u64(100).zeros(20),
          {"\"k\"", "400 bytes", "remain"});
  refuses(GgufBytes().header(0, 1).key("k", gguf_array).u32(gguf_string).u64(huge).zeros(20),
          {"\"k\"", "strings", "remain"});
  refuses(GgufBytes().header(0, 1).key("k", gguf_array).u32(gguf_array).u64(1).zeros(20),
          {"\"k\"", "array of arrays"});
  refuses(GgufBytes().header(0, 1).key("k", 13).zeros(20), {"\"k\"", "type 13 is unknown"});
  refuses(GgufBytes().header(0, 1).key("", gguf_u8).zeros(20), {"key 0", "empty"});
  refuses(GgufBytes().header(0, 2).key("k", gguf_u8).zeros(1).key("k", gguf_u8).zeros(20),
          {"\"k\"", "twice"});
}

TEST_CASE("GGUF tensors that cannot be are refused", "[gguf][damage]") {
  const auto one = [](const std::vector<std::uint64_t>& dims, std::uint32_t type,
                      std::uint64_t offset = 0) {
    return GgufBytes().header(1, 0).tensor("t", dims, type, offset).pad().zeros(64);
  };
  CHECK(read(one({4, 4}, 0)).tensors().size() == 1);
  refuses(one({1, 1, 1, 1, 1}, 0), {"\"t\"", "5 dimensions", "4"});
  refuses(one({4, 0}, 0), {"\"t\"", "dimension 1 is 0"});
  refuses(one({huge * 8, 1}, 0), {"\"t\"", "dimension 0"});
  refuses(one({huge, huge}, 0), {"\"t\"", "can be counted"});
  refuses(one({huge, 4}, 0), {"\"t\"", "too many bytes"});
  refuses(one({4}, 4), {"\"t\"", "type 4"});
  refuses(one({4}, 999), {"\"t\"", "type 999"});
  refuses(one({33}, 8), {"\"t\"", "row of 33", "Q8_0", "32"});
  refuses(one({128}, 12), {"\"t\"", "row of 128", "Q4_K", "256"});
  refuses(one({4, 4}, 0, 7), {"\"t\"", "offset 7", "alignment 32"});
  refuses(one({4, 2}, 0, 32), {"\"t\"", "leaves a gap"});
  refuses(one({4, 4}, 0, 96), {"\"t\"", "offset 96", "96 bytes after the file"});
  refuses(one({4, 4}, 0, std::numeric_limits<std::uint64_t>::max() - 31),
          {"\"t\"", "after the file"});
  refuses(one({4, 5}, 0), {"\"t\"", "16 bytes after the file", "truncated"});
  refuses(one({4}, 0).zeros(64), {"bytes follow the last tensor"});
  refuses(GgufBytes().header(1, 0).tensor("", {4}, 0, 0).pad().zeros(64), {"tensor 0", "empty"});
  refuses(GgufBytes().header(2, 0).tensor("t", {4}, 0, 0).tensor("t", {4}, 0, 32).pad().zeros(64),
          {"\"t\"", "twice"});
  refuses(GgufBytes().header(2, 0).tensor("s", {16}, 0, 0).tensor("t", {4}, 0, 32).pad().zeros(96),
          {"\"t\"", "overlaps", "64"});
}

TEST_CASE("GGUF alignments that are none are refused", "[gguf][damage]") {
  for (const std::uint32_t alignment : {0U, 24U, 1U << 21}) {
    GgufBytes file;
    file.header(0, 1).key("general.alignment", gguf_u32).u32(alignment).pad();
    refuses(file, {"general.alignment", std::to_string(alignment), "power of two"});
  }
  GgufBytes text;
  text.header(0, 1).key("general.alignment", gguf_string).text("32").pad();
  refuses(text, {"general.alignment", "string"});
}

TEST_CASE("a GGUF file cut anywhere is an error, never more", "[gguf][damage]") {
  const std::string whole = small_file().bytes();
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const std::string part = whole.substr(0, length);
    CHECK_THROWS_AS(Gguf::from_memory(bytes_of(part), "cut"), Error);
  }
}

TEST_CASE("a GGUF file with any bit flipped is read or refused", "[gguf][damage]") {
  const std::string whole = small_file().bytes();
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
    try {
      const Gguf gguf = Gguf::from_memory(bytes_of(flipped), "flipped");
      for (const auto& tensor : gguf.tensors()) {
        CHECK(static_cast<const void*>(tensor.data.data()) >= flipped.data());
        CHECK(static_cast<const void*>(tensor.data.data() + tensor.data.size()) <=
              flipped.data() + flipped.size());
      }
      (void)gguf.texts("words");
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::invalid);
    }
  }
}
