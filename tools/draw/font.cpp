#include "tools/draw/font.hpp"

#include "attn/error.hpp"
#include "tools/draw/scene.hpp"
#include "tools/draw/text.hpp"

extern "C" {
extern const unsigned char attn_draw_font_regular[], attn_draw_font_regular_end[];
extern const unsigned char attn_draw_font_bold[], attn_draw_font_bold_end[];
}

namespace attn::tools {

Font::Font(bool bold) {
  FT_Library library = nullptr;
  if (FT_Init_FreeType(&library) != 0) throw Error(ErrorKind::memory, "FreeType does not start");
  library_.reset(library);
  FT_Face face = nullptr;
  const unsigned char* begin = bold ? attn_draw_font_bold : attn_draw_font_regular;
  const unsigned char* end = bold ? attn_draw_font_bold_end : attn_draw_font_regular_end;
  if (FT_New_Memory_Face(library, begin, static_cast<FT_Long>(end - begin), 0, &face) != 0) {
    throw Error(ErrorKind::memory, "the embedded font does not open");
  }
  face_.reset(face);
}

double Font::advance(const char32_t* points, std::size_t count) const {
  FT_Pos total = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (FT_Load_Char(face_.get(), points[i], FT_LOAD_NO_SCALE) == 0) {
      total += face_->glyph->advance.x;
    }
  }
  return static_cast<double>(total) / face_->units_per_EM;
}

double text_width(const std::string& text, double size, bool bold) {
  // opening a font takes far longer than measuring a label
  thread_local const Font regular_font(false), bold_font(true);
  const Font& font = bold ? bold_font : regular_font;
  const std::vector<char32_t> points = code_points(text);
  return font.advance(points.data(), points.size()) * size;
}

std::string fitted_text(const std::string& text, double size, double width, bool bold) {
  if (text_width(text, size, bold) <= width) return text;
  std::vector<char32_t> points = code_points(text);
  std::string shortened;
  do {
    if (points.empty()) return {};
    points.pop_back();
    shortened = utf8(points) + "…";
  } while (text_width(shortened, size, bold) > width);
  return shortened;
}

}  // namespace attn::tools
