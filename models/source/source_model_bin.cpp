// Our own container (docs/model-format.md).

#include "attn/error.hpp"
#include "models/source/source.hpp"
#include "runtime/formats/checked.hpp"
#include "runtime/formats/json.hpp"
#include "runtime/formats/text.hpp"
#include "runtime/stored.hpp"

#include <algorithm>

namespace attn::models {
namespace {

using runtime::DType;
using runtime::Json;
using runtime::TensorEntry;

// Gives the tensors that hold block formats their type and shape.
void describe_blocks(Source& source) {
  if (!source.metadata.has(quantized_key)) return;
  const std::string where = source.name + ": metadata '" + std::string(quantized_key) + "'";
  const Json all = runtime::parse_json(source.metadata.text(quantized_key), where);
  if (!all.is_object()) {
    throw Error(ErrorKind::invalid, where + ": is " + runtime::json_text(all) + ", not an object");
  }
  for (const auto& [name, described] : all.items()) {
    const std::string field = where + ": " + runtime::quote(name);
    const auto tensor =
        std::find_if(source.tensors.begin(), source.tensors.end(),
                     [&wanted = name](const TensorEntry& e) { return e.name == wanted; });
    if (tensor == source.tensors.end()) {
      throw Error(ErrorKind::invalid, field + ": there is no such tensor");
    }
    const std::string& type =
        runtime::json_string(runtime::json_member(described, "type", field), field + ": type");
    const auto dtype = runtime::dtype_from_name(type);
    if (!dtype || runtime::dtype_block(*dtype) == 1 || tensor->dtype != DType::u8) {
      throw Error(ErrorKind::invalid,
                  field + ": type " + runtime::quote(type) + " in a tensor of " +
                      std::string(runtime::dtype_name(tensor->dtype)) + "; blocks stand in U8");
    }
    std::vector<std::int64_t> shape;
    const Json& dims = runtime::json_member(described, "shape", field);
    for (const Json& dim : dims) shape.push_back(runtime::json_size(dim, field + ": shape"));
    const auto elements = runtime::checked_elements(shape);
    const bool whole =
        elements && !shape.empty() && shape.back() % runtime::dtype_block(*dtype) == 0;
    if (!whole || runtime::dtype_bytes(*dtype, *elements) != tensor->data.size()) {
      std::string problem = field + ": " + type + " of shape " + runtime::shape_text(shape);
      problem += " does not have " + std::to_string(tensor->data.size()) + " bytes";
      throw Error(ErrorKind::invalid, problem);
    }
    tensor->dtype = *dtype;
    tensor->shape = std::move(shape);
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
  describe_blocks(source);
  return source;
}

}  // namespace attn::models
