#include "runtime/formats/mapped_file.hpp"

#include "attn/error.hpp"
#include "runtime/formats/descriptor.hpp"
#include "runtime/formats/text.hpp"

#include <cerrno>
#include <cstdint>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace attn::runtime {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, int code) {
  throw Error(code == ENOMEM ? ErrorKind::memory : ErrorKind::io,
              path_text(path) + ": cannot be read: " + std::generic_category().message(code));
}

}  // namespace

MappedFile MappedFile::open(const std::filesystem::path& path) {
  // O_NONBLOCK: the open of a FIFO that nobody writes to would wait for ever
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  if (file.get() < 0) fail(path, errno);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) fail(path, errno);
  if (S_ISDIR(status.st_mode)) fail(path, EISDIR);
  if (!S_ISREG(status.st_mode)) {
    throw Error(ErrorKind::io, path_text(path) + ": cannot be read: not a regular file");
  }
  if (status.st_size == 0) throw Error(ErrorKind::invalid, path_text(path) + ": the file is empty");
  const auto size = static_cast<std::size_t>(status.st_size);
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (address == MAP_FAILED) fail(path, errno);
  return MappedFile({static_cast<const std::byte*>(address), size});
}

bool there_is(const std::filesystem::path& path) {
  std::error_code error;
  const bool there = std::filesystem::exists(path, error);
  if (error) fail(path, error.value());
  return there;
}

void advise_streamed(std::span<const std::byte> bytes) noexcept {
  if (bytes.empty()) return;
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(bytes.data());
  const std::uintptr_t first = begin / page * page;
  // a system without huge pages for files refuses, or does nothing
  // NOLINTNEXTLINE(performance-no-int-to-ptr,cppcoreguidelines-pro-type-reinterpret-cast)
  (void)::madvise(reinterpret_cast<void*>(first), begin + bytes.size() - first, MADV_HUGEPAGE);
}

MappedFile::~MappedFile() {
  if (bytes_.empty()) return;
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): munmap does not write
  ::munmap(const_cast<void*>(static_cast<const void*>(bytes_.data())), bytes_.size());
}

}  // namespace attn::runtime
