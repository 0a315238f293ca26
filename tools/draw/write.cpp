#include "attn/error.hpp"
#include "tools/draw/documents.hpp"
#include "tools/draw/draw.hpp"
#include "tools/draw/files.hpp"
#include "tools/draw/scenes.hpp"

namespace attn::tools {

void write_heatmap(const std::string& path, const AttentionPicture& picture) {
  const std::string ext = extension(path);
  if (ext == ".png") return write_file(path, png(heatmap_scene(picture)));
  if (ext == ".svg") return write_file(path, svg(heatmap_scene(picture)));
  if (ext == ".html") return write_file(path, html_document(picture));
  if (ext == ".json") return write_file(path, json_document(picture));
  throw Error(ErrorKind::usage,
              path + ": a picture of attention is a .png, .svg, .html or .json file");
}

void write_training_plot(const std::string& path, const TrainingPlot& plot) {
  const std::string ext = extension(path);
  if (ext == ".png") return write_file(path, png(training_scene(plot)));
  if (ext == ".svg") return write_file(path, svg(training_scene(plot)));
  throw Error(ErrorKind::usage, path + ": a training plot is a .png or .svg file");
}

}  // namespace attn::tools
