#include "kernels/matmul/matmul_levels.hpp"

namespace attn::kernels {

void matmul_activate(Isa isa, Unary activation, index_t rows, index_t columns, float* from,
                     index_t from_row, float* to, index_t to_row, bool add) {
  // rows that follow each other are one
  if (from_row == columns && to_row == columns) {
    columns *= rows;
    rows = 1;
  }
  for (index_t i = 0; i < rows; ++i) {
    float* const x = from + i * from_row;
    float* const y = to + i * to_row;
    unary(isa, serial_workers(), activation, columns, x, add ? x : y);
    if (add) {
      for (index_t j = 0; j < columns; ++j) y[j] += x[j];
    }
  }
}

}  // namespace attn::kernels
