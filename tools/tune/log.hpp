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
  /// Begins anew, or with `resume` keeps what the file says of the updates before those that
  /// follow. Throws Error(io), as do the others.
  TuneLog(std::string path, bool resume);

  void add(const TuneStep& step, TuneTask task);
  void add(const TuneEvaluation& evaluation, TuneTask task, std::int64_t step);

 private:
  void keep_before(std::int64_t step, bool evaluated);
  void write(const std::string& line);

  std::string path_;
  bool resume_;  // until the first line says from where
  std::ofstream file_;
};

}  // namespace attn::tools
