// Sweeps over damaged containers: whatever the bytes are, opening either works or is a clean error.
// The sanitizers watch for the rest.

#include "runtime/formats/containers.hpp"
#include "runtime/formats/safetensors.hpp"
#include "runtime/formats/safetensors_writer.hpp"
#include "support/files.hpp"

#include <chrono>
#include <string>
#include <sys/resource.h>

using attn::Error;
using attn::ErrorKind;
using namespace attn::runtime;
using namespace attn::test;

namespace {

/// A whole small file as our writer makes it.
std::string written() {
  const TemporaryFolder folder;
  const std::vector<float> weights{1, 2, 3, 4, 5, 6};
  const std::vector<std::uint8_t> ids{1, 2, 3};
  const std::vector<TensorEntry> tensors{
      {"wörter", DType::u8, {3}, std::as_bytes(std::span(ids))},
      {"weight", DType::f32, {2, 3}, std::as_bytes(std::span(weights))},
      {"none", DType::i64, {0, 2}, {}}};
  write_safetensors(folder / "model.bin", {{"attn.architecture", "test"}}, tensors);
  return read_file(folder / "model.bin");
}

/// Opens and verifies; true if both accept. Anything but attn::Error(invalid) fails the test.
bool accepts(const std::string& bytes) {
  try {
    const Safetensors file = Safetensors::from_memory(bytes_of(bytes), "damaged");
    // what was accepted has to lie inside the bytes; the sanitizer sees to it that it can be read
    unsigned sum = 0;
    for (const TensorEntry& tensor : file.tensors()) {
      for (const std::byte byte : tensor.data) sum += std::to_integer<unsigned>(byte);
    }
    REQUIRE(sum <= 255 * bytes.size());
    file.verify();
    return true;
  } catch (const Error& error) {
    REQUIRE(error.kind() == ErrorKind::invalid);
    REQUIRE(std::string(error.what()).find('\n') == std::string::npos);
    return false;
  }
}

long peak_kilobytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

}  // namespace

TEST_CASE("a file cut at any length is refused", "[formats][safetensors]") {
  const std::string whole = written();
  REQUIRE(accepts(whole));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    CAPTURE(length);
    // a copy of exactly this length, so that the sanitizer sees a read past its end
    REQUIRE_FALSE(accepts(std::string(whole.data(), length)));
    if (length < 10) continue;
    require_error(ErrorKind::invalid, {"truncated", "missing"},
                  [&] { (void)Safetensors::from_memory(bytes_of(whole).first(length), "cut"); });
  }
  REQUIRE_FALSE(accepts(whole + '\0'));
}

TEST_CASE("a flipped bit is an error or another container, never a crash",
          "[formats][safetensors]") {
  const std::string whole = written();
  const std::size_t data_begin = whole.size() - 6 * sizeof(float) - 3;
  REQUIRE(data_begin % 64 == 0);
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    CAPTURE(bit / 8, bit % 8);
    std::string bytes = whole;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
    const bool accepted = accepts(bytes);
    // the checksum covers the data; in the header a name may become another name
    if (bit / 8 >= data_begin || bit / 8 < 8) REQUIRE_FALSE(accepted);
  }
}

TEST_CASE("every byte of the header replaced by every structural one", "[formats][safetensors]") {
  const std::string whole = written();
  for (std::size_t place = 0; place < whole.find_last_of('}') + 1; ++place) {
    for (const char byte : std::string("{}[],:\"\\-e9 \0\xFF", 14)) {
      CAPTURE(place, byte);
      std::string bytes = whole;
      bytes[place] = byte;
      (void)accepts(bytes);
      bytes.insert(place, 1, byte);
      (void)accepts(bytes);
    }
  }
}

TEST_CASE("64 bytes that claim 2^60 are refused at once and cost no memory",
          "[formats][safetensors]") {
  const std::uint64_t claimed = std::uint64_t{1} << 60;
  const std::string header = length_prefix(claimed) + std::string(56, '{');
  const std::string tensor = container(
      R"({"w":{"dtype":"U8","shape":[4503599627370496],"data_offsets":[0,4503599627370496]}})");
  const TemporaryFolder folder;
  for (const std::string& bytes : {header, tensor}) {
    write_file(folder / "hostile.bin", bytes);
    const long before = peak_kilobytes();
    const auto begin = std::chrono::steady_clock::now();
    REQUIRE_THROWS_AS(Safetensors::open(folder / "hostile.bin"), Error);
    const auto took = std::chrono::steady_clock::now() - begin;
    REQUIRE(took < std::chrono::milliseconds(100));
    REQUIRE(peak_kilobytes() - before <= 16 * 1024);
  }
}

TEST_CASE("a header of more values than any model has is refused", "[formats][safetensors]") {
  std::string shape = "[0";
  for (int i = 0; i < 4'600'000; ++i) shape += ",0";
  const std::string bytes =
      container(R"({"w":{"dtype":"U8","shape":)" + shape + R"(],"data_offsets":[0,0]}})");
  require_error(ErrorKind::invalid, {"header", "more than 4500000 values"},
                [&] { (void)Safetensors::from_memory(bytes_of(bytes), "many"); });
}
