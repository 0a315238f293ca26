#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace attn::test {

/// A GGUF file, written here from the format's description and piece by piece, so that any piece
/// can be wrong.
class GgufBytes {
 public:
  template <class T>
  GgufBytes& add(T value) {
    const std::size_t at = bytes_.size();
    bytes_.resize(at + sizeof value);
    std::memcpy(bytes_.data() + at, &value, sizeof value);
    return *this;
  }
  GgufBytes& u32(std::uint32_t value) { return add(value); }
  GgufBytes& u64(std::uint64_t value) { return add(value); }
  GgufBytes& text(std::string_view value) {
    u64(value.size());
    bytes_.append(value);
    return *this;
  }
  GgufBytes& header(std::uint64_t tensors, std::uint64_t keys, std::uint32_t version = 3) {
    bytes_ += "GGUF";
    return u32(version).u64(tensors).u64(keys);
  }
  GgufBytes& key(std::string_view name, std::uint32_t type) { return text(name).u32(type); }
  /// Dimensions innermost first, as the file has them.
  GgufBytes& tensor(std::string_view name, const std::vector<std::uint64_t>& dims,
                    std::uint32_t type, std::uint64_t offset) {
    text(name).u32(static_cast<std::uint32_t>(dims.size()));
    for (const std::uint64_t dim : dims) u64(dim);
    return u32(type).u64(offset);
  }
  GgufBytes& pad(std::size_t alignment = 32) {
    bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment);
    return *this;
  }
  GgufBytes& zeros(std::size_t count) {
    bytes_.resize(bytes_.size() + count);
    return *this;
  }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

/// The numbers of value types.
enum GgufValue : std::uint32_t {
  gguf_u8 = 0,
  gguf_u32 = 4,
  gguf_i32 = 5,
  gguf_f32 = 6,
  gguf_bool = 7,
  gguf_string = 8,
  gguf_array = 9,
  gguf_u64 = 10,
};

}  // namespace attn::test
