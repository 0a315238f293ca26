#include "runtime/formats/safetensors.hpp"

#include "runtime/formats/containers.hpp"
#include "support/files.hpp"

#include <array>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using attn::ErrorKind;
using namespace attn::runtime;
using namespace attn::test;
using namespace std::string_literals;

namespace {

Safetensors read(std::string_view bytes) {
  return Safetensors::from_memory(bytes_of(bytes), "model.bin");
}

void refused(std::string_view bytes, std::initializer_list<std::string_view> parts) {
  require_error(ErrorKind::invalid, {"model.bin"}, [&] { (void)read(bytes); });
  require_error(ErrorKind::invalid, parts, [&] { (void)read(bytes); });
}

/// A container of one tensor `w` with these three fields as they would stand in the header.
std::string one(const std::string& dtype, const std::string& shape, const std::string& offsets,
                std::string_view data) {
  return container(
      R"({"w":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}",
      data);
}

/// Two tensors of float32 and uint8, metadata, and a blank at the header's end.
std::string sample() {
  return container(R"({"__metadata__":{"attn.architecture":"test","wörter":"ä€𝄞"},)"
                   R"("ids":{"dtype":"U8","shape":[3],"data_offsets":[8,11]},)"
                   R"("gewichtä":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}} )",
                   "\0\0\x80\x3f\0\0\0\x40"
                   "abc"s);
}

template <class T>
std::string bytes_as_text(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

}  // namespace

TEST_CASE("a container gives its tensors, in file order, and its metadata",
          "[formats][safetensors]") {
  const std::string bytes = sample();
  const Safetensors file = read(bytes);
  REQUIRE(file.name() == "model.bin");
  REQUIRE(file.metadata().size() == 2);
  REQUIRE(file.metadata().at("wörter") == "ä€𝄞");
  REQUIRE(file.tensors().size() == 2);
  REQUIRE(file.tensors()[0].name == "gewichtä");
  REQUIRE(file.tensors()[1].name == "ids");

  const TensorEntry* weights = file.find("gewichtä");
  REQUIRE(weights == file.tensors().data());
  REQUIRE(weights->dtype == DType::f32);
  REQUIRE(weights->shape == std::vector<std::int64_t>{2, 1});
  std::array<float, 2> values{};
  REQUIRE(weights->data.size() == sizeof values);
  std::memcpy(values.data(), weights->data.data(), sizeof values);
  REQUIRE(values == std::array<float, 2>{1, 2});
  // not copied
  REQUIRE(reinterpret_cast<const char*>(weights->data.data()) == bytes.data() + bytes.size() - 11);

  for (const char* absent : {"", "a", "id", "idss", "zzz", "__metadata__"}) {
    REQUIRE(file.find(absent) == nullptr);
  }
  file.verify();
}

TEST_CASE("views outlive the object they came from while a copy lives", "[formats][safetensors]") {
  const TemporaryFolder folder;
  write_file(folder / "model.bin", sample());
  std::optional<Safetensors> file = Safetensors::open(folder / "model.bin");
  const Safetensors copy = *file;
  const Safetensors moved = std::move(*file);
  file.reset();
  std::filesystem::remove(folder / "model.bin");
  REQUIRE(std::memcmp(moved.find("ids")->data.data(), "abc", 3) == 0);
  REQUIRE(copy.find("ids") == moved.find("ids"));
}

TEST_CASE("every alignment of the data is read", "[formats][safetensors]") {
  for (std::size_t blanks = 0; blanks < 64; ++blanks) {
    const std::string bytes = container(
        R"({"w":{"dtype":"F64","shape":[],"data_offsets":[0,8]}})" + std::string(blanks, ' '),
        bytes_as_text<double>({2.5}));
    const Safetensors file = read(bytes);
    file.verify();
    double value = 0;
    std::memcpy(&value, file.find("w")->data.data(), 8);
    REQUIRE(value == 2.5);
  }
}

TEST_CASE("a container without tensors, and tensors without elements, are defined",
          "[formats][safetensors]") {
  REQUIRE(read(container("{}")).tensors().empty());
  REQUIRE(read(container(R"({"__metadata__":{}})")).metadata().empty());
  const std::string bytes = container(R"({"a":{"dtype":"F32","shape":[0,5],"data_offsets":[4,4]},)"
                                      R"("b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                                      R"("c":{"dtype":"F32","shape":[3,0],"data_offsets":[0,0]}})",
                                      "\0\0\0\0"s);
  const Safetensors file = read(bytes);
  for (const char* name : {"a", "c"}) {
    REQUIRE(file.find(name)->data.empty());
    REQUIRE(file.find(name)->shape.size() == 2);
  }
  file.verify();
}

TEST_CASE("a missing file or folder is an I/O error, an empty file invalid",
          "[formats][safetensors]") {
  const TemporaryFolder folder;
  require_error(ErrorKind::io, {"nothing.bin", "No such file"},
                [&] { (void)Safetensors::open(folder / "nothing.bin"); });
  require_error(ErrorKind::io, {"Is a directory"}, [&] { (void)Safetensors::open(folder.path()); });
  write_file(folder / "empty.bin", "");
  require_error(ErrorKind::invalid, {"empty.bin", "empty"},
                [&] { (void)Safetensors::open(folder / "empty.bin"); });
  refused("", {"empty"});
}

TEST_CASE("a header that cannot be is refused before it is read", "[formats][safetensors]") {
  refused("\x01", {"1 bytes", "8"});
  refused(length_prefix(0), {"length at byte 0 is 0"});
  refused(length_prefix(1) + "{", {"length at byte 0 is 1"});
  refused(length_prefix(100) + "{}", {"truncated", "100 bytes", "98 are missing"});
  refused(length_prefix(100'000'001) + "{}", {"100000001", "limit of 100000000"});
  refused(length_prefix(100'000'000) + "{}", {"truncated", "99999998 are missing"});
  refused(length_prefix(std::uint64_t{1} << 60) + std::string(56, ' '), {"1152921504606846976"});
  refused(length_prefix(~std::uint64_t{0}) + "{}", {"18446744073709551615"});
  refused(length_prefix(std::uint64_t{2} << 56) + "{}", {"big-endian"});
  refused(length_prefix(2) + "[]", {"byte 8", "'{'"});
  refused(container("\xEF\xBB\xBF{}"), {"'{'"});
}

TEST_CASE("other kinds of file are called by their name", "[formats][safetensors]") {
  const std::string rest(200, 'x');
  refused("<!DOCTYPE html><html>" + rest, {"web page"});
  refused("\r\n  <HTML lang=en>" + rest, {"web page"});
  refused("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
          {"Git-LFS pointer", "git lfs pull"});
  refused("GGUF\x03\0\0\0"s + rest, {"GGUF"});
  refused("PK\x03\x04"s + rest, {"zip"});
  refused("\x80\x02}q"s + rest, {"pickle"});
  refused("\x80\x02\0\0\0\0\0\0"s + std::string(700, 'x'), {"pickle"});
  refused("\x93NUMPY\x01\0"s + rest, {".npy"});
  refused("\x89HDF\r\n\x1a\n"s + rest, {"HDF5"});
  refused("\x1f\x8b\x08\0\0\0\0\0\0\x03"s + rest, {"gzip"});
  refused("{\"weight\": [1, 2]}", {"JSON"});
  refused("abc", {"3 bytes"});

  // 0x80 0x02 also begins a container whose header is 640 bytes long
  const std::string header = "{}" + std::string(638, ' ');
  REQUIRE(container(header).substr(0, 2) == "\x80\x02");
  REQUIRE(read(container(header)).tensors().empty());
}

TEST_CASE("a header that is not the format's JSON is refused by field", "[formats][safetensors]") {
  refused(container("{\"a\":}"), {"header", "not valid JSON", "byte"});
  refused(container("{}\0"s), {"NUL", "byte 2"});
  refused(container("{} x"), {"not valid JSON"});
  refused(container("{\"\xFF\":1}"), {"not valid JSON"});
  refused(container(R"({"w":{"dtype":"U8","shape":[[[0]]],"data_offsets":[0,0]}})"), {"deeper"});
  refused(container(R"({"w":1,"w":1})"), {"\"w\"", "twice"});
  refused(container(R"({"__metadata__":{},"__metadata__":{}})"), {"twice"});
  refused(container(R"({"__metadata__":{"a":"1","a":"2"}})"), {"\"a\"", "twice"});
  refused(container(R"({"__metadata__":[]})"), {"__metadata__", "object"});
  refused(container(R"({"__metadata__":{"heads":2}})"), {"\"heads\"", "string", "2"});
  refused(container(R"({"__metadata__":{"":"x"}})"), {"empty key"});
  refused(container(R"({"":{"dtype":"U8","shape":[],"data_offsets":[0,1]}})", "x"), {"empty name"});
  refused(container(R"({"w":[]})"), {"\"w\"", "object"});
  refused(container(R"({"w":{"shape":[],"data_offsets":[0,1]}})", "x"), {"lacks \"dtype\""});
  refused(container(R"({"w":{"dtype":"U8","data_offsets":[0,1]}})", "x"), {"lacks \"shape\""});
  refused(container(R"({"w":{"dtype":"U8","shape":[]}})", "x"), {"lacks \"data_offsets\""});
  refused(container(R"({"w":{"dtype":"U8","shape":[],"data_offsets":[0,1],"scale":2}})", "x"),
          {"unknown field \"scale\""});
}

TEST_CASE("a tensor that cannot be is refused by field and value", "[formats][safetensors]") {
  refused(one("\"F33\"", "[1]", "[0,4]", "abcd"), {"\"w\"", "dtype", "F33"});
  refused(one("\"f32\"", "[1]", "[0,4]", "abcd"), {"dtype", "f32"});
  refused(one("0", "[1]", "[0,4]", "abcd"), {"dtype", "string"});
  refused(one("\"U8\"", "4", "[0,4]", "abcd"), {"shape", "array", "4"});
  for (const char* dimension : {"-4", "4.0", "4e0", "\"4\"", "null", "9007199254740993"}) {
    CAPTURE(dimension);
    refused(one("\"U8\"", "["s + dimension + "]", "[0,4]", "abcd"), {"shape", "whole number"});
    refused(one("\"U8\"", "[4]", "["s + dimension + ",4]", "abcd"), {"data_offsets", "whole"});
    refused(one("\"U8\"", "[4]", "[0,"s + dimension + "]", "abcd"), {"data_offsets", "whole"});
  }
  REQUIRE(read(one("\"U8\"", "[1,1,1,1,1,1,1,4]", "[0,4]", "abcd")).tensors().size() == 1);
  refused(one("\"U8\"", "[1,1,1,1,1,1,1,1,4]", "[0,4]", "abcd"), {"9 dimensions", "limit of 8"});
  const std::string huge = "9007199254740992";
  refused(one("\"U8\"", "[" + huge + "," + huge + "]", "[0,0]", ""), {"more elements"});
  refused(one("\"U8\"", "[0," + huge + "," + huge + "]", "[0,0]", ""), {"more elements"});
  // 2^62 elements can be counted, their bytes not
  refused(one("\"F64\"", "[2147483648,2147483648]", "[0,0]", ""), {"more elements"});
  refused(one("\"U8\"", "[4]", "[0]", "abcd"), {"data_offsets", "an array of 1"});
  refused(one("\"U8\"", "[4]", "[0,4,8]", "abcd"), {"data_offsets", "an array of 3"});
  refused(one("\"U8\"", "[4]", "{}", "abcd"), {"data_offsets", "array of 2"});
  refused(one("\"U8\"", "[4]", "[4,0]", "abcd"), {"[4, 0]", "before it begins"});
  refused(one("\"F32\"", "[2]", "[0,4]", "abcd"), {"4 bytes", "F32", "[2]", "8"});
  refused(one("\"U8\"", "[0]", "[0,4]", "abcd"), {"4 bytes", "[0]"});
}

TEST_CASE("tensors have to cover the data exactly", "[formats][safetensors]") {
  const auto two = [](const std::string& a, const std::string& b, std::size_t size) {
    return container(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)" + a +
                         R"(},"b":{"dtype":"U8","shape":[4],"data_offsets":)" + b + "}}",
                     std::string(size, 'x'));
  };
  REQUIRE(read(two("[4,8]", "[0,4]", 8)).tensors()[0].name == "b");
  refused(two("[0,4]", "[4,8]", 7), {"truncated", "\"b\"", "ends at 8", "1 are missing"});
  refused(two("[0,4]", "[4,8]", 2), {"truncated", "\"a\"", "6 are missing"});
  refused(two("[0,4]", "[4,8]", 9), {"1 trailing bytes", "ends at 8"});
  refused(two("[0,4]", "[3,7]", 7), {"\"b\"", "begins at 3", "inside", "\"a\"", "ends at 4"});
  refused(two("[0,4]", "[0,4]", 4), {"begins at 0", "inside"});
  refused(two("[0,4]", "[6,10]", 10), {"\"b\"", "begins at 6", "gap of 2"});
  refused(two("[1,5]", "[5,9]", 9), {"\"a\"", "begins at 1", "gap of 1"});
  // an empty tensor in the middle of another is an overlap too
  refused(container(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                    R"("b":{"dtype":"U8","shape":[0],"data_offsets":[2,2]}})",
                    "abcd"),
          {"\"b\"", "begins at 2", "inside"});
  refused(container("{}", "x"), {"1 trailing bytes"});
  refused(one("\"U8\"", "[9007199254740992]", "[0,9007199254740992]", "abcd"),
          {"truncated", "9007199254740988 are missing"});
}

TEST_CASE("versions and checksums are checked when the file is opened", "[formats][safetensors]") {
  const auto with = [](const std::string& key, const std::string& value) {
    return container(R"({"__metadata__":{")" + key + R"(":")" + value + R"("}})");
  };
  REQUIRE(read(with("attn.version", "1")).tensors().empty());
  refused(with("attn.version", "2"), {"attn.version", "version 2", "up to version 1"});
  refused(with("attn.version", "18446744073709551615"), {"attn.version", "18446744073709551615"});
  for (const char* bad : {"0", "", "one", "-1", "1.0", " 1", "1 ", "18446744073709551616"}) {
    CAPTURE(bad);
    refused(with("attn.version", bad), {"attn.version", "not a version"});
  }
  REQUIRE_NOTHROW(read(with("attn.checksum", "xxh3:0123456789abcdef")));
  for (const char* bad :
       {"", "xxh3:", "0123456789abcdef", "xxh3:0123456789abcde", "xxh3:0123456789abcdef0",
        "xxh3:0123456789abcdeg", "xxh3:0123456789ABCDEF", "sha1:0123456789abcdef"}) {
    CAPTURE(bad);
    refused(with("attn.checksum", bad), {"attn.checksum", "16"});
  }
}

TEST_CASE("verify compares the checksum of the data", "[formats][safetensors]") {
  const auto with = [](const std::string& digits, const std::string& data) {
    return container(R"({"__metadata__":{"attn.checksum":"xxh3:)" + digits +
                         R"("},"w":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}})",
                     data);
  };
  // XXH3-64 of "abc", from the reference tool: xxhsum -H3
  const std::string good = with("78af5f94892f3950", "abc"), bad = with("78af5f94892f3950", "abd");
  read(good).verify();
  const Safetensors damaged = read(bad);  // opening reads no data
  require_error(ErrorKind::invalid,
                {"model.bin", "attn.checksum", "xxh3:78af5f94892f3950", "damaged"},
                [&] { damaged.verify(); });
}

TEST_CASE("verify finds NaN and infinity in every floating-point type", "[formats][safetensors]") {
  const auto check = [](const std::string& dtype, std::size_t size, const std::string& bad) {
    // long enough for several blocks of the search and a ragged last one
    const std::size_t rows = 700, columns = 3;
    const std::string end = std::to_string(rows * columns * size);
    for (const std::size_t place : {std::size_t{0}, std::size_t{1}, std::size_t{1023},
                                    std::size_t{1024}, std::size_t{2099}}) {
      CAPTURE(dtype, place);
      std::string data(rows * columns * size, '\0');
      std::string bytes = one("\"" + dtype + "\"", "[700,3]", "[0," + end + "]", data);
      read(bytes).verify();
      bytes.replace(bytes.size() - data.size() + place * size, size, bad);
      const std::string index =
          "[" + std::to_string(place / columns) + ", " + std::to_string(place % columns) + "]";
      require_error(ErrorKind::invalid, {"\"w\"", "NaN", index}, [&] { read(bytes).verify(); });
    }
  };
  const double infinity = std::numeric_limits<double>::infinity();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const double value : {infinity, -infinity, nan, -nan}) {
    check("F64", 8, bytes_as_text<double>({value}));
    check("F32", 4, bytes_as_text<float>({static_cast<float>(value)}));
  }
  for (const std::uint16_t value :
       std::initializer_list<std::uint16_t>{0x7C00, 0xFC00, 0x7C01, 0xFE00}) {
    check("F16", 2, bytes_as_text<std::uint16_t>({value}));
  }
  for (const std::uint16_t value :
       std::initializer_list<std::uint16_t>{0x7F80, 0xFF80, 0x7F81, 0xFFC0}) {
    check("BF16", 2, bytes_as_text<std::uint16_t>({value}));
  }
}

TEST_CASE("verify accepts every finite number and all integers", "[formats][safetensors]") {
  const auto fine = [](const std::string& dtype, std::size_t count, const std::string& data) {
    CAPTURE(dtype);
    const std::string bytes = one("\"" + dtype + "\"", "[" + std::to_string(count) + "]",
                                  "[0," + std::to_string(data.size()) + "]", data);
    REQUIRE_NOTHROW(read(bytes).verify());
  };
  fine("F64", 2, bytes_as_text<double>({std::numeric_limits<double>::max(), -5e-324}));
  fine("F32", 2, bytes_as_text<float>({std::numeric_limits<float>::lowest(), 1e-45F}));
  std::vector<std::uint16_t> half, brain;
  for (unsigned bits = 0; bits < 65536; ++bits) {
    if ((bits & 0x7C00) != 0x7C00) half.push_back(static_cast<std::uint16_t>(bits));
    if ((bits & 0x7F80) != 0x7F80) brain.push_back(static_cast<std::uint16_t>(bits));
  }
  fine("F16", half.size(), bytes_as_text(half));
  fine("BF16", brain.size(), bytes_as_text(brain));
  const std::string ones(8, '\xFF');
  fine("I64", 1, ones);
  fine("I32", 2, ones);
  fine("I16", 4, ones);
  fine("I8", 8, ones);
  fine("U8", 8, ones);
  fine("BOOL", 8, ones);
}
