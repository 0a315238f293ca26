#include "attn/error.hpp"
#include "tools/common/data.hpp"

#include <fmt/format.h>

#include <bit>
#include <cctype>
#include <cfloat>
#include <charconv>
#include <cmath>
#include <cstring>
#include <type_traits>
#include <utility>

namespace attn::tools {
namespace {

static_assert(std::endian::native == std::endian::little, "values are taken as they stand");

constexpr std::size_t magic_length = 6;
constexpr std::size_t most_header = 1 << 16;       // a shape and a type need under 200 bytes
constexpr std::int64_t most_elements = 1LL << 40;  // more cannot be in memory as float32
constexpr std::size_t most_dimensions = 8;

[[noreturn]] void refuse(const std::string& source, const std::string& what) {
  throw Error(ErrorKind::invalid, source + ": " + what);
}

/// The header: a Python dictionary of the three keys descr, fortran_order and shape, in any order.
class Header {
 public:
  Header(std::string_view text, const std::string& source) : text_(text), source_(source) {
    expect('{');
    while (!accept('}')) {
      const std::string key = quoted();
      expect(':');
      if (key == "descr") {
        if (blank(), at_ < text_.size() && text_[at_] == '[') {
          refuse(source_,
                 "npy header: structured types are not read, only '<f4', '<f8', '<i4', '<i8'");
        }
        type = quoted();
      } else if (key == "fortran_order") {
        const std::string value = word();
        if (value != "False")
          refuse(source_, "npy header: fortran_order is " + value + ", not False");
      } else if (key == "shape") {
        shape_tuple();
      } else {
        refuse(source_, "npy header: unknown key '" + key + "'");
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    blank();
    if (at_ != text_.size()) unexpected();
    if (type.empty()) refuse(source_, "npy header: 'descr' is missing");
    if (!has_shape_) refuse(source_, "npy header: 'shape' is missing");
  }

  std::string type;
  Dims shape;

 private:
  [[noreturn]] void unexpected() const {
    const std::string seen =
        at_ < text_.size() ? "'" + std::string(1, text_[at_]) + "'" : "its end";
    refuse(source_, "npy header: unexpected " + seen + " at its byte " + std::to_string(at_));
  }
  void blank() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  bool accept(char c) {
    blank();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) unexpected();
  }
  std::string quoted() {
    blank();
    if (at_ >= text_.size() || (text_[at_] != '\'' && text_[at_] != '"')) unexpected();
    const std::size_t end = text_.find(text_[at_], at_ + 1);
    if (end == std::string_view::npos) unexpected();
    std::string value(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return value;
  }
  std::string word() {
    blank();
    const std::size_t begin = at_;
    while (at_ < text_.size() && std::isalpha(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
    if (at_ == begin) unexpected();
    return std::string(text_.substr(begin, at_ - begin));
  }
  void shape_tuple() {
    expect('(');
    shape.clear();
    has_shape_ = true;
    while (!accept(')')) {
      blank();
      std::int64_t size = 0;
      const auto [end, error] =
          std::from_chars(text_.data() + at_, text_.data() + text_.size(), size);
      if (error != std::errc{} || size < 0) unexpected();
      at_ = static_cast<std::size_t>(end - text_.data());
      shape.push_back(size);
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
  }

  std::string_view text_;
  const std::string& source_;
  std::size_t at_ = 0;
  bool has_shape_ = false;
};

std::string shape_text(const Dims& shape) {
  std::string text = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  }
  return text + (shape.size() == 1 ? ",)" : ")");
}

template <class Stored, class Wanted>
std::vector<Wanted> converted(std::string_view bytes, const Data& data, const std::string& source) {
  std::vector<Wanted> values(bytes.size() / sizeof(Stored));
  for (std::size_t i = 0; i < values.size(); ++i) {
    Stored stored{};
    std::memcpy(&stored, bytes.data() + i * sizeof(Stored), sizeof(Stored));
    if constexpr (std::is_floating_point_v<Stored>) {
      if (!std::isfinite(stored) || std::fabs(stored) > FLT_MAX) {
        refuse(source, element_name(data.name, unflattened(i, data.shape)) + " is " +
                           fmt::format("{}", stored) + ", not a finite number within float32");
      }
    } else if constexpr (std::is_integral_v<Wanted>) {
      if (stored < 0 || !std::in_range<Wanted>(stored)) {
        refuse(source, element_name(data.name, unflattened(i, data.shape)) + " is " +
                           std::to_string(stored) + ", not a token id (0 to 2147483647)");
      }
    }
    values[i] = static_cast<Wanted>(stored);
  }
  return values;
}

}  // namespace

std::vector<Data> parse_npy_data(std::string_view bytes, const std::string& source,
                                 std::span<const PortInfo> ports) {
  if (ports.size() != 1) {
    throw Error(ErrorKind::usage, source +
                                      ": the model has several inputs: give them as JSON, "
                                      "{input name: nested lists}");
  }
  const auto byte = [&](std::size_t at) {
    if (at >= bytes.size())
      refuse(source, "npy header: the file ends after " + std::to_string(bytes.size()) + " bytes");
    return static_cast<std::size_t>(static_cast<unsigned char>(bytes[at]));
  };
  const std::size_t version = byte(magic_length);
  if (version != 1 && version != 2) {
    refuse(source, "npy version " + std::to_string(version) + " is not read, only 1 and 2");
  }
  const std::size_t length_bytes = version == 1 ? 2 : 4;
  const std::size_t header_begin = magic_length + 2 + length_bytes;
  std::size_t length = 0;
  for (std::size_t i = 0; i < length_bytes; ++i) length |= byte(magic_length + 2 + i) << (8 * i);
  if (length > most_header || length > bytes.size() - header_begin) {
    refuse(source, "npy header: its length " + std::to_string(length) + " is more than " +
                       (length > most_header ? "the limit " + std::to_string(most_header)
                                             : "what is left of the file, " +
                                                   std::to_string(bytes.size() - header_begin)));
  }
  const Header header(bytes.substr(header_begin, length), source);
  const std::string_view content = bytes.substr(header_begin + length);

  const bool floating = header.type == "<f4" || header.type == "<f8";
  if (!floating && header.type != "<i4" && header.type != "<i8") {
    refuse(source, "npy type '" + header.type + "' is not read, only '<f4', '<f8', '<i4', '<i8'");
  }
  const std::int64_t width = header.type[2] - '0';
  if (header.shape.empty() || header.shape.size() > most_dimensions) {
    refuse(source, "npy shape " + shape_text(header.shape) + " has " +
                       std::to_string(header.shape.size()) + " dimensions, 1 to " +
                       std::to_string(most_dimensions) + " are read");
  }
  std::int64_t count = 1;
  for (const std::int64_t size : header.shape) {
    if (size == 0) refuse(source, "npy shape " + shape_text(header.shape) + " is empty");
    if (size > most_elements / count)
      refuse(source, "npy shape " + shape_text(header.shape) + " is too large");
    count *= size;
  }
  if (content.size() != static_cast<std::size_t>(count * width)) {
    refuse(source, "npy data: " + std::to_string(content.size()) + " bytes, but shape " +
                       shape_text(header.shape) + " of '" + header.type + "' needs " +
                       std::to_string(count * width));
  }

  Data data{ports[0].name, header.shape, {}};
  if (!ports[0].token_ids) {
    data.values = header.type == "<f4"   ? converted<float, float>(content, data, source)
                  : header.type == "<f8" ? converted<double, float>(content, data, source)
                  : header.type == "<i4" ? converted<std::int32_t, float>(content, data, source)
                                         : converted<std::int64_t, float>(content, data, source);
  } else if (floating) {
    refuse(source, "npy type '" + header.type + "': " + data.name +
                       " takes token ids, so '<i4' or '<i8' is needed");
  } else {
    data.values = header.type == "<i4"
                      ? converted<std::int32_t, std::int32_t>(content, data, source)
                      : converted<std::int64_t, std::int32_t>(content, data, source);
  }
  std::vector<Data> all;
  all.push_back(std::move(data));
  return all;
}

}  // namespace attn::tools
