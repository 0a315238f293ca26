#pragma once

#include "runtime/formats/mapped_file.hpp"
#include "runtime/formats/safetensors.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace attn::runtime {

/// A GGUF file, version 2 or 3, little-endian, read in place: everything is checked when it is
/// opened, the tensors are views of the mapped file, which lives as long as any copy of this
/// object. Immutable after opening, so it may be read from many threads.
///
/// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Tensor types: F32, F16, BF16,
/// Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K. Data may be padded between tensors to the
/// alignment, and after the last.
class Gguf {
 public:
  /// Reads a mapped file; `name` stands for its path in messages. Throws Error(invalid) if it is no
  /// such file, naming the field, its offset and the value.
  static Gguf of(MappedFile file, std::string name);

  /// Reads the file in `bytes`, which are not copied and have to outlive every use of the result;
  /// `name` stands for the path in messages. Throws Error(invalid).
  static Gguf from_memory(std::span<const std::byte> bytes, std::string name);

  /// Do the bytes begin as a GGUF file does?
  [[nodiscard]] static bool begins(std::span<const std::byte> head) noexcept;

  [[nodiscard]] const std::string& name() const noexcept;

  // Metadata by key: nothing where the key is absent; Error(invalid) naming key and both types
  // where it holds something else. Whole numbers of any width, within limits.
  [[nodiscard]] bool has(std::string_view key) const noexcept;
  [[nodiscard]] std::optional<std::string_view> text(std::string_view key) const;
  [[nodiscard]] std::optional<std::int64_t> integer(std::string_view key, std::int64_t low,
                                                    std::int64_t high) const;
  /// A float32 or float64 as the float64 of the same value.
  [[nodiscard]] std::optional<double> number(std::string_view key) const;
  [[nodiscard]] std::optional<bool> boolean(std::string_view key) const;
  /// Arrays.
  [[nodiscard]] std::optional<std::vector<std::string_view>> texts(std::string_view key) const;
  [[nodiscard]] std::optional<std::vector<float>> numbers(std::string_view key) const;
  [[nodiscard]] std::optional<std::vector<std::int64_t>> integers(std::string_view key) const;

  /// All tensors in the order of the file; shapes have the outermost dimension first, so a
  /// projection is [out, in].
  [[nodiscard]] std::span<const TensorEntry> tensors() const noexcept;
  [[nodiscard]] const TensorEntry* find(std::string_view name) const noexcept;

 private:
  struct Contents;
  static Gguf read(std::shared_ptr<Contents> contents, std::span<const std::byte> bytes);
  explicit Gguf(std::shared_ptr<const Contents> contents) noexcept
      : contents_(std::move(contents)) {}

  std::shared_ptr<const Contents> contents_;
};

}  // namespace attn::runtime
