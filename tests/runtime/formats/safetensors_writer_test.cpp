#include "runtime/formats/safetensors_writer.hpp"

#include "support/files.hpp"
#include "support/numbers.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <signal.h>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <vector>

using attn::ErrorKind;
using namespace attn::runtime;
using namespace attn::test;

namespace {

/// Tensors with bytes of their own.
class Tensors {
 public:
  void add(const std::string& name, DType dtype, const std::vector<std::int64_t>& shape) {
    std::size_t size = dtype_size(dtype);
    for (const std::int64_t dimension : shape) size *= static_cast<std::size_t>(dimension);
    std::vector<std::byte> bytes(size);
    // small exponents in every byte order: no NaN in any type
    for (std::byte& byte : bytes) byte = std::byte(random_() & 0x3F);
    data_.push_back(std::move(bytes));  // moving a vector keeps its bytes in place
    entries_.push_back({name, dtype, shape, data_.back()});
  }
  [[nodiscard]] std::span<const TensorEntry> entries() const { return entries_; }

 private:
  std::mt19937 random_{7};
  std::vector<std::vector<std::byte>> data_;
  std::vector<TensorEntry> entries_;
};

std::uint64_t header_length(const std::string& file) {
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), 8);
  return length;
}

const std::vector<DType> all_types{DType::f64, DType::f32, DType::f16, DType::bf16, DType::i64,
                                   DType::i32, DType::i16, DType::i8,  DType::u8,   DType::boolean};

}  // namespace

TEST_CASE("what is written is read back, in every type and many shapes", "[formats][writer]") {
  const TemporaryFolder folder;
  const std::vector<std::vector<std::int64_t>> shapes{
      {}, {0}, {1}, {7}, {16}, {33}, {4, 5}, {3, 0}, {1, 1, 1, 1, 1, 1, 1, 2}};
  Tensors tensors;
  for (const DType dtype : all_types) {
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      tensors.add(std::string(dtype_name(dtype)) + ".größe/" + std::to_string(i), dtype, shapes[i]);
    }
  }
  const std::map<std::string, std::string> metadata{
      {"attn.architecture", "test"}, {"satz", "Zwei \"Zeilen\"\nund ein 𝄞\t"}, {"leer", ""}};
  write_safetensors(folder / "model.bin", metadata, tensors.entries());

  const Safetensors file = Safetensors::open(folder / "model.bin");
  file.verify();
  REQUIRE(file.tensors().size() == tensors.entries().size());
  for (const TensorEntry& given : tensors.entries()) {
    CAPTURE(given.name);
    const TensorEntry* found = file.find(given.name);
    REQUIRE(found != nullptr);
    REQUIRE(found->dtype == given.dtype);
    REQUIRE(found->shape == given.shape);
    REQUIRE(same_bits(found->data, given.data));
    // the bytes of the file begin on a page, so an address says what the offset is a multiple of
    const std::size_t size = given.data.size();
    const std::size_t alignment = size % 64 == 0 ? 64 : size & (~size + 1);
    REQUIRE(reinterpret_cast<std::uintptr_t>(found->data.data()) % alignment == 0);
  }
  auto expected = metadata;
  expected["attn.version"] = "1";
  expected["attn.checksum"] = file.metadata().at("attn.checksum");
  REQUIRE(file.metadata() == expected);
}

TEST_CASE("data begins at a multiple of 64 for a header of any length", "[formats][writer]") {
  const TemporaryFolder folder;
  Tensors tensors;
  tensors.add("w", DType::f32, {3});
  std::vector<bool> seen(64);
  for (std::size_t n = 0; n < 64; ++n) {
    write_safetensors(folder / "a", {{"k", std::string(n, 'x')}}, tensors.entries());
    const std::string file = read_file(folder / "a");
    const std::uint64_t begin = 8 + header_length(file);
    REQUIRE(begin % 64 == 0);
    REQUIRE(begin + 12 == file.size());
    const std::size_t blanks = begin - 1 - file.find_last_of('}', begin - 1);
    REQUIRE(blanks < 64);
    seen[blanks] = true;
    REQUIRE_NOTHROW(Safetensors::open(folder / "a").verify());
  }
  REQUIRE(std::count(seen.begin(), seen.end(), true) == 64);
}

TEST_CASE("the same model gives the same file, and equal alignment keeps the order",
          "[formats][writer]") {
  const TemporaryFolder folder;
  Tensors tensors;
  for (const char* name : {"z", "b", "a"}) tensors.add(name, DType::f32, {16});
  tensors.add("odd", DType::u8, {5});
  tensors.add("y", DType::f32, {32});
  write_safetensors(folder / "a", {}, tensors.entries());
  write_safetensors(folder / "b", {}, tensors.entries());
  REQUIRE(read_file(folder / "a") == read_file(folder / "b"));
  std::string order;
  const Safetensors file = Safetensors::open(folder / "a");
  for (const TensorEntry& tensor : file.tensors()) order += tensor.name + " ";
  REQUIRE(order == "z b a y odd ");
}

TEST_CASE("version and checksum given are replaced by the true ones", "[formats][writer]") {
  const TemporaryFolder folder;
  Tensors tensors;
  tensors.add("w", DType::u8, {3});
  write_safetensors(folder / "a",
                    {{"attn.version", "7"}, {"attn.checksum", "xxh3:0000000000000000"}},
                    tensors.entries());
  const Safetensors file = Safetensors::open(folder / "a");
  file.verify();
  REQUIRE(file.metadata().at("attn.version") == "1");
  REQUIRE(file.metadata().at("attn.checksum") != "xxh3:0000000000000000");
}

TEST_CASE("a container without tensors is written", "[formats][writer]") {
  const TemporaryFolder folder;
  write_safetensors(folder / "a", {{"attn.architecture", "self_attention"}}, {});
  const Safetensors file = Safetensors::open(folder / "a");
  file.verify();
  REQUIRE(file.tensors().empty());
}

TEST_CASE("a file can be replaced by its own mapped tensors", "[formats][writer]") {
  const TemporaryFolder folder;
  Tensors tensors;
  tensors.add("big", DType::f32, {1000, 100});
  tensors.add("w", DType::f32, {5});
  write_safetensors(folder / "a", {{"round", "1"}}, tensors.entries());
  const Safetensors source = Safetensors::open(folder / "a");
  write_safetensors(folder / "a", {{"round", "2"}}, source.tensors());
  const Safetensors result = Safetensors::open(folder / "a");
  for (const Safetensors& file : {source, result}) {
    file.verify();
    REQUIRE(same_bits(file.find("big")->data, tensors.entries()[0].data));
    REQUIRE(same_bits(file.find("w")->data, tensors.entries()[1].data));
  }
  REQUIRE(source.metadata().at("round") == "1");
  REQUIRE(result.metadata().at("round") == "2");
}

TEST_CASE("what the reader would refuse is not written", "[formats][writer]") {
  const TemporaryFolder folder;
  write_file(folder / "a", "old");
  const std::vector<std::byte> bytes(4);
  const auto refused = [&](std::initializer_list<std::string_view> parts,
                           const std::vector<TensorEntry>& tensors,
                           const std::map<std::string, std::string>& metadata = {}) {
    require_error(ErrorKind::invalid, parts,
                  [&] { write_safetensors(folder / "a", metadata, tensors); });
    REQUIRE(read_file(folder / "a") == "old");
    REQUIRE(folder.entries() == 1);
  };
  const std::int64_t huge = std::int64_t{1} << 62;
  refused({"empty name"}, {{"", DType::f32, {1}, bytes}});
  refused({"__metadata__", "reserved"}, {{"__metadata__", DType::f32, {1}, bytes}});
  refused({"\"w\"", "twice"}, {{"w", DType::f32, {1}, bytes}, {"w", DType::f32, {1}, bytes}});
  refused({"\"w\"", "F32", "[2]", "4 bytes"}, {{"w", DType::f32, {2}, bytes}});
  refused({"\"w\"", "[-1]"}, {{"w", DType::f32, {-1}, bytes}});
  refused({"\"w\""}, {{"w", DType::f32, {huge, huge}, bytes}});
  refused({"\"w\""}, {{"w", DType::f64, {huge}, {}}});
  refused({"9 dimensions"}, {{"w", DType::f32, std::vector<std::int64_t>(9, 1), bytes}});
  refused({"UTF-8"}, {{"w\xFF", DType::f32, {1}, bytes}});
  refused({"UTF-8"}, {}, {{"key", "\xC3"}});
  refused({"UTF-8"}, {}, {{"\xC3", "value"}});
  refused({"empty key"}, {}, {{"", "value"}});
  refused({"header", "limit of 100000000"}, {}, {{"key", std::string(100'000'000, 'x')}});
}

TEST_CASE("a target that cannot be written is an I/O error", "[formats][writer]") {
  const TemporaryFolder folder;
  write_file(folder / "file", "old");
  for (const std::filesystem::path& path :
       {folder / "file/model.bin", folder / "missing/model.bin", folder.path(),
        std::filesystem::path("/dev/full"), std::filesystem::path("/proc/model.bin")}) {
    require_error(ErrorKind::io, {path.native(), "cannot be written"},
                  [&] { write_safetensors(path, {}, {}); });
  }
  REQUIRE(folder.entries() == 1);
}

TEST_CASE("many threads write one path: one of them wins, complete", "[formats][writer]") {
  const TemporaryFolder folder;
  Tensors tensors;
  tensors.add("w", DType::f32, {1000});
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      write_safetensors(folder / "a", {{"writer", std::to_string(i)}}, tensors.entries());
    });
  }
  for (std::thread& thread : threads) thread.join();
  Safetensors::open(folder / "a").verify();
  REQUIRE(folder.entries() == 1);
}

TEST_CASE("a writer killed at any moment leaves the old file or the new one", "[formats][writer]") {
  const TemporaryFolder folder;
  Tensors tensors;
  tensors.add("w", DType::f32, {50'000});
  write_safetensors(folder / "a", {}, tensors.entries());
  std::mt19937 random(11);
  for (int round = 0; round < 20; ++round) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      for (;;) write_safetensors(folder / "a", {}, tensors.entries());
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 4000));
    ::kill(child, SIGKILL);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    REQUIRE(WTERMSIG(status) == SIGKILL);  // it was still writing
    const Safetensors file = Safetensors::open(folder / "a");
    REQUIRE_NOTHROW(file.verify());
    REQUIRE(file.find("w")->shape == std::vector<std::int64_t>{50'000});
  }
}
