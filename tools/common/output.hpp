#pragma once

#include <string>
#include <string_view>

namespace attn::tools {

/// Results on standard output. Nothing of a tool's results goes there by another way, so that a
/// full disk or a reader that has left is always noticed.
class Out {
 public:
  void print(std::string_view text) { pending_ += text; }

  /// Hands over what was printed. Throws Error(io) if standard output does not take it, Interrupted
  /// if Ctrl-C was pressed while it waited.
  void flush();

 private:
  std::string pending_;
};

/// Throws Error(io) if a file cannot be made at `path`, before the work whose result shall go
/// there: the folder is missing or refuses, or what stands there is no ordinary file or is
/// write-protected.
void check_output_file(const std::string& path);

/// Throws Error(usage) unless `path` ends in one of the extensions (".png .svg"), in either case.
void check_extension(std::string_view option, const std::string& path, std::string_view extensions);

}  // namespace attn::tools
