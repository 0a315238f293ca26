// Our own container (docs/model-format.md).

#include "attn/error.hpp"
#include "models/source/source.hpp"
#include "runtime/formats/checked.hpp"
#include "runtime/formats/json.hpp"
#include "runtime/formats/safetensors_check.hpp"
#include "runtime/formats/text.hpp"
#include "runtime/stored.hpp"
#include "runtime/tiled.hpp"

#include <algorithm>

namespace attn::models {
namespace {

using runtime::DType;
using runtime::Json;
using runtime::TensorEntry;

// What a key's JSON says of one tensor of bytes.
struct Described {
  TensorEntry* tensor = nullptr;
  std::string field;  // for messages
  std::string type;
  DType dtype = DType::u8;
  std::vector<std::int64_t> shape;
  const Json* all = nullptr;
};

[[noreturn]] void fail(const std::string& field, const std::string& problem) {
  throw Error(ErrorKind::invalid, field + ": " + problem);
}

Described described_by(const std::string& name, const Json& value, const std::string& where,
                       Source& source) {
  Described d;
  d.field = where + ": " + runtime::quote(name);
  d.all = &value;
  const auto tensor = std::find_if(source.tensors.begin(), source.tensors.end(),
                                   [&](const TensorEntry& e) { return e.name == name; });
  if (tensor == source.tensors.end()) fail(d.field, "there is no such tensor");
  d.tensor = &*tensor;
  d.type = runtime::json_string(runtime::json_member(value, "type", d.field), d.field + ": type");
  const auto dtype = runtime::dtype_from_name(d.type);
  if (!dtype || !runtime::storage_only(*dtype)) {
    fail(d.field, "type " + runtime::quote(d.type) + " is none that weights are stored in");
  }
  if (tensor->dtype != DType::u8) {
    fail(d.field, "type " + runtime::quote(d.type) + " in a tensor of " +
                      std::string(runtime::dtype_name(tensor->dtype)) + "; its bytes stand in U8");
  }
  d.dtype = *dtype;
  const Json& dims = runtime::json_member(value, "shape", d.field);
  if (!dims.is_array() || dims.size() > runtime::most_dimensions) {
    fail(d.field, "shape: must be an array of at most " + std::to_string(runtime::most_dimensions) +
                      ", not " + runtime::json_text(dims));
  }
  for (const Json& dim : dims) d.shape.push_back(runtime::json_size(dim, d.field + ": shape"));
  return d;
}

// Gives the tensors that hold block formats their type and shape.
void take_blocks(const Described& d) {
  if (runtime::dtype_block(d.dtype) == 1) {
    fail(d.field, "type " + runtime::quote(d.type) + " is no block format");
  }
  const auto elements = runtime::checked_elements(d.shape);
  const bool whole =
      elements && !d.shape.empty() && d.shape.back() % runtime::dtype_block(d.dtype) == 0;
  if (!whole || runtime::dtype_bytes(d.dtype, *elements) != d.tensor->data.size()) {
    fail(d.field, d.type + " of shape " + runtime::shape_text(d.shape) + " does not have " +
                      std::to_string(d.tensor->data.size()) + " bytes");
  }
}

// And those that hold tiles.
void take_tiles(const Described& d) {
  const std::string& layout =
      runtime::json_string(runtime::json_member(*d.all, "layout", d.field), d.field + ": layout");
  if (layout != runtime::tiles_name) {
    fail(d.field, "layout " + runtime::quote(layout) + " is not known here, which reads " +
                      std::string(runtime::tiles_name));
  }
  const std::string what = d.type + " of shape " + runtime::shape_text(d.shape);
  const auto bytes = runtime::tiled_size(d.dtype, d.shape);
  if (!bytes) fail(d.field, what + " cannot stand in tiles");
  if (*bytes != d.tensor->data.size()) {
    fail(d.field, what + " has " + std::to_string(*bytes) + " bytes in tiles, the tensor " +
                      std::to_string(d.tensor->data.size()));
  }
  if (!runtime::pads_with_zeros(d.dtype, d.shape, d.tensor->data)) {
    fail(d.field, what + " has numbers other than 0 in columns beyond the last");
  }
  d.tensor->layout = runtime::WeightLayout::tiles;
}

void describe(Source& source, const char* key, void (*take)(const Described&)) {
  if (!source.metadata.has(key)) return;
  const std::string where = source.name + ": metadata '" + key + "'";
  const Json all = runtime::parse_json(source.metadata.text(key), where);
  if (!all.is_object()) fail(where, "is " + runtime::json_text(all) + ", not an object");
  for (const auto& [name, value] : all.items()) {
    Described d = described_by(name, value, where, source);
    take(d);
    d.tensor->dtype = d.dtype;
    d.tensor->shape = std::move(d.shape);
  }
}

// Tiles are the same for every level, so what they were packed for runs everywhere; it has to be a
// level all the same.
void check_level(const Source& source) {
  if (!source.metadata.has(packed_key)) return;
  const std::string where = source.name + ": metadata '" + packed_for_key + "'";
  if (!source.metadata.has(packed_for_key)) fail(where, "is missing beside 'attn.packed'");
  check_packed_for(source.metadata.text(packed_for_key), ErrorKind::invalid, where + ": ");
}

// The container holds these as bytes, which it does not look into.
void require_finite_tiles(const Source& source) {
  for (const TensorEntry& entry : source.tensors) {
    if (entry.layout != runtime::WeightLayout::tiles || runtime::dtype_block(entry.dtype) != 1) {
      continue;
    }
    const std::vector<std::byte> rows = runtime::to_rows(entry.dtype, entry.shape, entry.data);
    runtime::require_finite({entry.name, entry.dtype, entry.shape, rows}, source.name);
  }
}

}  // namespace

Source source_of(const runtime::Safetensors& file, bool verify) {
  if (verify) file.verify();
  Source source;
  source.name = file.name();
  source.metadata = Metadata(file.metadata());
  source.keep_alive = std::make_shared<runtime::Safetensors>(file);
  for (const TensorEntry& entry : file.tensors()) {
    if (entry.name != tokenizer_tensor) {
      source.tensors.push_back(entry);
      continue;
    }
    const std::string_view text(reinterpret_cast<const char*>(entry.data.data()),
                                entry.data.size());
    // the tensor is padded with blanks, which JSON allows
    source.tokenizer = tokenizer_spec_from_json(text, file.name() + ": tensor 'attn.tokenizer'");
  }
  describe(source, quantized_key, take_blocks);
  check_level(source);
  describe(source, packed_key, take_tiles);
  if (verify) require_finite_tiles(source);
  return source;
}

}  // namespace attn::models
