#pragma once

#include "attn/attn.hpp"
#include "runtime/formats/atomic_file.hpp"

#include <span>
#include <string>

namespace attn::tools {

/// A NumPy file of float32 in C order (format version 1.0), written part by part and atomically: it
/// appears with commit(), whole. Throws Error(io).
class NpyWriter {
 public:
  NpyWriter(const std::string& path, const Dims& shape);
  void write(std::span<const float> values);
  /// To be called once as many values were written as the shape says.
  void commit() { file_.commit(); }

 private:
  runtime::AtomicFile file_;
};

}  // namespace attn::tools
