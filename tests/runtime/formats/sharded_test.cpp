#include "runtime/formats/sharded.hpp"

#include "runtime/formats/safetensors_writer.hpp"
#include "support/files.hpp"

#include <catch2/catch.hpp>

#include <array>

using namespace attn;
using namespace attn::test;
using runtime::DType;
using runtime::Sharded;

namespace {

void write_shard(const std::filesystem::path& path, const std::vector<std::string>& names) {
  static constexpr std::array<float, 2> values{1, 2};
  std::vector<runtime::TensorEntry> entries;
  for (const std::string& name : names) {
    entries.push_back({name, DType::f32, {2}, std::as_bytes(std::span(values))});
  }
  runtime::write_safetensors(path, {}, entries);
}

void write_index(const TemporaryFolder& folder, const std::string& map) {
  write_file(folder / "model.safetensors.index.json", "{\"weight_map\": " + map + "}");
}

void refuses(const TemporaryFolder& folder, std::initializer_list<std::string_view> parts) {
  require_error(ErrorKind::invalid, parts, [&] { (void)Sharded::open(folder.path()); });
}

}  // namespace

TEST_CASE("shards are one set of tensors", "[sharded]") {
  const TemporaryFolder folder;
  write_shard(folder / "one.safetensors", {"a", "b"});
  write_shard(folder / "two.safetensors", {"c"});
  write_index(folder,
              R"({"a": "one.safetensors", "b": "one.safetensors", "c": "two.safetensors"})");
  const Sharded sharded = Sharded::open(folder.path());
  REQUIRE(sharded.tensors().size() == 3);
  CHECK(sharded.tensors()[2].name == "c");
  CHECK_NOTHROW(sharded.verify());
  const TemporaryFolder alone;
  write_shard(alone / "model.safetensors", {"a"});
  CHECK(Sharded::open(alone.path()).tensors().size() == 1);
  const TemporaryFolder empty;
  require_error(ErrorKind::io, {"model.safetensors"}, [&] { (void)Sharded::open(empty.path()); });
}

TEST_CASE("an index that leads astray is refused", "[sharded][damage]") {
  const TemporaryFolder folder, other;
  write_shard(folder / "one.safetensors", {"a", "b"});
  write_shard(other / "outside.safetensors", {"a", "b"});
  const std::string outside = (other / "outside.safetensors").string();
  write_index(folder, "{\"a\": \"" + outside + "\"}");
  refuses(folder, {"index.json", "no file name of this folder"});
  write_index(folder, R"({"a": "../x/outside.safetensors"})");
  refuses(folder, {"../x", "no file name of this folder"});
  write_index(folder, R"({"a": ".."})");
  refuses(folder, {"no file name of this folder"});
  std::filesystem::create_symlink(outside, folder / "link.safetensors");
  write_index(folder, R"({"a": "link.safetensors", "b": "link.safetensors"})");
  refuses(folder, {"link.safetensors", "leads out of this folder"});
  write_index(folder, R"({"a": "absent.safetensors"})");
  refuses(folder, {"absent.safetensors", "missing"});
  write_index(folder, R"({"a": "one.safetensors"})");
  refuses(folder, {"one.safetensors", "\"b\"", "does not say"});
  write_index(folder,
              R"({"a": "one.safetensors", "b": "one.safetensors", "c": "one.safetensors"})");
  refuses(folder, {"\"c\"", "not in its shard"});
  write_index(folder, R"({"a": "one.safetensors", "a": "one.safetensors"})");
  refuses(folder, {"index.json", "twice"});
  write_index(folder, R"([])");
  refuses(folder, {"weight_map"});
  write_index(folder, R"({"a": 3})");
  refuses(folder, {"weight_map"});
}
