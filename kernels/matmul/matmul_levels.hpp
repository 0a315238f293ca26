#pragma once

#include "kernels/matmul/matmul.hpp"
#include "kernels/types.hpp"

// What the rows of the implementation table share: the versions of the product per ISA level.

namespace attn::kernels {

/// Columns of a panel of packed B at a level: two vectors. The packed form of B [k, n] is
/// ceil(n / columns) panels of [k, columns], zeros where the last one exceeds n.
constexpr index_t panel_columns(Isa isa) { return isa >= Isa::avx512 ? 32 : 16; }

/// Rows of a transposed A that are gathered together: three lines, so that few are read in part;
/// whole register tiles at every level.
constexpr index_t gathered_rows = 48;

/// c = epilogue(A · B) for a block of C, on the caller's thread. Every element is summed by one
/// fused multiply-add per step of k, in ascending order, whatever the block and its neighbours are:
/// so the bits of an element depend on its row of A and its column of B alone.
struct MatmulBlock {
  index_t rows = 0, columns = 0, k = 0;
  const float* a = nullptr;
  index_t a_row = 0, a_col = 1;  ///< strides of A
  /// Room for gathered_rows × k, or null. Given, rows of A are copied there first, which pays where
  /// the columns of A are far apart; a_row must be 1.
  float* a_room = nullptr;
  const float* b = nullptr;
  index_t b_row = 0;    ///< between the rows of B within a panel
  index_t b_panel = 0;  ///< between the panels of panel_columns() columns
  float* c = nullptr;
  index_t c_row = 0;
  bool resume = false;  ///< the sums go on from what c holds
  bool finish = true;   ///< alpha, bias and add follow; else c receives the bare sums
  float alpha = 1;
  const float* bias = nullptr;  ///< [columns] or null
  const float* add = nullptr;   ///< [rows, columns], added last, or null; may be c where not resume
  index_t add_row = 0;
};

using MatmulBlockRun = void (*)(const MatmulBlock& block);

/// Writes the panels of B [k, columns].
using MatmulPack = void (*)(index_t k, index_t columns, const MatrixView<float>& b, float* panels);

/// A piece of C = A Wᵀ for few rows of A and `columns` stored rows W [columns, k].
struct StreamArgs {
  WeightType type = WeightType::f32;
  index_t rows = 0, columns = 0, k = 0;
  const float* a = nullptr;
  index_t a_row = 0;
  const unsigned char* weights = nullptr;
  index_t weight_row = 0;  ///< bytes
  float* c = nullptr;
  index_t c_row = 0;
};

using MatmulStream = void (*)(const StreamArgs& args);

namespace scalar {
template <class T>
void matmul(Workers& workers, const MatmulArgs<T>& args);
}
namespace avx2 {
void matmul_block(const MatmulBlock& block);
void matmul_stream(const StreamArgs& args);
void matmul_pack(index_t k, index_t columns, const MatrixView<float>& b, float* panels);
}  // namespace avx2
namespace avx512 {
void matmul_block(const MatmulBlock& block);
void matmul_stream(const StreamArgs& args);
void matmul_pack(index_t k, index_t columns, const MatrixView<float>& b, float* panels);
}  // namespace avx512

/// c ← activation(c), for a block [rows, columns].
void matmul_activate(Isa isa, Unary activation, index_t rows, index_t columns, float* c,
                     index_t c_row);

/// The rows of the table that have a file of their own.
extern const MatmulImpl matmul_tiled, matmul_streamed, matmul_small, matmul_pairs, matmul_packed,
    matmul_onednn;

}  // namespace attn::kernels
