#include "runtime/formats/gguf.hpp"

#include "attn/error.hpp"
#include "runtime/formats/checked.hpp"
#include "runtime/formats/foreign.hpp"
#include "runtime/formats/gguf_cursor.hpp"
#include "runtime/formats/mapped_file.hpp"
#include "runtime/formats/text.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <map>
#include <unordered_map>

namespace attn::runtime {
namespace {

constexpr std::string_view magic = "GGUF";
constexpr std::uint32_t oldest_version = 2, newest_version = 3;
constexpr std::uint64_t most_gguf_dimensions = 4;  // as the format has it
constexpr std::uint64_t default_alignment = 32;    // where general.alignment is absent
constexpr std::uint64_t largest_alignment = 1 << 20;
// The fewest bytes that a tensor (name's length, a dimension, type, offset) and a key (length,
// type, a byte) take: no more of them can be there than the file has room for.
constexpr std::uint64_t least_tensor_bytes = 32, least_key_bytes = 13;

struct TypeRow {
  std::uint32_t number;
  DType dtype;
};
// ggml's numbers, from enum ggml_type
constexpr std::array<TypeRow, 11> types{{{0, DType::f32},
                                         {1, DType::f16},
                                         {2, DType::q4_0},
                                         {3, DType::q4_1},
                                         {6, DType::q5_0},
                                         {7, DType::q5_1},
                                         {8, DType::q8_0},
                                         {12, DType::q4_k},
                                         {13, DType::q5_k},
                                         {14, DType::q6_k},
                                         {30, DType::bf16}}};

struct Value {
  GgufType type{};  // of an array's elements, where it is one
  bool array = false;
  std::uint64_t count = 1;
  std::uint64_t offset = 0;          // in the file, for messages
  std::span<const std::byte> bytes;  // the elements; of strings with their lengths
};

struct Claim {
  TensorEntry entry;
  std::uint64_t offset = 0, size = 0;
};

std::string type_text(const Value& value) {
  return (value.array ? "array of " : "") + std::string(gguf_type_name(value.type));
}

GgufType value_type(GgufCursor& cursor, const std::string& what) {
  const std::uint64_t at = cursor.offset();
  const std::uint32_t type = cursor.u32(what);
  if (type >= gguf_type_count) {
    cursor.fail(what, "value type " + std::to_string(type) + " is unknown", at);
  }
  return static_cast<GgufType>(type);
}

Value read_value(GgufCursor& cursor, const std::string& what) {
  Value value;
  value.type = value_type(cursor, what);
  value.offset = cursor.offset();
  if (value.type == GgufType::array) {
    value.array = true;
    value.type = value_type(cursor, what);
    if (value.type == GgufType::array) {
      cursor.fail(what, "an array of arrays", value.offset);
    }
    value.count = cursor.u64(what);
  }
  if (value.type != GgufType::string) {
    const auto size = checked_multiply(value.count, gguf_type_size(value.type));
    if (!size) {
      cursor.fail(what, std::to_string(value.count) + " elements are more than can be counted",
                  value.offset);
    }
    value.bytes = cursor.take(*size, what);
    return value;
  }
  if (!value.array) {
    const std::string_view text = cursor.text(what);
    value.bytes = std::as_bytes(std::span(text));
    return value;
  }
  if (value.count > cursor.rest() / sizeof(std::uint64_t)) {
    cursor.fail(what,
                std::to_string(value.count) + " strings, and " + std::to_string(cursor.rest()) +
                    " bytes remain",
                value.offset);
  }
  // read once to find where they end
  GgufCursor copy = cursor;
  for (std::uint64_t i = 0; i < value.count; ++i) (void)copy.text(what);
  value.bytes = cursor.take(copy.offset() - cursor.offset(), what);
  return value;
}

Claim read_tensor(GgufCursor& cursor, std::uint64_t index) {
  const std::uint64_t begin = cursor.offset();
  const std::string_view name = cursor.text("the name of tensor " + std::to_string(index));
  const std::string what = "tensor " + quote(name);
  if (name.empty()) cursor.fail("tensor " + std::to_string(index), "the name is empty", begin);
  const std::uint64_t shape_at = cursor.offset();
  const std::uint32_t rank = cursor.u32(what);
  if (rank > most_gguf_dimensions) {
    cursor.fail(what,
                std::to_string(rank) + " dimensions, above the limit of " +
                    std::to_string(most_gguf_dimensions),
                shape_at);
  }
  Claim claim;
  claim.entry.name = name;
  for (std::uint32_t d = 0; d < rank; ++d) {
    const std::uint64_t extent = cursor.u64(what);
    if (extent == 0) cursor.fail(what, "dimension " + std::to_string(d) + " is 0", shape_at);
    if (extent > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      cursor.fail(what, "dimension " + std::to_string(d) + " of " + std::to_string(extent),
                  shape_at);
    }
    claim.entry.shape.push_back(static_cast<std::int64_t>(extent));
  }
  std::reverse(claim.entry.shape.begin(), claim.entry.shape.end());
  const std::uint64_t type_at = cursor.offset();
  const std::uint32_t number = cursor.u32(what);
  const auto* const type = std::find_if(types.begin(), types.end(),
                                        [&](const TypeRow& row) { return row.number == number; });
  if (type == types.end()) {
    cursor.fail(what, "type " + std::to_string(number) + " is none that is read here", type_at);
  }
  const DType dtype = claim.entry.dtype = type->dtype;
  const auto elements = checked_elements(claim.entry.shape);
  if (!elements) {
    cursor.fail(what,
                "shape " + shape_text(claim.entry.shape) + " has more elements than can be counted",
                shape_at);
  }
  const std::int64_t row = rank == 0 ? 1 : claim.entry.shape.back();
  if (row % dtype_block(dtype) != 0) {
    cursor.fail(what,
                "a row of " + std::to_string(row) + " is no whole number of " +
                    std::string(dtype_name(dtype)) + " blocks of " +
                    std::to_string(dtype_block(dtype)),
                shape_at);
  }
  const auto size = checked_multiply(static_cast<std::uint64_t>(*elements / dtype_block(dtype)),
                                     std::uint64_t{dtype_size(dtype)});
  if (!size) {
    cursor.fail(what, "shape " + shape_text(claim.entry.shape) + " has too many bytes", shape_at);
  }
  claim.size = *size;
  claim.offset = cursor.u64(what);
  return claim;
}

}  // namespace

struct Gguf::Contents {
  std::string name;
  std::optional<MappedFile> file;
  std::map<std::string, Value, std::less<>> metadata;
  std::vector<TensorEntry> tensors;
  std::unordered_map<std::string_view, std::size_t> index;

  [[noreturn]] void fail(const std::string& problem) const {
    throw Error(ErrorKind::invalid, name + ": " + problem);
  }
  void check_head(std::span<const std::byte> bytes) const;
  void place(std::vector<Claim>& claims, std::span<const std::byte> data, std::uint64_t begin,
             std::uint64_t alignment);

  [[nodiscard]] const Value* value(std::string_view key) const {
    const auto found = metadata.find(key);
    return found == metadata.end() ? nullptr : &found->second;
  }
  [[noreturn]] void mistyped(std::string_view key, const Value& value,
                             std::string_view wanted) const {
    fail("key " + quote(key) + " at byte " + std::to_string(value.offset) + ": is " +
         type_text(value) + " where " + std::string(wanted) + " belongs");
  }
};

void Gguf::Contents::check_head(std::span<const std::byte> bytes) const {
  constexpr std::size_t head = 24;  // magic, version, two counts
  if (!begins(bytes)) {
    const std::string_view hint =
        foreign_hint(bytes.first(std::min<std::size_t>(bytes.size(), 512)));
    fail("is no GGUF file" + (hint.empty() ? "" : ": " + std::string(hint)));
  }
  if (bytes.size() < head) {
    fail("truncated: " + std::to_string(bytes.size()) + " bytes, and the header alone has " +
         std::to_string(head));
  }
  std::uint32_t version = 0;
  std::memcpy(&version, bytes.data() + magic.size(), sizeof version);
  if (version >= oldest_version && version <= newest_version) return;
  const std::uint32_t swapped = __builtin_bswap32(version);
  fail("version at byte 4: " + std::to_string(version) + " is not " +
       std::to_string(oldest_version) + " or " + std::to_string(newest_version) +
       (swapped >= 1 && swapped <= newest_version ? ": the file is big-endian" : ""));
}

// Where the tensors' bytes lie: in order, without overlap, gaps no larger than the alignment asks
// for.
void Gguf::Contents::place(std::vector<Claim>& claims, std::span<const std::byte> data,
                           std::uint64_t begin, std::uint64_t alignment) {
  std::vector<const Claim*> order;
  order.reserve(claims.size());
  for (const Claim& claim : claims) order.push_back(&claim);
  std::stable_sort(order.begin(), order.end(),
                   [](const Claim* a, const Claim* b) { return a->offset < b->offset; });
  std::uint64_t end = 0;
  for (const Claim* const claim : order) {
    const std::string what =
        "tensor " + quote(claim->entry.name) + ": offset " + std::to_string(claim->offset);
    if (claim->offset % alignment != 0) {
      fail(what + " is no multiple of the alignment " + std::to_string(alignment));
    }
    const auto last = checked_add(claim->offset, claim->size);
    if (!last || *last > data.size()) {
      const std::uint64_t missing = last ? *last - data.size() : claim->size;
      fail(what + " and " + std::to_string(claim->size) + " bytes end " + std::to_string(missing) +
           " bytes after the file, whose data begins at byte " + std::to_string(begin) +
           ": it is truncated or damaged");
    }
    if (claim->offset < end)
      fail(what + " overlaps the tensor before it, which ends at " + std::to_string(end));
    if (claim->offset - end >= alignment) {
      fail(what + " leaves a gap after byte " + std::to_string(end) + " of the data");
    }
    end = *last;
  }
  if (data.size() - end >= std::max(alignment, default_alignment) && !claims.empty()) {
    fail(std::to_string(data.size() - end) + " bytes follow the last tensor");
  }
  for (Claim& claim : claims) {
    claim.entry.data =
        data.subspan(static_cast<std::size_t>(claim.offset), static_cast<std::size_t>(claim.size));
    tensors.push_back(std::move(claim.entry));
  }
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (!index.emplace(tensors[i].name, i).second) {
      fail("tensor " + quote(tensors[i].name) + " is there twice");
    }
  }
}

Gguf Gguf::read(std::shared_ptr<Contents> contents, std::span<const std::byte> bytes) {
  contents->check_head(bytes);
  GgufCursor cursor(bytes, contents->name);
  (void)cursor.take(magic.size() + sizeof(std::uint32_t), "header");
  const std::uint64_t counts_at = cursor.offset();
  const std::uint64_t tensor_count = cursor.u64("tensor count");
  const std::uint64_t key_count = cursor.u64("key count");
  const auto check_count = [&](std::string_view what, std::uint64_t count, std::uint64_t least) {
    if (count <= cursor.rest() / least) return;
    cursor.fail(what,
                std::to_string(count) + ", for which the " + std::to_string(bytes.size()) +
                    " bytes of the file have no room",
                counts_at);
  };
  check_count("tensor count", tensor_count, least_tensor_bytes);
  check_count("key count", key_count, least_key_bytes);

  for (std::uint64_t i = 0; i < key_count; ++i) {
    const std::uint64_t at = cursor.offset();
    const std::string key(cursor.text("key " + std::to_string(i)));
    if (key.empty()) cursor.fail("key " + std::to_string(i), "is empty", at);
    const Value value = read_value(cursor, "key " + quote(key));
    if (!contents->metadata.emplace(key, value).second) {
      cursor.fail("key " + quote(key), "is there twice", at);
    }
  }
  std::vector<Claim> claims;
  for (std::uint64_t i = 0; i < tensor_count; ++i) claims.push_back(read_tensor(cursor, i));

  const Gguf opened(contents);
  const auto alignment = static_cast<std::uint64_t>(
      opened.integer("general.alignment", 0, std::numeric_limits<std::uint32_t>::max())
          .value_or(default_alignment));
  if (!std::has_single_bit(alignment) || alignment > largest_alignment) {
    contents->fail("key 'general.alignment': " + std::to_string(alignment) +
                   " is no power of two up to " + std::to_string(largest_alignment));
  }
  const std::uint64_t begin = (cursor.offset() + alignment - 1) / alignment * alignment;
  const auto data = begin >= bytes.size() ? std::span<const std::byte>{}
                                          : bytes.subspan(static_cast<std::size_t>(begin));
  contents->place(claims, data, begin, alignment);
  return Gguf(std::move(contents));
}

bool Gguf::begins(std::span<const std::byte> head) noexcept {
  return head.size() >= magic.size() && std::memcmp(head.data(), magic.data(), magic.size()) == 0;
}

Gguf Gguf::of(MappedFile file, std::string name) {
  auto contents = std::make_shared<Contents>();
  contents->name = std::move(name);
  contents->file = std::move(file);
  const auto bytes = contents->file->bytes();
  return read(std::move(contents), bytes);
}

Gguf Gguf::from_memory(std::span<const std::byte> bytes, std::string name) {
  auto contents = std::make_shared<Contents>();
  contents->name = std::move(name);
  return read(std::move(contents), bytes);
}

const std::string& Gguf::name() const noexcept { return contents_->name; }
bool Gguf::has(std::string_view key) const noexcept { return contents_->value(key) != nullptr; }
std::span<const TensorEntry> Gguf::tensors() const noexcept { return contents_->tensors; }

const TensorEntry* Gguf::find(std::string_view name) const noexcept {
  const auto found = contents_->index.find(name);
  return found == contents_->index.end() ? nullptr : &contents_->tensors[found->second];
}

namespace {

template <class T>
T element(const Value& value, std::uint64_t i) {
  T number{};
  std::memcpy(&number, value.bytes.data() + i * sizeof number, sizeof number);
  return number;
}

// Nothing if the elements are no whole numbers.
std::optional<std::int64_t> whole(const Value& value, std::uint64_t i) {
  switch (value.type) {
    case GgufType::u8: return element<std::uint8_t>(value, i);
    case GgufType::i8: return element<std::int8_t>(value, i);
    case GgufType::u16: return element<std::uint16_t>(value, i);
    case GgufType::i16: return element<std::int16_t>(value, i);
    case GgufType::u32: return element<std::uint32_t>(value, i);
    case GgufType::i32: return element<std::int32_t>(value, i);
    case GgufType::i64: return element<std::int64_t>(value, i);
    case GgufType::u64: {
      const auto number = element<std::uint64_t>(value, i);
      constexpr auto most = std::numeric_limits<std::int64_t>::max();
      return number > static_cast<std::uint64_t>(most) ? most : static_cast<std::int64_t>(number);
    }
    default: return std::nullopt;
  }
}

}  // namespace

std::optional<std::string_view> Gguf::text(std::string_view key) const {
  const Value* const value = contents_->value(key);
  if (value == nullptr) return std::nullopt;
  if (value->array || value->type != GgufType::string) contents_->mistyped(key, *value, "string");
  return std::string_view(reinterpret_cast<const char*>(value->bytes.data()), value->bytes.size());
}

std::optional<std::int64_t> Gguf::integer(std::string_view key, std::int64_t low,
                                          std::int64_t high) const {
  const Value* const value = contents_->value(key);
  if (value == nullptr) return std::nullopt;
  const auto number = value->array ? std::nullopt : whole(*value, 0);
  if (!number) contents_->mistyped(key, *value, "a whole number");
  if (*number < low || *number > high) {
    contents_->fail("key " + quote(key) + " at byte " + std::to_string(value->offset) + ": " +
                    std::to_string(*number) + " is not in " + std::to_string(low) + ".." +
                    std::to_string(high));
  }
  return number;
}

std::optional<double> Gguf::number(std::string_view key) const {
  const Value* const value = contents_->value(key);
  if (value == nullptr) return std::nullopt;
  if (value->array || (value->type != GgufType::f32 && value->type != GgufType::f64)) {
    contents_->mistyped(key, *value, "f32");
  }
  const double number =
      value->type == GgufType::f32 ? element<float>(*value, 0) : element<double>(*value, 0);
  if (!std::isfinite(number)) {
    contents_->fail("key " + quote(key) + " at byte " + std::to_string(value->offset) +
                    ": is not finite");
  }
  return number;
}

std::optional<bool> Gguf::boolean(std::string_view key) const {
  const Value* const value = contents_->value(key);
  if (value == nullptr) return std::nullopt;
  if (value->array || value->type != GgufType::boolean) contents_->mistyped(key, *value, "bool");
  const auto byte = element<std::uint8_t>(*value, 0);
  if (byte > 1) {
    contents_->fail("key " + quote(key) + " at byte " + std::to_string(value->offset) + ": " +
                    std::to_string(byte) + " is no bool");
  }
  return byte == 1;
}

std::optional<std::vector<std::string_view>> Gguf::texts(std::string_view key) const {
  const Value* const value = contents_->value(key);
  if (value == nullptr) return std::nullopt;
  if (!value->array || value->type != GgufType::string) {
    contents_->mistyped(key, *value, "array of string");
  }
  std::vector<std::string_view> all;
  all.reserve(static_cast<std::size_t>(value->count));
  GgufCursor cursor(value->bytes, contents_->name);
  for (std::uint64_t i = 0; i < value->count; ++i) all.push_back(cursor.text(key));
  return all;
}

std::optional<std::vector<float>> Gguf::numbers(std::string_view key) const {
  const Value* const value = contents_->value(key);
  if (value == nullptr) return std::nullopt;
  if (!value->array || value->type != GgufType::f32) {
    contents_->mistyped(key, *value, "array of f32");
  }
  std::vector<float> all(static_cast<std::size_t>(value->count));
  if (!all.empty()) std::memcpy(all.data(), value->bytes.data(), value->bytes.size());
  return all;
}

std::optional<std::vector<std::int64_t>> Gguf::integers(std::string_view key) const {
  const Value* const value = contents_->value(key);
  if (value == nullptr) return std::nullopt;
  if (!value->array || !(value->count == 0 || whole(*value, 0))) {
    contents_->mistyped(key, *value, "array of whole numbers");
  }
  std::vector<std::int64_t> all;
  all.reserve(static_cast<std::size_t>(value->count));
  for (std::uint64_t i = 0; i < value->count; ++i) all.push_back(*whole(*value, i));
  return all;
}

}  // namespace attn::runtime
