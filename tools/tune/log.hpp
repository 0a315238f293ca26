#pragma once

#include "attn/tune.hpp"

#include <cstdint>
#include <fstream>
#include <string>

namespace attn::tools {

/// A JSON object a line for every update and every evaluation of a run, on disk at once. Memory is
/// the process' largest so far, in MB.
class TuneLog {
 public:
  /// Touches nothing yet: a run that is refused leaves the log of the one before as it is. The
  /// first line begins the file anew, or with `resume` keeps what it says of the updates before it.
  TuneLog(std::string path, bool resume) : path_(std::move(path)), resume_(resume) {}

  /// Throw Error(io).
  void add(const TuneStep& step, TuneTask task);
  void add(const TuneEvaluation& evaluation, TuneTask task, std::int64_t step);

 private:
  void open(std::int64_t step, bool evaluated);
  void write(const std::string& line);

  std::string path_;
  bool resume_;
  std::ofstream file_;
};

}  // namespace attn::tools
