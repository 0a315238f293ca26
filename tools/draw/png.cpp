#include "attn/error.hpp"
#include "tools/draw/font.hpp"
#include "tools/draw/scene.hpp"

#include <cairo-ft.h>
#include <cairo.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numbers>

namespace attn::tools {
namespace {

template <auto Destroy>
struct Destroyer {
  template <class T>
  void operator()(T* object) const {
    Destroy(object);
  }
};
using Surface = std::unique_ptr<cairo_surface_t, Destroyer<cairo_surface_destroy>>;
using Context = std::unique_ptr<cairo_t, Destroyer<cairo_destroy>>;
using FontFace = std::unique_ptr<cairo_font_face_t, Destroyer<cairo_font_face_destroy>>;
using FontOptions = std::unique_ptr<cairo_font_options_t, Destroyer<cairo_font_options_destroy>>;
using Pattern = std::unique_ptr<cairo_pattern_t, Destroyer<cairo_pattern_destroy>>;

void check(cairo_status_t status) {
  if (status != CAIRO_STATUS_SUCCESS) {
    throw Error(ErrorKind::memory,
                std::string("cairo cannot draw: ") + cairo_status_to_string(status));
  }
}

Surface make_surface(int width, int height) {
  Surface surface(cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height));
  check(cairo_surface_status(surface.get()));
  return surface;
}

std::string encoded(cairo_surface_t* surface) {
  std::string bytes;
  const auto append = [](void* to, const unsigned char* data, unsigned length) {
    static_cast<std::string*>(to)->append(reinterpret_cast<const char*>(data), length);
    return CAIRO_STATUS_SUCCESS;
  };
  check(cairo_surface_write_to_png_stream(surface, append, &bytes));
  return bytes;
}

Surface surface_of(const Raster& raster) {
  Surface surface = make_surface(raster.columns, raster.rows);
  unsigned char* data = cairo_image_surface_get_data(surface.get());
  const int stride = cairo_image_surface_get_stride(surface.get());
  for (int y = 0; y < raster.rows; ++y) {
    auto* row = reinterpret_cast<std::uint32_t*>(data + static_cast<std::ptrdiff_t>(y) * stride);
    for (int x = 0; x < raster.columns; ++x) {
      const Rgb c = raster.pixels[static_cast<std::size_t>(y) * raster.columns + x];
      row[x] = std::uint32_t{c.r} << 16 | std::uint32_t{c.g} << 8 | std::uint32_t{c.b};
    }
  }
  cairo_surface_mark_dirty(surface.get());
  return surface;
}

/// An embedded font as a cairo face. Cairo may keep scaled fonts in its cache after we let go of
/// the face, so the face owns the FreeType font under it.
FontFace make_face(bool bold) {
  auto font = std::make_unique<Font>(bold);
  FontFace face(cairo_ft_font_face_create_for_ft_face(font->face(), FT_LOAD_NO_HINTING));
  static const cairo_user_data_key_t key{};
  check(cairo_font_face_set_user_data(face.get(), &key, font.get(),
                                      [](void* owned) { delete static_cast<Font*>(owned); }));
  (void)font.release();  // the face deletes it
  return face;
}

class Painter {
 public:
  Painter(cairo_surface_t* surface, double scale)
      : regular_(make_face(false)), bold_(make_face(true)), context_(cairo_create(surface)) {
    cairo_scale(context(), scale, scale);
    cairo_set_source_rgb(context(), 1, 1, 1);
    cairo_paint(context());
    // Unhinted outlines and advances: text is then exactly as wide as the layout measured it.
    FontOptions options(cairo_font_options_create());
    cairo_font_options_set_hint_style(options.get(), CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_hint_metrics(options.get(), CAIRO_HINT_METRICS_OFF);
    cairo_font_options_set_antialias(options.get(), CAIRO_ANTIALIAS_GRAY);
    cairo_set_font_options(context(), options.get());
  }

  void operator()(const Rect& rect) {
    // Edges that lie on whole pixels need no antialiasing, and without it no seam shows between
    // cells.
    cairo_set_antialias(context(), CAIRO_ANTIALIAS_NONE);
    source(rect.fill);
    cairo_rectangle(context(), rect.x, rect.y, rect.width, rect.height);
    cairo_fill(context());
    cairo_set_antialias(context(), CAIRO_ANTIALIAS_DEFAULT);
  }

  void operator()(const Polyline& line) {
    source(line.stroke);
    cairo_set_line_width(context(), line.width);
    cairo_set_line_join(context(), CAIRO_LINE_JOIN_ROUND);
    cairo_set_dash(context(), line.dashes.data(), static_cast<int>(line.dashes.size()), 0);
    cairo_new_path(context());  // text leaves a current point behind
    for (std::size_t i = 0; i < line.xs.size(); ++i)
      cairo_line_to(context(), line.xs[i], line.ys[i]);
    cairo_stroke(context());
  }

  void operator()(const Text& text) {
    source(text.fill);
    cairo_set_font_face(context(), text.bold ? bold_.get() : regular_.get());
    cairo_set_font_size(context(), text.size);
    cairo_text_extents_t extents;
    cairo_text_extents(context(), text.text.c_str(), &extents);
    cairo_save(context());
    cairo_translate(context(), text.x, text.y);
    cairo_rotate(context(), text.degrees * std::numbers::pi / 180);
    const double before = text.anchor == Anchor::start    ? 0
                          : text.anchor == Anchor::middle ? 0.5
                                                          : 1;
    cairo_move_to(context(), -before * extents.x_advance, 0);
    cairo_show_text(context(), text.text.c_str());
    cairo_restore(context());
  }

  void operator()(const Raster& raster) {
    const Surface cells = surface_of(raster);
    cairo_save(context());
    cairo_translate(context(), raster.x, raster.y);
    cairo_scale(context(), raster.width / raster.columns, raster.height / raster.rows);
    cairo_set_source_surface(context(), cells.get(), 0, 0);
    cairo_pattern_set_filter(cairo_get_source(context()), CAIRO_FILTER_NEAREST);
    cairo_rectangle(context(), 0, 0, raster.columns, raster.rows);
    cairo_fill(context());
    cairo_restore(context());
  }

  void finish() const { check(cairo_status(context())); }

 private:
  [[nodiscard]] cairo_t* context() const { return context_.get(); }
  void source(Rgb c) { cairo_set_source_rgb(context(), c.r / 255.0, c.g / 255.0, c.b / 255.0); }

  FontFace regular_, bold_;
  Context context_;
};

}  // namespace

std::string png(const Scene& scene) {
  // beyond about 32,000 pixels a side cairo's fixed-point coordinates end; half of it is plenty
  const double scale = std::min(2.0, 16000 / std::max(scene.width, scene.height));
  const Surface surface = make_surface(static_cast<int>(std::ceil(scene.width * scale)),
                                       static_cast<int>(std::ceil(scene.height * scale)));
  Painter painter(surface.get(), scale);
  for (const Item& item : scene.items) std::visit(painter, item);
  painter.finish();
  return encoded(surface.get());
}

std::string png(const Raster& raster) { return encoded(surface_of(raster).get()); }

}  // namespace attn::tools
