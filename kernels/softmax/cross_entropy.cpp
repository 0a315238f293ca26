#include "kernels/softmax/cross_entropy.hpp"

#include "kernels/dispatch.hpp"
#include "kernels/softmax/softmax_levels.hpp"

#include <algorithm>
#include <type_traits>

namespace attn::kernels {

template <class T>
void cross_entropy(Isa isa, Workers& workers, index_t rows, index_t cols,
                   const std::int32_t* targets, T scale, bool gradient, T* z, double* losses) {
  CrossEntropyRow<T> version = scalar::cross_entropy_row<T>;
  if constexpr (std::is_same_v<T, float>) {
    version = at_level<CrossEntropyRow<float>>(isa, version, avx2::cross_entropy_row,
                                               avx512::cross_entropy_row);
  }
  // elements of a chunk, some 10 µs: worth a hand-over between threads
  constexpr index_t grain = 32768;
  const index_t each = std::max<index_t>(1, grain / std::max<index_t>(1, cols));
  parallel_for(workers, ceil_div(rows, each), [&](index_t chunk, int) {
    for (index_t r = chunk * each; r < std::min(rows, (chunk + 1) * each); ++r) {
      losses[r] = version(cols, targets[r], scale, gradient, z + r * cols);
    }
  });
}

template void cross_entropy(Isa, Workers&, index_t, index_t, const std::int32_t*, float, bool,
                            float*, double*);
template void cross_entropy(Isa, Workers&, index_t, index_t, const std::int32_t*, double, bool,
                            double*, double*);

}  // namespace attn::kernels
