#include "runtime/formats/mapped_file.hpp"

#include "support/files.hpp"

#include <cstring>
#include <string>
#include <sys/stat.h>
#include <utility>

using attn::ErrorKind;
using attn::runtime::MappedFile;
using namespace attn::test;

TEST_CASE("a mapped file shows its bytes, also after a move and without its name",
          "[formats][mapped_file]") {
  const TemporaryFolder folder;
  write_file(folder / "a", std::string("one\0two", 7));
  MappedFile first = MappedFile::open(folder / "a");
  std::filesystem::remove(folder / "a");
  const MappedFile second = std::move(first);
  REQUIRE(second.bytes().size() == 7);
  REQUIRE(std::memcmp(second.bytes().data(), "one\0two", 7) == 0);
}

TEST_CASE("bytes that are said to be streamed stay what they are", "[formats][mapped_file]") {
  const TemporaryFolder folder;
  std::string content(3 << 20, 'x');
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 31 >> 3);
  write_file(folder / "a", content);
  const MappedFile file = MappedFile::open(folder / "a");
  attn::runtime::advise_streamed(file.bytes().subspan(5, content.size() - 9));
  attn::runtime::advise_streamed({});
  CHECK(std::memcmp(file.bytes().data(), content.data(), content.size()) == 0);
}

TEST_CASE("what is no readable file is an I/O error naming path and reason",
          "[formats][mapped_file]") {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& name, std::string_view reason) {
    require_error(ErrorKind::io, {name, reason}, [&] { (void)MappedFile::open(folder / name); });
  };
  refused("missing", "No such file or directory");
  std::filesystem::create_directory(folder / "folder");
  refused("folder", "Is a directory");
  REQUIRE(::mkfifo((folder / "fifo").c_str(), 0600) == 0);
  refused("fifo", "not a regular file");  // and returns, though nobody writes to it
  write_file(folder / "file", "x");
  refused("file/below", "Not a directory");
  std::filesystem::create_symlink("loop", folder / "loop");
  refused("loop", "Too many levels of symbolic links");
  refused(std::string(300, 'n'), "File name too long");
  require_error(ErrorKind::io, {"/dev/null", "not a regular file"},
                [] { (void)MappedFile::open("/dev/null"); });
}

TEST_CASE("an unreadable file is an I/O error", "[formats][mapped_file]") {
  // root may read everything, but no one gets to the end of a link to itself
  const TemporaryFolder folder;
  std::filesystem::create_symlink("a", folder / "a");
  require_error(ErrorKind::io, {"symbolic links"}, [&] { (void)MappedFile::open(folder / "a"); });
}

TEST_CASE("an empty file is invalid", "[formats][mapped_file]") {
  const TemporaryFolder folder;
  write_file(folder / "empty", "");
  require_error(ErrorKind::invalid, {"empty"}, [&] { (void)MappedFile::open(folder / "empty"); });
}

TEST_CASE("a path with a line break is shown on one line", "[formats][mapped_file]") {
  require_error(ErrorKind::io, {"/no\\nsuch"}, [] { (void)MappedFile::open("/no\nsuch"); });
}
