#include "kernels/matmul/matmul.hpp"

#include "kernels/matmul/matmul_levels.hpp"

#include <type_traits>

namespace attn::kernels {
namespace {

const MatmulImpl reference{
    "reference",
    [](const MatmulProblem&, Isa) -> const char* { return nullptr; },
    [](const MatmulProblem&, Isa, int) -> std::size_t { return 0; },
    [](const MatmulProblem&, Isa) -> std::size_t { return 0; },
    [](const MatmulProblem&, Isa, const MatrixView<float>&, void*) {},
    [](Isa, Workers& workers, const MatmulArgs<float>& args) { scalar::matmul(workers, args); }};

}  // namespace

std::span<const MatmulImpl> matmul_table() noexcept {
  // oneDNN after ours, which is as fast at every shape measured (bench/kernels/matmul_bench.cpp)
  static const MatmulImpl table[] = {matmul_tiled,  matmul_streamed, matmul_small, matmul_pairs,
                                     matmul_packed, matmul_onednn,   reference};
  return table;
}

const MatmulImpl& choose_matmul(const MatmulProblem& problem, Isa isa, std::string* log) {
  for (const MatmulImpl& impl : matmul_table()) {
    const char* const reason = impl.declines(problem, isa);
    if (reason == nullptr) {
      if (log != nullptr) *log += impl.name;
      return impl;
    }
    if (log != nullptr) *log += std::string(impl.name) + " declines (" + reason + "); ";
  }
  return matmul_table().back();  // not reached: the reference takes everything
}

template <class T>
void matmul(Isa isa, Workers& workers, const MatmulArgs<T>& args) {
  if constexpr (std::is_same_v<T, float>) {
    const MatmulProblem problem{args.m,
                                args.n,
                                args.k,
                                args.batch,
                                args.a.col_stride != 1,
                                args.b.col_stride != 1,
                                args.packed_b != nullptr,
                                false,
                                args.stored.data != nullptr || args.stored.tiles != nullptr,
                                args.stored.tiles != nullptr,
                                args.stored.data != nullptr && args.stored.rows_of_b,
                                args.bf16};
    choose_matmul(problem, isa).run(isa, workers, args);
  } else {
    scalar::matmul(workers, args);
  }
}

template void matmul(Isa, Workers&, const MatmulArgs<float>&);
template void matmul(Isa, Workers&, const MatmulArgs<double>&);

}  // namespace attn::kernels
