#pragma once

#include "attn/attn.hpp"

#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace attn::tools {

/// Values for one input of a model, read from a file.
struct Data {
  std::string name;
  Dims shape;
  std::variant<std::vector<float>, std::vector<std::int32_t>> values;  ///< int32: token ids

  /// A view for Model::run.
  [[nodiscard]] Input input() const;
};

/// Values for a model's inputs out of `bytes`: NumPy's .npy format if they begin like it, else
/// JSON. `source` names them in messages. Errors as below.
std::vector<Data> parse_data(std::string_view bytes, const std::string& source,
                             std::span<const PortInfo> ports);

/// JSON: nested lists for the only input of a model, or {input name: nested lists}. Throws
/// Error(invalid), naming source, position and value, for what is no JSON, for ragged or empty
/// lists, for anything but numbers within float32 (whole numbers within int32 where token ids are
/// due), for lists deeper than eight, and for an input that is unknown, missing or given twice.
std::vector<Data> parse_json_data(std::string_view text, const std::string& source,
                                  std::span<const PortInfo> ports);

/// A .npy file, version 1 or 2, of little-endian f4, f8, i4 or i8 in C order, for the only input of
/// a model. Throws Error(invalid) for another one, for a length that is not the shape's, for
/// numbers that are not finite or do not fit, and Error(usage) if the model has several inputs.
std::vector<Data> parse_npy_data(std::string_view bytes, const std::string& source,
                                 std::span<const PortInfo> ports);

/// The bytes of a file, or of standard input for "-". Throws Error(io).
std::string read_file(const std::string& path);

/// The indices of element `flat`, counted row by row.
Dims unflattened(std::size_t flat, const Dims& shape);

/// "x[2][0]"
std::string element_name(std::string_view name, std::span<const std::int64_t> indices);

}  // namespace attn::tools
