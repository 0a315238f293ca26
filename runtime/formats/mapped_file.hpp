#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <utility>

namespace attn::runtime {

/// A whole regular file, mapped for reading. The bytes stay where they are until the object that
/// owns them is destroyed; moving it moves the ownership. Reading them from many threads is safe. A
/// file that another process shortens meanwhile takes its pages away: touching those raises SIGBUS;
/// writers that rename a new file over the old one, as ours do, never cause that.
class MappedFile {
 public:
  /// Throws Error(io) naming path and reason for what is missing, unreadable or not a regular file
  /// (a folder, a FIFO, a device: opening never blocks), Error(invalid) for an empty file,
  /// Error(memory) if the address space is exhausted.
  static MappedFile open(const std::filesystem::path& path);

  MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }

 private:
  explicit MappedFile(std::span<const std::byte> bytes) noexcept : bytes_(bytes) {}

  std::span<const std::byte> bytes_;
};

/// Is there anything at the path? Throws Error(io) where the system cannot tell: what is there and
/// is taken to be missing would make another model.
[[nodiscard]] bool there_is(const std::filesystem::path& path);

/// These bytes of a mapped file are read from first to last, again and again: the system may hold
/// them in huge pages, as some file systems can when they read the file anew. Changes no byte.
void advise_streamed(std::span<const std::byte> bytes) noexcept;

}  // namespace attn::runtime
