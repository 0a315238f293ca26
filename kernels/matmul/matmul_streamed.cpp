// The row `streamed`: few rows against weights as a file stores them, as in the decode step of a
// language model. What counts is that every byte of them is read once, and soon enough.

#include "kernels/dispatch.hpp"
#include "kernels/matmul/matmul_levels.hpp"

#include <algorithm>

namespace attn::kernels {
namespace {

// Above as many rows, decoding weights into panels that all rows share is cheaper. Up to here a
// row's bits do not depend on the others.
constexpr index_t most_rows = 8;
// Bytes of weights a chunk: 2 µs or so, so that even a small projection is shared out evenly.
constexpr index_t grain = index_t{16} * 1024;

const char* declines(const MatmulProblem& p, Isa isa) {
  if (!p.stored || p.tiled || p.stored_rows_of_b) return "no stored rows of weights";
  if (p.a_transposed) return "A is transposed";
  if (isa == Isa::scalar) return "needs AVX2";
  if (p.m > most_rows) return "more than 8 rows";
  return nullptr;
}

std::size_t no_bytes(const MatmulProblem&, Isa, int) { return 0; }
std::size_t not_packed(const MatmulProblem&, Isa) { return 0; }
void no_pack(const MatmulProblem&, Isa, const MatrixView<float>&, void*) {}

void finish(Isa isa, const MatmulArgs<float>& p, index_t from, index_t count) {
  for (index_t i = 0; i < p.m; ++i) {
    float* const c = p.c + i * p.stride_c + from;
    for (index_t j = 0; j < count; ++j) {
      c[j] = c[j] * p.alpha + (p.bias != nullptr ? p.bias[from + j] : 0);
    }
  }
  if (p.activation) {
    float* const c = p.c + from;
    matmul_activate(isa, *p.activation, p.m, count, c, p.stride_c);
  }
}

void run(Isa isa, Workers& workers, const MatmulArgs<float>& p) {
  if (p.m <= 0 || p.n <= 0) return;
  const index_t bytes = row_bytes(p.stored.type, p.k);
  const index_t rows = std::max<index_t>(4, grain / std::max<index_t>(1, bytes) / 4 * 4);
  const auto stream =
      at_level<MatmulStream>(isa, avx2::matmul_stream, avx2::matmul_stream, avx512::matmul_stream);
  parallel_for(workers, ceil_div(p.n, rows), [&](index_t chunk, int) {
    const index_t from = chunk * rows, count = std::min(rows, p.n - from);
    StreamArgs args;
    args.type = p.stored.type;
    args.rows = p.m;
    args.columns = count;
    args.k = p.k;
    args.a = p.a.data;
    args.a_row = p.a.row_stride;
    args.weights = static_cast<const unsigned char*>(p.stored.data) + from * bytes;
    args.weight_row = bytes;
    args.c = p.c + from;
    args.c_row = p.stride_c;
    stream(args);
    if (p.alpha != 1 || p.bias != nullptr || p.activation) finish(isa, p, from, count);
  });
}

}  // namespace

const MatmulImpl matmul_streamed{"streamed", declines, no_bytes, not_packed, no_pack, run};

}  // namespace attn::kernels
