// The row `tiled`: a single projection.

#include "kernels/matmul/matmul_levels.hpp"
#include "kernels/matmul/projections.hpp"

namespace attn::kernels {
namespace {

const char* declines(const MatmulProblem& p, Isa isa) {
  if (!p.tiled) return "no tiles";
  if (isa == Isa::scalar) return "needs AVX2";
  return projects(isa, p.m) ? nullptr : "no bfloat16 products in this CPU";
}

std::size_t scratch_bytes(const MatmulProblem& p, Isa isa, int workers) {
  return p.tiled ? projections_scratch_bytes(isa, workers, p.m, p.k, false) : 0;
}

std::size_t not_packed(const MatmulProblem&, Isa) { return 0; }
void no_pack(const MatmulProblem&, Isa, const MatrixView<float>&, void*) {}

void run(Isa isa, Workers& workers, const MatmulArgs<float>& args) {
  Projection one;
  one.weights = args.stored;
  one.n = args.n;
  one.c = args.c;
  one.stride_c = args.stride_c;
  one.alpha = args.alpha;
  one.bias = args.bias;
  one.activation = args.activation;
  one.add = args.accumulate ? args.c : nullptr;
  one.stride_add = args.stride_c;
  Projections all;
  all.m = args.m;
  all.k = args.k;
  all.a = args.a;
  all.each = {&one, 1};
  all.scratch = args.scratch;
  project(isa, workers, all);
}

}  // namespace

const MatmulImpl matmul_tiled{"tiled", declines, scratch_bytes, not_packed, no_pack, run};

}  // namespace attn::kernels
