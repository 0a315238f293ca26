#include "runtime/formats/sharded.hpp"

#include "attn/error.hpp"
#include "runtime/formats/json.hpp"
#include "runtime/formats/mapped_file.hpp"
#include "runtime/formats/text.hpp"

#include <map>

namespace attn::runtime {
namespace {

// A shard is a file of the same folder, by its name alone; a link may only lead to such a file.
void check_name(const std::filesystem::path& folder, const std::string& name,
                const std::string& where) {
  const std::filesystem::path path(name);
  if (name.empty() || path.filename() != path || name == "." || name == "..") {
    throw Error(ErrorKind::invalid,
                where + ": the shard " + quote(name) + " is no file name of this folder");
  }
  std::error_code error;
  const auto resolved = std::filesystem::canonical(folder / path, error);
  if (error == std::errc::no_such_file_or_directory) return;  // who opens it will say so
  const auto home = error ? folder : std::filesystem::canonical(folder, error);
  if (error) {
    throw Error(ErrorKind::io, path_text(folder / path) + ": cannot be read: " + error.message());
  }
  if (resolved.parent_path() != home) {
    throw Error(ErrorKind::invalid,
                where + ": the shard " + quote(name) + " is a link that leads out of this folder");
  }
}

}  // namespace

Sharded Sharded::open(const std::filesystem::path& folder) {
  Sharded sharded;
  const std::filesystem::path index = folder / "model.safetensors.index.json";
  if (!there_is(index)) {
    sharded.files_.push_back(Safetensors::open(folder / "model.safetensors"));
    const auto tensors = sharded.files_.front().tensors();
    sharded.tensors_.assign(tensors.begin(), tensors.end());
    return sharded;
  }
  const std::string where = path_text(index);
  const MappedFile file = MappedFile::open(index);
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()),
                              file.bytes().size());
  const Json root = parse_json(text, where);
  const Json& map = json_member(root, "weight_map", where);
  if (!map.is_object()) {
    throw Error(ErrorKind::invalid, where + ": weight_map: is " + json_text(map));
  }
  std::map<std::string, std::size_t> shards;
  for (const auto& [tensor, value] : map.items()) {
    const std::string& name = json_string(value, where + ": weight_map: " + quote(tensor));
    if (!shards.contains(name)) {
      check_name(folder, name, where);
      if (!there_is(folder / name)) {
        throw Error(ErrorKind::invalid, where + ": the shard " + quote(name) + " is missing");
      }
      shards.emplace(name, sharded.files_.size());
      sharded.files_.push_back(Safetensors::open(folder / name));
    }
    const Safetensors& shard = sharded.files_[shards.at(name)];
    const TensorEntry* const entry = shard.find(tensor);
    if (entry == nullptr) {
      throw Error(ErrorKind::invalid,
                  where + ": tensor " + quote(tensor) + " is not in its shard " + quote(name));
    }
    sharded.tensors_.push_back(*entry);
  }
  for (const auto& [name, at] : shards) {
    for (const TensorEntry& entry : sharded.files_[at].tensors()) {
      const auto named = map.find(entry.name);
      if (named != map.end() && named->get<std::string>() == name) continue;
      throw Error(ErrorKind::invalid, where + ": the shard " + quote(name) + " holds tensor " +
                                          quote(entry.name) + ", which the index does not say");
    }
  }
  return sharded;
}

void Sharded::verify() const {
  for (const Safetensors& file : files_) file.verify();
}

}  // namespace attn::runtime
