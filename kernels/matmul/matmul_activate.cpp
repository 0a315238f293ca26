#include "kernels/matmul/matmul_levels.hpp"

namespace attn::kernels {

void matmul_activate(Isa isa, Unary activation, index_t rows, index_t columns, float* c,
                     index_t c_row) {
  // rows that follow each other are one
  if (c_row == columns) {
    columns *= rows;
    rows = 1;
  }
  for (index_t i = 0; i < rows; ++i) {
    float* const row = c + i * c_row;
    unary(isa, serial_workers(), activation, columns, row, row);
  }
}

}  // namespace attn::kernels
