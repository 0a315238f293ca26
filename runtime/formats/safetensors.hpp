#pragma once

#include "runtime/dtype.hpp"
#include "runtime/formats/mapped_file.hpp"
#include "runtime/weight_layout.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace attn::runtime {

/// The key of the container's format version and the version this library reads and writes.
inline constexpr const char* version_key = "attn.version";
inline constexpr std::uint64_t format_version = 1;

/// The key of the checksum: "xxh3:" and the 16 hexadecimal digits of XXH3-64 over all bytes after
/// the header.
inline constexpr const char* checksum_key = "attn.checksum";

/// Limits of the container, kept by the reader and the writer.
inline constexpr std::uint64_t largest_header = 100'000'000;  // as the reference reader has it
inline constexpr std::size_t most_dimensions = 8;

/// One named array in a container: row-major, little-endian, `data` as long as shape and type say
/// (empty if a dimension is zero) and of any alignment. What a container holds itself stands in
/// rows; a model's weights may stand in tiles.
struct TensorEntry {
  std::string name;
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> data;
  WeightLayout layout = WeightLayout::rows;
};

/// A safetensors container, read in place: the header is checked completely when it is opened, the
/// tensors are views of the mapped file, which lives as long as any copy of this object. Immutable
/// after opening, so it may be read from many threads.
///
/// Format: 8 bytes with the header's length (little-endian), the header (a JSON object: tensor name
/// → dtype, shape, data_offsets; and "__metadata__": strings), then the tensors' bytes without
/// gaps. See docs/model-format.md for what is refused. Source: the safetensors format description.
class Safetensors {
 public:
  /// Maps the file. Throws Error(io) if it cannot be read, Error(invalid) if it is not such a
  /// container, both naming the path, the field and the value.
  static Safetensors open(const std::filesystem::path& path);

  /// The same of a file that is mapped already; `name` stands for the path in messages.
  static Safetensors of(MappedFile file, std::string name);

  /// Reads the container in `bytes`, which are not copied and have to outlive every use of the
  /// result; `name` stands for the path in messages. Throws Error(invalid).
  static Safetensors from_memory(std::span<const std::byte> bytes, std::string name);

  /// The path or name it was opened by, for messages.
  [[nodiscard]] const std::string& name() const noexcept;

  [[nodiscard]] const std::map<std::string, std::string>& metadata() const noexcept;

  /// All tensors, in the order of their bytes in the file.
  [[nodiscard]] std::span<const TensorEntry> tensors() const noexcept;

  /// The tensor of that name, or nullptr.
  [[nodiscard]] const TensorEntry* find(std::string_view name) const noexcept;

  /// Reads every byte: compares the checksum, where the metadata has one, and looks for NaN and
  /// infinity in the tensors of floating-point types. Throws Error(invalid) naming both checksums,
  /// or the tensor and the index of its first such element.
  void verify() const;

 private:
  struct Contents;
  static Safetensors read(std::shared_ptr<Contents> contents, std::span<const std::byte> bytes);
  explicit Safetensors(std::shared_ptr<const Contents> contents) noexcept;

  std::shared_ptr<const Contents> contents_;
};

}  // namespace attn::runtime
