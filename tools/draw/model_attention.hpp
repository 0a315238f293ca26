#pragma once

#include <string>
#include <vector>

namespace attn::tools {

/// The attention of a model of many layers and heads over one text.
struct ModelAttention {
  std::string title;
  std::vector<std::string> tokens;  ///< in UTF-8, queries and keys alike
  std::vector<int> layers, heads;   ///< by their numbers, those that are shown
  std::vector<float> weights;       ///< [layer][head][query][key], 0 where a key is hidden
  bool causal = false;              ///< no query sees a later key
};

/// Draws it into the file at `path`; the extension chooses how:
///   .json  {"tokens": […], "layers": {"0": [head][query][key], …}, "heads": […]}, every float in
///   full .png   a sheet of heat maps, a row a layer; many or large maps are drawn small .svg   the
///   same as a drawing .html  one page without network: lines between tokens by head, an overview
///   of all layers and
///          heads, heat maps; works with the keyboard, in light and dark
/// The file appears whole or not at all. Throws Error(usage) for another extension or numbers that
/// do not fit each other, Error(io) where it cannot be written.
void write_model_attention(const std::string& path, const ModelAttention& attention);

}  // namespace attn::tools
