#include "runtime/formats/safetensors.hpp"

#include "attn/error.hpp"
#include "runtime/formats/checked.hpp"
#include "runtime/formats/foreign.hpp"
#include "runtime/formats/json.hpp"
#include "runtime/formats/mapped_file.hpp"
#include "runtime/formats/safetensors_check.hpp"
#include "runtime/formats/text.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <tuple>
#include <utility>

namespace attn::runtime {

struct Safetensors::Contents {
  std::string name;
  std::optional<MappedFile> file;  // none if the bytes belong to someone else
  std::span<const std::byte> data;
  std::map<std::string, std::string> metadata;
  std::vector<TensorEntry> tensors;
  std::vector<std::size_t> by_name;  // places in `tensors`, ascending by name
};

namespace {

constexpr std::size_t prefix_size = 8;
constexpr const char* metadata_key = "__metadata__";
// The root, a tensor, its shape. A tensor takes at most 7 values beside its dimensions, and no
// known model has a tenth of the 300,000 tensors that this allows.
constexpr JsonLimits header_limits{3, 4'500'000};

[[noreturn]] void fail(const std::string& where, const std::string& why) {
  throw Error(ErrorKind::invalid, where + ": " + why);
}

std::uint64_t little_endian(std::span<const std::byte> bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = prefix_size; i-- > 0;)
    value = value << 8 | std::to_integer<unsigned>(bytes[i]);
  return value;
}

/// The header's text, its length checked against the limit and the file.
std::string_view header_text(std::span<const std::byte> bytes, const std::string& name) {
  const auto refuse = [&](const std::string& why) {
    const std::string_view hint = foreign_hint(bytes);
    fail(name, "not a safetensors container: " + why +
                   (hint.empty() ? std::string() : "; " + std::string(hint)));
  };
  if (bytes.size() < prefix_size) {
    refuse("the file has " + std::to_string(bytes.size()) +
           " bytes, fewer than the 8 of the header's length");
  }
  const std::uint64_t length = little_endian(bytes);
  const std::uint64_t present = bytes.size() - prefix_size;
  if (length > largest_header) {
    const std::string why = "the header's length at byte 0 is " + std::to_string(length) +
                            ", above the limit of " + std::to_string(largest_header);
    const bool swapped =
        __builtin_bswap64(length) <= present && bytes[prefix_size] == std::byte{'{'};
    refuse(why + (swapped ? "; its bytes are in big-endian order" : ""));
  }
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + prefix_size,
                              static_cast<std::size_t>(std::min(length, present)));
  if (length < 2) refuse("the header's length at byte 0 is " + std::to_string(length));
  if (!text.empty() && text.front() != '{') refuse("the header at byte 8 does not begin with '{'");
  if (length > present) {
    fail(name, "truncated: the header is " + std::to_string(length) + " bytes long, of which " +
                   std::to_string(length - present) + " are missing");
  }
  return text;
}

std::map<std::string, std::string> read_metadata(const Json& value, const std::string& name) {
  const std::string where = name + ": " + metadata_key;
  if (!value.is_object()) fail(where, "must be an object of strings, not " + json_text(value));
  std::map<std::string, std::string> metadata;
  for (const auto& [key, member] : value.items()) {
    if (key.empty()) fail(where, "has an empty key");
    metadata.emplace(key, json_string(member, where + ": " + quote(key)));
  }
  return metadata;
}

void check_metadata(const std::map<std::string, std::string>& metadata, const std::string& name) {
  if (const auto place = metadata.find(version_key); place != metadata.end()) {
    const std::string& text = place->second;
    std::uint64_t version = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, version);
    if (error != std::errc() || rest != end || version == 0) {
      fail(name, std::string(version_key) + ": not a version: " + quote(text));
    }
    if (version > format_version) {
      fail(name, std::string(version_key) + ": the file is of version " + std::to_string(version) +
                     ", this program reads up to version " + std::to_string(format_version));
    }
  }
  if (const auto place = metadata.find(checksum_key); place != metadata.end()) {
    if (!parse_checksum(place->second)) {
      fail(name, std::string(checksum_key) +
                     ": must be 'xxh3:' and 16 lower-case hexadecimal digits, not " +
                     quote(place->second));
    }
  }
}

/// A tensor as the header tells it, before its place is known to be good.
struct Claim {
  TensorEntry entry;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

Claim read_claim(const std::string& tensor, const Json& value, const std::string& name) {
  if (tensor.empty()) fail(name, "a tensor has an empty name");
  const std::string where = name + ": tensor " + quote(tensor);
  if (!value.is_object()) fail(where, "must be an object, not " + json_text(value));
  for (const auto& [key, member] : value.items()) {
    if (key != "dtype" && key != "shape" && key != "data_offsets") {
      fail(where, "has the unknown field " + quote(key));
    }
  }
  Claim claim;
  claim.entry.name = tensor;

  const std::string& type = json_string(json_member(value, "dtype", where), where + ": dtype");
  const std::optional<DType> dtype = dtype_from_name(type);
  // block formats have no place in this container: they travel as bytes (U8)
  if (!dtype || dtype_block(*dtype) != 1)
    fail(where, "dtype: the type " + quote(type) + " is unknown");
  claim.entry.dtype = *dtype;

  const Json& shape = json_member(value, "shape", where);
  if (!shape.is_array()) fail(where, "shape: must be an array, not " + json_text(shape));
  if (shape.size() > most_dimensions) {
    fail(where, "shape: has " + std::to_string(shape.size()) + " dimensions, above the limit of " +
                    std::to_string(most_dimensions));
  }
  for (const Json& dimension : shape) {
    claim.entry.shape.push_back(json_size(dimension, where + ": shape"));
  }
  const auto elements = checked_elements(claim.entry.shape);
  const auto size = elements ? checked_multiply(static_cast<std::uint64_t>(*elements),
                                                std::uint64_t{dtype_size(*dtype)})
                             : std::nullopt;
  if (!size)
    fail(where,
         "shape: " + shape_text(claim.entry.shape) + " has more elements than can be counted");

  const Json& offsets = json_member(value, "data_offsets", where);
  if (!offsets.is_array() || offsets.size() != 2) {
    fail(where, "data_offsets: must be an array of 2, not " + json_text(offsets));
  }
  claim.begin = static_cast<std::uint64_t>(json_size(offsets[0], where + ": data_offsets"));
  claim.end = static_cast<std::uint64_t>(json_size(offsets[1], where + ": data_offsets"));
  const std::string range =
      "[" + std::to_string(claim.begin) + ", " + std::to_string(claim.end) + "]";
  if (claim.begin > claim.end) fail(where, "data_offsets: " + range + " ends before it begins");
  if (claim.end - claim.begin != *size) {
    fail(where, "data_offsets: " + range + " are " + std::to_string(claim.end - claim.begin) +
                    " bytes, but " + std::string(dtype_name(*dtype)) + " of shape " +
                    shape_text(claim.entry.shape) + " has " + std::to_string(*size));
  }
  return claim;
}

/// Sorts the claims by place and checks that they cover the data from its first byte to its last.
void check_places(std::vector<Claim>& claims, std::uint64_t data_size, const std::string& name) {
  std::sort(claims.begin(), claims.end(), [](const Claim& a, const Claim& b) {
    return std::tie(a.begin, a.end, a.entry.name) < std::tie(b.begin, b.end, b.entry.name);
  });
  const auto named = [](const Claim& claim) { return "tensor " + quote(claim.entry.name); };
  std::uint64_t covered = 0;
  for (std::size_t i = 0; i < claims.size(); ++i) {
    const Claim& claim = claims[i];
    if (claim.begin < covered) {
      fail(name, named(claim) + ": data_offsets: begins at " + std::to_string(claim.begin) +
                     ", inside " + named(claims[i - 1]) + ", which ends at " +
                     std::to_string(covered));
    }
    if (claim.begin > covered) {
      fail(name, named(claim) + ": data_offsets: begins at " + std::to_string(claim.begin) +
                     " and leaves a gap of " + std::to_string(claim.begin - covered) +
                     " bytes that no tensor covers");
    }
    covered = claim.end;
  }
  if (covered > data_size) {
    const auto cut = std::find_if(claims.begin(), claims.end(),
                                  [&](const Claim& claim) { return claim.end > data_size; });
    fail(name, "truncated: " + named(*cut) + " ends at " + std::to_string(cut->end) +
                   " and all data at " + std::to_string(covered) + ", but the file holds " +
                   std::to_string(data_size) +
                   " bytes of data: " + std::to_string(covered - data_size) + " are missing");
  }
  if (covered < data_size) {
    fail(name, std::to_string(data_size - covered) +
                   " trailing bytes after the last tensor, which ends at " +
                   std::to_string(covered));
  }
}

}  // namespace

Safetensors::Safetensors(std::shared_ptr<const Contents> contents) noexcept
    : contents_(std::move(contents)) {}

Safetensors Safetensors::open(const std::filesystem::path& path) {
  return of(MappedFile::open(path), path_text(path));
}

Safetensors Safetensors::of(MappedFile file, std::string name) {
  auto contents = std::make_shared<Contents>();
  contents->name = std::move(name);
  contents->file = std::move(file);
  const std::span<const std::byte> bytes = contents->file->bytes();
  return read(std::move(contents), bytes);
}

Safetensors Safetensors::from_memory(std::span<const std::byte> bytes, std::string name) {
  auto contents = std::make_shared<Contents>();
  contents->name = std::move(name);
  if (bytes.empty()) fail(contents->name, "the file is empty");
  return read(std::move(contents), bytes);
}

Safetensors Safetensors::read(std::shared_ptr<Contents> contents,
                              std::span<const std::byte> bytes) {
  const std::string& name = contents->name;
  const std::string_view text = header_text(bytes, name);
  const Json header = parse_json(text, name + ": header", header_limits);
  contents->data = bytes.subspan(prefix_size + text.size());

  std::vector<Claim> claims;
  for (const auto& [key, value] : header.items()) {
    if (key == metadata_key) {
      contents->metadata = read_metadata(value, name);
    } else {
      claims.push_back(read_claim(key, value, name));
    }
  }
  check_metadata(contents->metadata, name);
  check_places(claims, contents->data.size(), name);

  for (Claim& claim : claims) {
    claim.entry.data = contents->data.subspan(claim.begin, claim.end - claim.begin);
    contents->by_name.push_back(contents->tensors.size());
    contents->tensors.push_back(std::move(claim.entry));
  }
  const auto& tensors = contents->tensors;
  std::sort(contents->by_name.begin(), contents->by_name.end(),
            [&](std::size_t a, std::size_t b) { return tensors[a].name < tensors[b].name; });
  return Safetensors(std::move(contents));
}

const std::string& Safetensors::name() const noexcept { return contents_->name; }

const std::map<std::string, std::string>& Safetensors::metadata() const noexcept {
  return contents_->metadata;
}

std::span<const TensorEntry> Safetensors::tensors() const noexcept { return contents_->tensors; }

const TensorEntry* Safetensors::find(std::string_view name) const noexcept {
  const auto& tensors = contents_->tensors;
  const auto& order = contents_->by_name;
  const auto place =
      std::lower_bound(order.begin(), order.end(), name,
                       [&](std::size_t i, std::string_view key) { return tensors[i].name < key; });
  if (place == order.end() || tensors[*place].name != name) return nullptr;
  return &tensors[*place];
}

void Safetensors::verify() const {
  if (const auto place = metadata().find(checksum_key); place != metadata().end()) {
    const std::string found = checksum_text(data_checksum(contents_->data));
    if (found != place->second) {
      fail(name(), std::string(checksum_key) + ": the file says " + place->second +
                       ", its data has " + found + ": the file is damaged");
    }
  }
  for (const TensorEntry& tensor : tensors()) require_finite(tensor, name());
}

}  // namespace attn::runtime
