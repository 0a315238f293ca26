// Every way to shorten a model file, and every bit of it turned over: tiny models of three
// architectures in each format, as an application opens them. By default a few seconds of it;
// ATTN_SWEEP=whole tries all.

#include "fuzz/opened.hpp"
#include "support/files.hpp"
#include "support/gguf_model.hpp"
#include "support/small_models.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

using namespace attn;
using namespace attn::test;

namespace {

constexpr const char* architectures[] = {"llama", "qwen2", "bert"};

bool whole() {
  const char* const asked = std::getenv("ATTN_SWEEP");
  return asked != nullptr && std::string(asked) == "whole";
}

enum class Outcome { opened, refused };

// Opens, and where that works does what an application would. Anything but attn::Error(invalid)
// fails the test.
template <class Open>
Outcome outcome(Open&& open, bool used) {
  try {
    Model model = open();
    if (used) fuzz::use(model);
    return Outcome::opened;
  } catch (const Error& error) {
    const std::string message = error.what();
    if (error.kind() != ErrorKind::invalid || message.find('\n') != std::string::npos) {
      CAPTURE(message);
      CHECK(error.kind() == ErrorKind::invalid);
      CHECK(message.find('\n') == std::string::npos);
    }
    return Outcome::refused;
  }
}

Outcome from_memory(const std::string& bytes, bool verify, bool used) {
  Options options = fuzz::fuzz_options();
  options.verify = verify;
  return outcome([&] { return Model::from_memory(bytes_of(bytes), "damaged", options); }, used);
}

/// A folder in the Hugging Face layout, one file of which changes.
class Folder {
 public:
  explicit Folder(const SmallModel& model) {
    write_file(folder_ / "config.json", config_json(model));
    write_file(folder_ / "model.safetensors", safetensors_file(model));
    write_file(folder_ / "tokenizer.json", tokenizer_json(model.tokenizer));
  }
  [[nodiscard]] std::string content(const char* name) const { return read_file(folder_ / name); }
  Outcome with(const char* name, const std::string& content, bool used) const {
    write_file(folder_ / name, content);
    return outcome([&] { return Model::open(folder_.path(), fuzz::fuzz_options()); }, used);
  }

 private:
  TemporaryFolder folder_;
};

// try_it(part) for every part of the file from its beginning; none is taken for a model.
template <class Try>
void refuse_every_part(const std::string& file, Try&& try_it) {
  REQUIRE(try_it(file) == Outcome::opened);
  std::vector<std::size_t> taken;
  for (std::size_t length = 0; length < file.size(); ++length) {
    // a copy of exactly this length, so that a sanitizer sees a read past its end
    if (try_it(std::string(file, 0, length)) == Outcome::opened) taken.push_back(length);
  }
  CAPTURE(taken);
  CHECK(taken.empty());
}

// try_it(damaged) for every bit, or every so manyth, turned over; must_refuse(byte) says where that
// has to be noticed. As many are tried in a quick sweep of each file:
constexpr std::size_t quick_flips = 3000;
template <class Try, class Must>
void flip_bits(const std::string& file, Try&& try_it, Must&& must_refuse) {
  const std::size_t bits = file.size() * 8;
  // an odd stride comes to each place in a byte
  const std::size_t stride = whole() ? 1 : std::max<std::size_t>(bits / quick_flips, 1) | 1;
  std::vector<std::size_t> missed;
  std::size_t refused = 0, tried = 0;
  for (std::size_t bit = 0; bit < bits; bit += stride) {
    std::string damaged = file;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
    const bool opened = try_it(damaged) == Outcome::opened;
    ++tried;
    refused += opened ? 0 : 1;
    if (opened && must_refuse(bit / 8)) missed.push_back(bit);
  }
  CAPTURE(missed);
  CHECK(missed.empty());
  CHECK(refused > 0);
  if (whole()) WARN(tried << " flips, " << refused << " refused");
}

constexpr auto nowhere = [](std::size_t) { return false; };

std::size_t header_size(const std::string& container) {
  std::size_t length = 0;
  for (std::size_t i = 8; i-- > 0;) length = length << 8 | static_cast<unsigned char>(container[i]);
  return 8 + length;
}

}  // namespace

TEST_CASE("a model.bin cut at any length is refused", "[sweep]") {
  for (const char* name : architectures) {
    INFO(name);
    refuse_every_part(model_bin(small_model(name)),
                      [](const std::string& part) { return from_memory(part, false, false); });
  }
}

TEST_CASE("a GGUF model cut at any length is refused", "[sweep]") {
  for (const char* name : architectures) {
    INFO(name);
    refuse_every_part(gguf_file(small_model(name)),
                      [](const std::string& part) { return from_memory(part, false, false); });
  }
}

TEST_CASE("a folder with any of its files cut at any length is refused", "[sweep]") {
  for (const char* name : architectures) {
    for (const char* file : {"model.safetensors", "config.json", "tokenizer.json"}) {
      INFO(name << " " << file);
      const Folder folder(small_model(name));
      refuse_every_part(folder.content(file),
                        [&](const std::string& part) { return folder.with(file, part, false); });
    }
  }
}

TEST_CASE("a bit turned over in a verified model.bin is noticed wherever the checksum reaches",
          "[sweep]") {
  for (const char* name : architectures) {
    INFO(name);
    const std::string file = model_bin(small_model(name));
    const std::size_t data = header_size(file);
    flip_bits(
        file, [](const std::string& damaged) { return from_memory(damaged, true, false); },
        [&](std::size_t byte) { return byte < 8 || byte >= data; });
  }
}

TEST_CASE("a bit turned over in a model.bin breaks nothing", "[sweep]") {
  for (const char* name : architectures) {
    INFO(name);
    flip_bits(
        model_bin(small_model(name)),
        [](const std::string& damaged) { return from_memory(damaged, false, true); }, nowhere);
  }
}

TEST_CASE("a bit turned over in a GGUF model breaks nothing", "[sweep]") {
  for (const char* name : architectures) {
    INFO(name);
    flip_bits(
        gguf_file(small_model(name)),
        [](const std::string& damaged) { return from_memory(damaged, false, true); }, nowhere);
  }
}

TEST_CASE("a bit turned over in any file of a folder breaks nothing", "[sweep]") {
  for (const char* name : architectures) {
    for (const char* file : {"model.safetensors", "config.json", "tokenizer.json"}) {
      DYNAMIC_SECTION(name << " " << file) {
        const Folder folder(small_model(name));
        flip_bits(
            folder.content(file),
            [&](const std::string& damaged) { return folder.with(file, damaged, true); }, nowhere);
      }
    }
  }
}
