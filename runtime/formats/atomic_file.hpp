#pragma once

#include "runtime/formats/descriptor.hpp"

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

namespace attn::runtime {

/// Writes a file so that under its name there is always the old content or the new one, complete,
/// whatever fails and whenever the process dies: the bytes go to a temporary file in the same
/// folder, which commit() makes durable and renames. Destroyed without commit(), it removes the
/// temporary; a killed process leaves it behind, named ".attn-….tmp". A file that is mapped
/// meanwhile, even for the bytes being written, is not disturbed: whoever has it open keeps the old
/// content.
///
/// A symbolic link is followed; a new file gets the permissions that the process gives, a replaced
/// one keeps its own. Every function throws Error(io) with the target's path and the reason,
/// Error(memory) where that is want of memory.
class AtomicFile {
 public:
  /// Creates the temporary. Refuses a target that is there and is not a regular file: renaming
  /// would replace the folder or device itself.
  explicit AtomicFile(const std::filesystem::path& target);

  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  /// Appends to the temporary.
  void write(std::span<const std::byte> bytes);

  /// Puts the new content in place: fsync, rename, fsync of the folder. Called once, last.
  void commit();

  /// Of two files that belong together: both are durable before the first is renamed, so that what
  /// fails, but for the second renaming, leaves both as they were, and nothing slow is between
  /// them.
  static void commit(AtomicFile& first, AtomicFile& second);

 private:
  void finish();  // makes what was written durable
  void place();   // renames
  void sync_folder();
  [[noreturn]] void fail(int code) const;

  std::filesystem::path target_;
  Descriptor folder_;
  Descriptor file_;
  std::string temporary_;  // its name in the folder; empty when there is none
};

}  // namespace attn::runtime
