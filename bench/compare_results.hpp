#pragma once

#include <string>

namespace attn::bench {

struct Comparison {
  std::string table;    ///< in Markdown
  bool slower = false;  ///< some test is
};

/// Two results in JSON, of attn-bench or llama-bench (a list, or an object a line), test by test. A
/// test is slower or faster if the means of its tokens a second differ by more than 3% and by more
/// than twice the standard error of their difference. Throws Error(io), and Error(invalid) for what
/// is no result or has no test in common with the other.
[[nodiscard]] Comparison compare_results(const std::string& old_path, const std::string& new_path);

}  // namespace attn::bench
