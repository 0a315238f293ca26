#include "runtime/memory.hpp"

#include "support/files.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <utility>

using namespace attn;
using namespace attn::runtime;

namespace {

/// Counts what is out, and hands out memory that is no zeros.
struct Counted {
  std::size_t bytes = 0, odd_sizes = 0;
  int blocks = 0;
  bool empty = false;
  std::shared_ptr<const Allocator> allocator;

  Counted() {
    Allocator own;
    own.allocate = [this](std::size_t size, std::size_t alignment) -> void* {
      if (empty) return nullptr;
      if (size % alignment != 0) ++odd_sizes;
      bytes += size;
      ++blocks;
      return std::memset(std::aligned_alloc(alignment, size), 0xab, size);
    };
    own.release = [this](void* data, std::size_t size, std::size_t) {
      bytes -= size;
      --blocks;
      std::free(data);
    };
    allocator = std::make_shared<const Allocator>(std::move(own));
  }
};

bool is_zero(const Memory& memory) {
  return std::all_of(memory.data(), memory.data() + memory.bytes(),
                     [](std::byte b) { return b == std::byte{0}; });
}

}  // namespace

TEST_CASE("memory is aligned, rounded up, and given back to where it came from", "[memory]") {
  Counted host;
  for (const std::size_t alignment : {std::size_t{64}, std::size_t{1} << 21}) {
    for (const auto& from : {std::shared_ptr<const Allocator>(), host.allocator}) {
      Memory plain(100, alignment, from, "a test");
      Memory zeros = Memory::zeros(100, alignment, from, "a test");
      for (const Memory* each : {&plain, &zeros}) {
        CHECK(reinterpret_cast<std::uintptr_t>(each->data()) % alignment == 0);
        CHECK(each->bytes() == alignment * ((100 + alignment - 1) / alignment));
      }
      CHECK(is_zero(zeros));
      const std::byte* const at = plain.data();
      zeros = std::move(plain);
      CHECK(zeros.data() == at);
      if (from) CHECK(host.blocks == 2);
    }
    CHECK(host.blocks == 0);
    CHECK(host.bytes == 0);
    CHECK(host.odd_sizes == 0);
  }
  CHECK(Memory(0, 64, host.allocator, "a test").data() == nullptr);
  CHECK(Memory::zeros(0, 64, nullptr, "a test").data() == nullptr);
}

TEST_CASE("memory that is not there is an error that says for what", "[memory]") {
  Counted host;
  host.empty = true;
  using test::require_error;
  require_error(ErrorKind::memory, {"a test", "128 bytes"},
                [&] { (void)Memory(100, 64, host.allocator, "a test"); });
  require_error(ErrorKind::memory, {"a test", "128 bytes"},
                [&] { (void)Memory::zeros(100, 64, host.allocator, "a test"); });
  constexpr std::size_t most = std::numeric_limits<std::size_t>::max();
  for (const std::size_t bytes : {most, most - 100, most / 2}) {
    require_error(ErrorKind::memory, {"a test"},
                  [&] { (void)Memory(bytes, 64, nullptr, "a test"); });
    require_error(ErrorKind::memory, {"a test"},
                  [&] { (void)Memory::zeros(bytes, 64, nullptr, "a test"); });
  }
}
