#include "bench/page_cache.hpp"

#include "attn/error.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace attn::bench {
namespace {

struct Pages {
  std::size_t all = 0, resident = 0;
};

Pages resident_pages(int file, std::size_t bytes) {
  Pages pages;
  if (bytes == 0) return pages;
  void* const at = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file, 0);
  if (at == MAP_FAILED) return pages;
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> held((bytes + page - 1) / page);
  if (::mincore(at, bytes, held.data()) == 0) {
    pages.all = held.size();
    for (const unsigned char flags : held) pages.resident += flags & 1U;
  }
  ::munmap(at, bytes);
  return pages;
}

Pages drop_file(const std::filesystem::path& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat there {};
  if (file < 0 || ::fstat(file, &there) != 0) {
    const int error = errno;
    if (file >= 0) ::close(file);
    throw Error(ErrorKind::io, path.string() + ": cannot open: " + std::strerror(error));
  }
  Pages pages;
  if (S_ISREG(there.st_mode)) {
    ::fdatasync(file);  // what has yet to be written cannot be forgotten
    ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    pages = resident_pages(file, static_cast<std::size_t>(there.st_size));
  }
  ::close(file);
  return pages;
}

}  // namespace

bool drop_from_page_cache(const std::filesystem::path& path) {
  Pages pages;
  const auto drop = [&](const std::filesystem::path& file) {
    const Pages held = drop_file(file);
    pages.all += held.all;
    pages.resident += held.resident;
  };
  if (std::filesystem::is_directory(path)) {
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      if (entry.is_regular_file()) drop(entry.path());
    }
  } else {
    drop(path);
  }
  // a model smaller than the pages that the kernel reads ahead may have a few left
  return pages.resident * 10 <= pages.all;
}

}  // namespace attn::bench
