#include "runtime/formats/gguf_cursor.hpp"

#include "attn/error.hpp"

#include <array>
#include <cstring>

namespace attn::runtime {
namespace {

struct Row {
  std::string_view name;
  std::uint64_t size;
};

constexpr std::array<Row, gguf_type_count> rows{{{"u8", 1},
                                                 {"i8", 1},
                                                 {"u16", 2},
                                                 {"i16", 2},
                                                 {"u32", 4},
                                                 {"i32", 4},
                                                 {"f32", 4},
                                                 {"bool", 1},
                                                 {"string", 0},
                                                 {"array", 0},
                                                 {"u64", 8},
                                                 {"i64", 8},
                                                 {"f64", 8}}};

template <class T>
T number(std::span<const std::byte> bytes) {
  T value{};
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

}  // namespace

std::string_view gguf_type_name(GgufType type) noexcept {
  return rows[static_cast<std::size_t>(type)].name;
}
std::uint64_t gguf_type_size(GgufType type) noexcept {
  return rows[static_cast<std::size_t>(type)].size;
}

void GgufCursor::fail(std::string_view what, const std::string& problem,
                      std::uint64_t offset) const {
  throw Error(ErrorKind::invalid, *file_ + ": " + std::string(what) + " at byte " +
                                      std::to_string(offset) + ": " + problem);
}

std::span<const std::byte> GgufCursor::take(std::uint64_t count, std::string_view what) {
  if (count > rest()) {
    fail(what,
         std::to_string(count) + " bytes, and " + std::to_string(rest()) +
             " remain: the file is truncated or damaged",
         at_);
  }
  const auto part = bytes_.subspan(static_cast<std::size_t>(at_), static_cast<std::size_t>(count));
  at_ += count;
  return part;
}

std::uint32_t GgufCursor::u32(std::string_view what) {
  return number<std::uint32_t>(take(sizeof(std::uint32_t), what));
}

std::uint64_t GgufCursor::u64(std::string_view what) {
  return number<std::uint64_t>(take(sizeof(std::uint64_t), what));
}

std::string_view GgufCursor::text(std::string_view what) {
  const std::uint64_t length = u64(what);
  const auto bytes = take(length, what);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace attn::runtime
