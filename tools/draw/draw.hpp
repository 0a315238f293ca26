#pragma once

#include <string>
#include <vector>

namespace attn::tools {

/// One picture of where queries look: one or more maps (heads, layers) over the same tokens.
struct AttentionPicture {
  struct Map {
    std::string title;  ///< "head 0"; may be empty
    std::vector<float>
        weights;  ///< row-major [rows × columns]; a NaN or infinity is drawn as hatched
  };

  std::string title;
  /// A label for every query and every key, in UTF-8: their number is the shape of each map. Labels
  /// may be empty strings; where all are, or where they would not fit, positions are numbered
  /// instead.
  std::vector<std::string> rows, columns;
  std::vector<Map> maps;
};

/// How a training went: the loss and the attention weight of every token, epoch by epoch.
struct TrainingPlot {
  struct Series {
    std::string label;
    std::vector<double> values;  ///< one an epoch; a NaN or infinity leaves a gap
    bool emphasised = false;     ///< thick, coloured and always labelled; the others thin and grey
  };

  std::string title;
  std::vector<double> losses;  ///< one an epoch
  std::vector<Series> series;  ///< may be empty: then only the loss is drawn
};

/// Draws `picture` into the file at `path`; the extension (in either case) chooses how:
///   .png   bitmap, two pixels to a point, in the built-in DejaVu Sans (which has no CJK or emoji)
///   .svg   vector drawing with real text
///   .html  one page without network: heat maps, and lines from each token to where it looks
///   .json  {"title", "rows", "columns", "maps": [{"title", "weights": [[…]]}]}, every float in
///   full,
///          a NaN or infinity as null
/// The file appears whole or not at all. Thread-safe for different paths.
/// Throws Error(usage) for another extension and for a map whose size is not rows × columns or a
/// picture without maps, rows or columns; Error(io), naming the path, where it cannot be written.
void write_heatmap(const std::string& path, const AttentionPicture& picture);

/// Draws the loss and, below it, every token's weight over the epochs, as .png or .svg. Errors as
/// write_heatmap's; Error(usage) where there are no losses.
void write_training_plot(const std::string& path, const TrainingPlot& plot);

/// The picture as lines of text for a terminal `width` columns wide (at least 20 are assumed), each
/// ended by a newline: one query as a list of bars, several as a heat map with labels and a legend.
/// With `colour` in escape sequences: 24-bit where the environment's COLORTERM promises them, of
/// the 256 colours else. Without: block characters alone. Maps larger than the terminal are
/// reduced, each cell the largest of the weights that it stands for. Errors as write_heatmap's.
std::string terminal_heatmap(const AttentionPicture& picture, bool colour, int width);

}  // namespace attn::tools
