#include "runtime/formats/atomic_file.hpp"

#include "attn/error.hpp"
#include "runtime/formats/text.hpp"

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <system_error>

namespace attn::runtime {
namespace {

/// A name that no other writer has, nor one that was killed; empty if the system gives no random
/// bits.
std::string temporary_name() {
  std::uint64_t bits = 0;
  if (::getrandom(&bits, sizeof bits, 0) != sizeof bits) return {};
  return ".attn-" + hex_digits(bits) + ".tmp";
}

}  // namespace

AtomicFile::AtomicFile(const std::filesystem::path& target) {
  target_ = target;
  std::error_code error;
  std::filesystem::path real = std::filesystem::canonical(target, error);
  // a link that cannot be followed would be replaced itself
  if (error && error != std::errc::no_such_file_or_directory) fail(error.value());
  if (!error) target_ = std::move(real);
  if (!target_.has_filename()) fail(EISDIR);

  const std::filesystem::path parent = target_.parent_path();
  folder_ =
      Descriptor(::open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder_.get() < 0) fail(errno);

  struct stat old {};
  const bool replaces = ::fstatat(folder_.get(), target_.filename().c_str(), &old, 0) == 0;
  if (replaces && S_ISDIR(old.st_mode)) fail(EISDIR);
  if (replaces && !S_ISREG(old.st_mode)) {
    throw Error(ErrorKind::io, path_text(target_) + ": cannot be written: not a regular file");
  }

  std::string name = temporary_name();
  if (name.empty()) fail(errno);
  // O_EXCL: should the name be taken after all, it is not overwritten
  file_ = Descriptor(
      ::openat(folder_.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (file_.get() < 0) fail(errno);
  temporary_ = std::move(name);  // a copy could fail, and the file would stay
  if (replaces && ::fchmod(file_.get(), old.st_mode & 0777) != 0) {
    const int code = errno;
    ::unlinkat(folder_.get(), temporary_.c_str(), 0);  // the destructor does not run
    fail(code);
  }
}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) ::unlinkat(folder_.get(), temporary_.c_str(), 0);
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file_.get(), bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      fail(errno);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void AtomicFile::finish() {
  if (::fsync(file_.get()) != 0) fail(errno);
  // some file systems report a failed write only here
  if (::close(file_.release()) != 0) fail(errno);
}

void AtomicFile::place() {
  if (::renameat(folder_.get(), temporary_.c_str(), folder_.get(), target_.filename().c_str()) !=
      0) {
    fail(errno);
  }
  temporary_.clear();
}

void AtomicFile::sync_folder() {
  // EINVAL: a file system that cannot do this to folders keeps names in order itself
  if (::fsync(folder_.get()) != 0 && errno != EINVAL) fail(errno);
}

void AtomicFile::commit() {
  finish();
  place();
  sync_folder();
}

void AtomicFile::commit(AtomicFile& first, AtomicFile& second) {
  first.finish();
  second.finish();
  first.place();
  second.place();
  first.sync_folder();
  second.sync_folder();
}

void AtomicFile::fail(int code) const {
  throw Error(code == ENOMEM ? ErrorKind::memory : ErrorKind::io,
              path_text(target_) + ": cannot be written: " + std::generic_category().message(code));
}

}  // namespace attn::runtime
