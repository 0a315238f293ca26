#include "kernels/matmul/matmul_levels.hpp"
#include "kernels/simd.hpp"

namespace attn::kernels::ATTN_ISA_NS {

void matmul_pack_panel(index_t k, index_t columns, const MatrixView<float>& b, float* panel) {
  if (b.col_stride == 1) {
    const index_t full = columns / lanes, rest = columns % lanes;
    for (index_t i = 0; i < k; ++i) {
      const float* from = b.data + i * b.row_stride;
      float* to = panel + i * 2 * lanes;
      for (index_t v = 0; v < 2; ++v) {
        const vf row = v < full                ? vf::load_unaligned(from + v * lanes)
                       : v == full && rest > 0 ? load_partial(from + v * lanes, rest)
                                               : vf(0.0F);
        row.store_unaligned(to + v * lanes);
      }
    }
    return;
  }
  for (index_t i = 0; i < k; ++i) {
    const float* from = b.data + i * b.row_stride;
    float* to = panel + i * 2 * lanes;
    for (index_t j = 0; j < 2 * lanes; ++j) to[j] = j < columns ? from[j * b.col_stride] : 0.0F;
  }
}

}  // namespace attn::kernels::ATTN_ISA_NS
