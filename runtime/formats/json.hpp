#pragma once

#include "runtime/formats/json_values.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace attn::runtime {

/// How much a JSON text may ask of the reader: a hostile one costs many times its length in memory.
struct JsonLimits {
  std::size_t depth = 64;  ///< arrays and objects inside one another
  std::size_t values = std::numeric_limits<std::size_t>::max();  ///< all values and containers
};

/// Reads a whole JSON text, strictly: RFC 8259 and nothing else (no comments, NaN or trailing
/// bytes), valid UTF-8 only, no key twice in one object, within the limits. `what` names the text
/// in messages, e.g. "model.bin: header". Throws Error(invalid).
[[nodiscard]] Json parse_json(std::string_view text, std::string_view what, JsonLimits limits = {});

/// The largest whole number that a reader which keeps numbers as float64 does not change.
inline constexpr std::int64_t largest_json_integer = std::int64_t{1} << 53;

/// A size, count or offset: a whole number from 0 to 2^53 written without fraction or exponent.
/// `field` names it in messages. Throws Error(invalid) with the field and the value.
[[nodiscard]] std::int64_t json_size(const Json& value, std::string_view field);

/// The string in `value`. Throws Error(invalid) with the field and the value.
[[nodiscard]] const std::string& json_string(const Json& value, std::string_view field);

/// The member `key` of `object`. Throws Error(invalid) if `object` is none or lacks it; `field`
/// names the object.
[[nodiscard]] const Json& json_member(const Json& object, const std::string& key,
                                      std::string_view field);

/// A value for a message: a number as it is, a string quoted, of an array or object only its size.
[[nodiscard]] std::string json_text(const Json& value);

}  // namespace attn::runtime
