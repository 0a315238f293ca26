#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace attn::runtime {

/// The types of GGUF metadata values, by their numbers in files.
enum class GgufType : std::uint32_t {
  u8,
  i8,
  u16,
  i16,
  u32,
  i32,
  f32,
  boolean,
  string,
  array,
  u64,
  i64,
  f64
};
inline constexpr std::uint32_t gguf_type_count = 13;

[[nodiscard]] std::string_view gguf_type_name(GgufType type) noexcept;
/// Bytes of a value; 0 for strings and arrays, whose length stands in the file.
[[nodiscard]] std::uint64_t gguf_type_size(GgufType type) noexcept;

/// Reads a GGUF header front to back; no number leads beyond the bytes. Every function throws
/// Error(invalid) naming the file, what is read, and its offset.
class GgufCursor {
 public:
  GgufCursor(std::span<const std::byte> bytes, const std::string& file)
      : bytes_(bytes), file_(&file) {}

  [[nodiscard]] std::uint64_t offset() const noexcept { return at_; }
  [[nodiscard]] std::uint64_t rest() const noexcept { return bytes_.size() - at_; }

  std::uint32_t u32(std::string_view what);
  std::uint64_t u64(std::string_view what);
  /// A length and as many bytes.
  std::string_view text(std::string_view what);
  std::span<const std::byte> take(std::uint64_t count, std::string_view what);

  [[noreturn]] void fail(std::string_view what, const std::string& problem,
                         std::uint64_t offset) const;

 private:
  std::span<const std::byte> bytes_;
  const std::string* file_;
  std::uint64_t at_ = 0;
};

}  // namespace attn::runtime
