#include "tools/common/output.hpp"

#include "attn/error.hpp"
#include "tools/common/interrupt.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

namespace attn::tools {
namespace {

[[noreturn]] void fail(const std::string& what, int error) {
  throw Error(ErrorKind::io, what + ": cannot write: " + std::strerror(error));
}

}  // namespace

void Out::flush() {
  std::size_t done = 0;
  while (done < pending_.size()) {
    const ssize_t wrote = ::write(STDOUT_FILENO, pending_.data() + done, pending_.size() - done);
    if (wrote >= 0) {
      done += static_cast<std::size_t>(wrote);
    } else if (errno == EINTR) {
      HoldInterrupts::check();
    } else {
      fail("standard output", errno);
    }
  }
  pending_.clear();
}

void check_output_file(const std::string& path) {
  if (path.empty()) fail("''", ENOENT);
  struct stat there {};
  if (::stat(path.c_str(), &there) == 0) {
    if (S_ISDIR(there.st_mode)) fail(path, EISDIR);
    if (!S_ISREG(there.st_mode)) {
      throw Error(ErrorKind::io, path + ": cannot write: it is not an ordinary file");
    }
    if (::access(path.c_str(), W_OK) != 0) fail(path, errno);
  } else if (errno != ENOENT) {
    fail(path, errno);
  }
  // what permissions do not tell, a file made beside the target does
  const std::string probe = path + ".attn-" + std::to_string(::getpid()) + ".tmp";
  const int file = ::open(probe.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) fail(path, errno);
  ::close(file);
  ::unlink(probe.c_str());
}

void check_extension(std::string_view option, const std::string& path,
                     std::string_view extensions) {
  std::string extension = std::filesystem::path(path).extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  for (std::size_t at = 0; at < extensions.size();) {
    const std::size_t end = std::min(extensions.find(' ', at), extensions.size());
    if (extensions.substr(at, end - at) == extension) return;
    at = end + 1;
  }
  throw Error(ErrorKind::usage, std::string(option) + " " + path +
                                    ": the name has to end in one of " + std::string(extensions));
}

}  // namespace attn::tools
