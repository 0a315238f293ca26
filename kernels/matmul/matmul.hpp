#pragma once

#include "kernels/elementwise/elementwise.hpp"
#include "kernels/isa.hpp"
#include "kernels/quant/quant.hpp"
#include "kernels/workers.hpp"

#include <optional>
#include <span>
#include <string>

namespace attn::kernels {

/// A matrix in memory: element (i, j) is at data[i · row_stride + j · col_stride]; one of the
/// strides is 1 (or the matrix has a single row or column), so a transposed operand is the same
/// data with its strides exchanged.
template <class T>
struct MatrixView {
  const T* data = nullptr;
  index_t row_stride = 0, col_stride = 1;
};

/// B as a model's file stores it: Bᵀ [n, k] in rows of `type` (k a whole number of its blocks),
/// without gaps and of any alignment, read where it stands; or the same as tiles
/// (kernels/tiles/tiles.hpp), whose products are not f32-grade: A has 16 bits a block of 32 for
/// few rows (m ≤ 8, maybe more), and above that both operands may be rounded to bfloat16, with sums
/// in f32.
struct StoredWeights {
  const void* data = nullptr;
  WeightType type = WeightType::f32;
  const void* tiles = nullptr;  ///< data is then not read
  /// `data` holds the rows of B [k, n] itself, n a whole number of blocks: the way back through a
  /// projection, dX = dY W.
  bool rows_of_b = false;
};

/// C[b] = act(alpha · A[b] · B[b] + bias) or, where `accumulate`, that without an activation plus
/// C[b], for b < batch: accumulate and activation exclude each other. A [m, k], B [k, n], C [m, n]
/// with contiguous rows. m, n, k and batch may be 0 or 1; with k = 0 the product is 0. A batch
/// stride of 0 shares the operand. C overlaps neither A nor B.
template <class T>
struct MatmulArgs {
  index_t m = 0, n = 0, k = 0, batch = 1;
  MatrixView<T> a, b;
  T* c = nullptr;
  index_t stride_c = 0;  ///< between rows of C
  index_t batch_stride_a = 0, batch_stride_b = 0, batch_stride_c = 0;
  T alpha = 1;
  bool accumulate = false;  ///< not with an activation
  /// Both operands may be rounded to bfloat16, with sums in f32 (NMSE ≤ 1e-4).
  bool bf16 = false;
  const T* bias = nullptr;  ///< [n] or null
  std::optional<Unary> activation;
  /// B as stored weights; data and tiles null: b or packed_b are read. With batch 1, and
  /// accumulate only with rows of B, or with tiles and m > 8.
  StoredWeights stored;
  /// B as matmul_pack wrote it for this level and implementation, or null. b is then not read.
  const void* packed_b = nullptr;
  /// matmul_scratch_bytes() bytes, 64-byte aligned; may be null where that is 0.
  void* scratch = nullptr;
};

/// What the choice of an implementation may depend on. For 1 ≤ m ≤ 8 it must not depend on m: a
/// row's bits are the same alone or among up to 8 (see docs/architecture.md).
struct MatmulProblem {
  index_t m = 0, n = 0, k = 0, batch = 1;
  bool a_transposed = false, b_transposed = false;  ///< col_stride ≠ 1
  bool b_constant = false;  ///< B is a weight: it may be packed once and used many times
  bool f64 = false;
  bool stored = false;            ///< B is StoredWeights
  bool tiled = false;             ///< and those are tiles
  bool stored_rows_of_b = false;  ///< or rows of B
  bool bf16 = false;              ///< operands may be rounded to bfloat16
};

/// A row of the implementation table, best first, the reference last.
struct MatmulImpl {
  const char* name;
  /// Null if it takes the problem, else the reason it declines.
  const char* (*declines)(const MatmulProblem&, Isa);
  /// Bytes of scratch for one call with that many workers.
  std::size_t (*scratch_bytes)(const MatmulProblem&, Isa, int workers);
  /// Bytes of a packed B [k, n]; 0 if it reads B where it stands.
  std::size_t (*packed_bytes)(const MatmulProblem&, Isa);
  void (*pack)(const MatmulProblem&, Isa, const MatrixView<float>& b, void* packed);
  void (*run)(Isa, Workers&, const MatmulArgs<float>&);
};

[[nodiscard]] std::span<const MatmulImpl> matmul_table() noexcept;

/// The first row that takes the problem. With `log`, one line with why the rows before it declined.
[[nodiscard]] const MatmulImpl& choose_matmul(const MatmulProblem& problem, Isa isa,
                                              std::string* log = nullptr);

/// float: chooses by the table and runs; the caller has provided scratch for that row. double: the
/// reference. Error bound (float): |c − exact| ≤ (k + 8) · 2⁻²⁴ · (|alpha| Σ|a||b| + |bias| + |c|)
/// per element before an activation; exact on small integers. For tiles see StoredWeights.
template <class T>
void matmul(Isa isa, Workers& workers, const MatmulArgs<T>& args);

}  // namespace attn::kernels
