#pragma once

#include <ft2build.h>
#include FT_FREETYPE_H

#include <memory>

namespace attn::tools {

/// An embedded font, opened by a FreeType library of its own: one object serves one thread.
class Font {
 public:
  explicit Font(bool bold);
  [[nodiscard]] FT_Face face() const { return face_.get(); }
  /// Sum of advances, in ems.
  [[nodiscard]] double advance(const char32_t* points, std::size_t count) const;

 private:
  struct CloseLibrary {
    void operator()(FT_Library library) const { FT_Done_FreeType(library); }
  };
  struct CloseFace {
    void operator()(FT_Face face) const { FT_Done_Face(face); }
  };
  std::unique_ptr<FT_LibraryRec_, CloseLibrary> library_;
  std::unique_ptr<FT_FaceRec_, CloseFace> face_;
};

}  // namespace attn::tools
