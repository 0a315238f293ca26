#include "tools/common/npy.hpp"

namespace attn::tools {

NpyWriter::NpyWriter(const std::string& path, const Dims& shape) : file_(path) {
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (";
  for (const std::int64_t dim : shape) header += std::to_string(dim) + ", ";
  header += "), }";
  // magic, version and length take 10 bytes; data begins at a multiple of 64, as NumPy writes it
  constexpr std::size_t before = 10, alignment = 64;
  header.append(alignment - (before + header.size() + 1) % alignment, ' ');
  header += '\n';
  std::string start("\x93NUMPY\x01\x00", 8);
  start += static_cast<char>(header.size() % 256);
  start += static_cast<char>(header.size() / 256);
  start += header;
  file_.write(std::as_bytes(std::span(start)));
}

void NpyWriter::write(std::span<const float> values) { file_.write(std::as_bytes(values)); }

}  // namespace attn::tools
