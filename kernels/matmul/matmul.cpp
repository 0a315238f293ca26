#include "kernels/matmul/matmul.hpp"

#include "kernels/matmul/matmul_levels.hpp"

#include <bit>
#include <cstdint>
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

void round_to_bfloat(index_t n, float* x) {
  for (index_t i = 0; i < n; ++i) {
    auto bits = std::bit_cast<std::uint32_t>(x[i]);
    const std::uint32_t rounded = (bits + 0x7fffU + (bits >> 16 & 1U)) & 0xffff0000U;
    // a NaN whose high half would round up to infinity or zero keeps its bits
    bits = (bits & 0x7fffffffU) > 0x7f800000U ? bits : rounded;
    x[i] = std::bit_cast<float>(bits);
  }
}

std::span<const MatmulImpl> matmul_table() noexcept {
  // oneDNN after ours, which is as fast at every shape measured (bench/kernels/matmul_bench.cpp)
  static const MatmulImpl table[] = {matmul_streamed, matmul_small, matmul_packed, matmul_onednn,
                                     reference};
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
                                args.stored.data != nullptr};
    choose_matmul(problem, isa).run(isa, workers, args);
  } else {
    scalar::matmul(workers, args);
  }
}

template void matmul(Isa, Workers&, const MatmulArgs<float>&);
template void matmul(Isa, Workers&, const MatmulArgs<double>&);

}  // namespace attn::kernels
