#include "runtime/formats/safetensors_writer.hpp"

#include "attn/error.hpp"
#include "runtime/formats/checked.hpp"
#include "runtime/formats/json.hpp"
#include "runtime/formats/safetensors_check.hpp"
#include "runtime/formats/text.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <new>
#include <set>
#include <vector>
#include <xxhash.h>

namespace attn::runtime {
namespace {

constexpr std::size_t alignment = 64;  // a cache line, and the widest vector
constexpr std::size_t prefix_size = 8;
constexpr const char* metadata_key = "__metadata__";

/// The largest power of two up to 64 that divides the size.
std::size_t size_alignment(std::size_t size) {
  return size % alignment == 0 ? alignment : size & (~size + 1);
}

void check(std::span<const TensorEntry> tensors, const std::map<std::string, std::string>& metadata,
           const std::string& name) {
  const auto refuse = [&](const std::string& why) {
    throw Error(ErrorKind::invalid, name + ": " + why);
  };
  if (metadata.contains("")) refuse("the metadata has an empty key");
  std::set<std::string_view> names;
  for (const TensorEntry& tensor : tensors) {
    const std::string where = "tensor " + quote(tensor.name);
    if (tensor.name.empty()) refuse("a tensor has an empty name");
    if (tensor.name == metadata_key) refuse(where + ": the name is reserved");
    if (!names.insert(tensor.name).second) refuse(where + " is given twice");
    if (tensor.shape.size() > most_dimensions) {
      refuse(where + ": has " + std::to_string(tensor.shape.size()) +
             " dimensions, above the limit of " + std::to_string(most_dimensions));
    }
    if (dtype_block(tensor.dtype) != 1) {
      refuse(where + ": " + std::string(dtype_name(tensor.dtype)) +
             " is a block format; its bytes are written as U8");
    }
    const auto elements = checked_elements(tensor.shape);
    const auto size = elements ? checked_multiply(static_cast<std::uint64_t>(*elements),
                                                  std::uint64_t{dtype_size(tensor.dtype)})
                               : std::nullopt;
    if (!size || *size != tensor.data.size()) {
      refuse(where + ": " + std::string(dtype_name(tensor.dtype)) + " of shape " +
             shape_text(tensor.shape) + " does not have " + std::to_string(tensor.data.size()) +
             " bytes");
    }
  }
}

std::uint64_t checksum_of(std::span<const TensorEntry* const> tensors) {
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(),
                                                                       &XXH3_freeState);
  if (!state) throw std::bad_alloc();
  XXH3_64bits_reset(state.get());
  for (const TensorEntry* tensor : tensors) {
    XXH3_64bits_update(state.get(), tensor->data.data(), tensor->data.size());
  }
  return XXH3_64bits_digest(state.get());
}

/// The length prefix and the padded header.
std::string header_bytes(const std::map<std::string, std::string>& metadata,
                         std::span<const TensorEntry* const> tensors, const std::string& name) {
  OrderedJson header = OrderedJson::object();
  header[metadata_key] = metadata;
  std::uint64_t offset = 0;
  for (const TensorEntry* tensor : tensors) {
    const std::uint64_t end = offset + tensor->data.size();
    // appended, not looked up: operator[] of an ordered object searches all before it
    auto& members = header.get_ref<OrderedJson::object_t&>();
    members.emplace_back(tensor->name, OrderedJson::object());
    OrderedJson& about = members.back().second;
    about["dtype"] = dtype_name(tensor->dtype);
    about["shape"] = tensor->shape;
    about["data_offsets"] = std::array{offset, end};
    offset = end;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const OrderedJson::type_error&) {
    throw Error(ErrorKind::invalid, name + ": a tensor's name or the metadata is not valid UTF-8");
  }
  text.append((alignment - (prefix_size + text.size()) % alignment) % alignment, ' ');
  if (text.size() > largest_header) {
    throw Error(ErrorKind::invalid, name + ": the header would be " + std::to_string(text.size()) +
                                        " bytes long, above the limit of " +
                                        std::to_string(largest_header));
  }
  std::string prefix;
  for (unsigned shift = 0; shift < 64; shift += 8)
    prefix += static_cast<char>(text.size() >> shift);
  return prefix + text;
}

struct Contents {
  std::string header;
  std::vector<const TensorEntry*> order;

  void append_to(AtomicFile& file) const {
    file.write(std::as_bytes(std::span(header)));
    for (const TensorEntry* tensor : order) file.write(tensor->data);
  }
};

Contents contents_of(const std::string& name, const std::map<std::string, std::string>& metadata,
                     std::span<const TensorEntry> tensors) {
  check(tensors, metadata, name);

  std::vector<const TensorEntry*> order;
  for (const TensorEntry& tensor : tensors) order.push_back(&tensor);
  std::stable_sort(order.begin(), order.end(), [](const TensorEntry* a, const TensorEntry* b) {
    return size_alignment(a->data.size()) > size_alignment(b->data.size());
  });

  std::map<std::string, std::string> complete = metadata;
  complete[version_key] = std::to_string(format_version);
  complete[checksum_key] = checksum_text(checksum_of(order));
  return {header_bytes(complete, order, name), std::move(order)};
}

}  // namespace

void write_safetensors(const std::filesystem::path& path,
                       const std::map<std::string, std::string>& metadata,
                       std::span<const TensorEntry> tensors) {
  const Contents contents = contents_of(path_text(path), metadata, tensors);
  AtomicFile file(path);
  contents.append_to(file);
  file.commit();
}

void append_safetensors(AtomicFile& file, const std::filesystem::path& path,
                        const std::map<std::string, std::string>& metadata,
                        std::span<const TensorEntry> tensors) {
  contents_of(path_text(path), metadata, tensors).append_to(file);
}

}  // namespace attn::runtime
