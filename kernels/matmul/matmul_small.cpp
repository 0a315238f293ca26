// The row `small`: products so small that preparing them would cost more than they do.

#include "kernels/dispatch.hpp"
#include "kernels/matmul/matmul_levels.hpp"

#include <algorithm>

namespace attn::kernels {
namespace {

// Elements of B: 4 KiB, which is transposed on the stack where it must be, and stays in L1.
constexpr index_t largest_b = 1024;
// Rows, above which threads and packing pay.
constexpr index_t most_rows = 64;
// Multiplications a chunk of batch entries: 10 µs or so, to be worth a hand-over between threads.
constexpr index_t grain = 1 << 19;

const char* declines(const MatmulProblem& p, Isa isa) {
  if (p.f64) return "float only";
  if (p.stored) return "stored weights";
  if (isa == Isa::scalar) return "needs AVX2";
  if (p.m > most_rows) return "more than 64 rows";
  if (p.n * p.k > largest_b) return "B above 4 KiB";
  return nullptr;
}

std::size_t no_bytes(const MatmulProblem&, Isa, int) { return 0; }
std::size_t not_packed(const MatmulProblem&, Isa) { return 0; }
void no_pack(const MatmulProblem&, Isa, const MatrixView<float>&, void*) {}

void product(Isa isa, const MatmulArgs<float>& p, index_t entry, MatmulBlockRun block_at_level) {
  float transposed[largest_b];
  MatmulBlock block;
  block.rows = p.m;
  block.columns = p.n;
  block.k = p.k;
  block.a = p.a.data + entry * p.batch_stride_a;
  block.a_row = p.a.row_stride;
  block.a_col = p.a.col_stride;
  block.b = p.b.data + entry * p.batch_stride_b;
  block.b_row = p.b.row_stride;
  block.b_panel = panel_columns(isa);
  if (p.b.col_stride != 1) {
    for (index_t k = 0; k < p.k; ++k) {
      const float* from = block.b + k * p.b.row_stride;
      for (index_t j = 0; j < p.n; ++j) transposed[k * p.n + j] = from[j * p.b.col_stride];
    }
    block.b = transposed;
    block.b_row = p.n;
  }
  block.c = p.c + entry * p.batch_stride_c;
  block.c_row = p.stride_c;
  block.alpha = p.alpha;
  block.bias = p.bias;
  if (p.accumulate) {
    block.add = block.c;
    block.add_row = block.c_row;
  }
  block_at_level(block);
  if (p.activation) matmul_activate(isa, *p.activation, p.m, p.n, block.c, block.c_row);
}

void run(Isa isa, Workers& workers, const MatmulArgs<float>& p) {
  if (p.m <= 0 || p.n <= 0 || p.batch <= 0) return;
  const auto block_at_level =
      at_level<MatmulBlockRun>(isa, avx2::matmul_block, avx2::matmul_block, avx512::matmul_block);
  if (p.batch == 1) return product(isa, p, 0, block_at_level);
  const index_t entries = std::max<index_t>(1, grain / std::max<index_t>(1, p.m * p.n * p.k));
  parallel_for(workers, ceil_div(p.batch, entries), [&](index_t chunk, int) {
    const index_t end = std::min(p.batch, (chunk + 1) * entries);
    for (index_t entry = chunk * entries; entry < end; ++entry) {
      product(isa, p, entry, block_at_level);
    }
  });
}

}  // namespace

const MatmulImpl matmul_small{"small", declines, no_bytes, not_packed, no_pack, run};

}  // namespace attn::kernels
