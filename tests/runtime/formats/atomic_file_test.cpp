#include "runtime/formats/atomic_file.hpp"

#include "support/files.hpp"

#include <signal.h>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>

using attn::ErrorKind;
using attn::runtime::AtomicFile;
using namespace attn::test;

namespace {

void put(const std::filesystem::path& path, std::string_view content) {
  AtomicFile file(path);
  file.write(bytes_of(content));
  file.commit();
}

mode_t mode_of(const std::filesystem::path& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

}  // namespace

TEST_CASE("a file is created and replaced, and nothing else is left", "[formats][atomic_file]") {
  const TemporaryFolder folder;
  put(folder / "a", "first");
  REQUIRE(read_file(folder / "a") == "first");
  {
    AtomicFile file(folder / "a");
    file.write(bytes_of("sec"));
    file.write({});
    file.write(bytes_of("ond"));
    REQUIRE(read_file(folder / "a") == "first");
    file.commit();
  }
  REQUIRE(read_file(folder / "a") == "second");
  REQUIRE(folder.entries() == 1);
}

TEST_CASE("without commit the old file stays and the temporary goes", "[formats][atomic_file]") {
  const TemporaryFolder folder;
  write_file(folder / "a", "old");
  {
    AtomicFile file(folder / "a");
    file.write(bytes_of("new"));
    REQUIRE(folder.entries() == 2);
  }
  REQUIRE(read_file(folder / "a") == "old");
  REQUIRE(folder.entries() == 1);
}

TEST_CASE("two files are put in place together", "[formats][atomic_file]") {
  const TemporaryFolder folder;
  write_file(folder / "a", "old");
  {
    AtomicFile a(folder / "a"), b(folder / "b");
    a.write(bytes_of("new"));
    b.write(bytes_of("more"));
    AtomicFile::commit(a, b);
  }
  REQUIRE(read_file(folder / "a") == "new");
  REQUIRE(read_file(folder / "b") == "more");
  REQUIRE(folder.entries() == 2);
}

TEST_CASE("permissions are kept, links followed", "[formats][atomic_file]") {
  const TemporaryFolder folder;
  write_file(folder / "secret", "old");
  REQUIRE(::chmod((folder / "secret").c_str(), 0600) == 0);
  std::filesystem::create_symlink("secret", folder / "link");
  put(folder / "link", "new");
  REQUIRE(std::filesystem::is_symlink(folder / "link"));
  REQUIRE(read_file(folder / "secret") == "new");
  REQUIRE(mode_of(folder / "secret") == 0600);

  const mode_t mask = ::umask(027);
  put(folder / "fresh", "new");
  ::umask(mask);
  REQUIRE(mode_of(folder / "fresh") == 0640);
}

TEST_CASE("a target that cannot be is an I/O error and is left alone", "[formats][atomic_file]") {
  const TemporaryFolder folder;
  const auto refused = [](const std::filesystem::path& path, std::string_view reason) {
    CAPTURE(path);
    require_error(ErrorKind::io, {path.native(), "cannot be written", reason},
                  [&] { put(path, "x"); });
  };
  std::filesystem::create_directory(folder / "folder");
  refused(folder / "folder", "Is a directory");
  refused(folder / "no" / "such" / "file", "No such file");
  write_file(folder / "file", "old");
  refused(folder / "file" / "below", "Not a directory");
  refused("/dev/full", "not a regular file");
  REQUIRE(std::filesystem::is_character_file("/dev/full"));
  refused("/proc/attn-test", "");  // a folder where nobody may create a file
  refused("", "");
  REQUIRE(read_file(folder / "file") == "old");
  REQUIRE(folder.entries() == 2);
}

TEST_CASE("a write that fails half-way leaves the old file and no temporary",
          "[formats][atomic_file]") {
  const TemporaryFolder folder;
  write_file(folder / "a", "old");
  // files of this process may not grow over 4 KiB: to the writer a full disk
  rlimit old{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &old) == 0);
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{4096, old.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  std::string message;
  try {
    put(folder / "a", std::string(10'000, 'x'));
  } catch (const attn::Error& error) {
    if (error.kind() == ErrorKind::io) message = error.what();
  }
  ::setrlimit(RLIMIT_FSIZE, &old);
  ::signal(SIGXFSZ, handler);
  REQUIRE(message.find("File too large") != std::string::npos);
  REQUIRE(read_file(folder / "a") == "old");
  REQUIRE(folder.entries() == 1);
}
