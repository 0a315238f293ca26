#include "kernels/reduce/squared_norm.hpp"

#include "kernels/dispatch.hpp"
#include "kernels/reduce/reduce_levels.hpp"

#include <algorithm>
#include <type_traits>

namespace attn::kernels {

template <class T>
double squared_norm(Isa isa, Workers& workers, index_t n, const T* x) {
  SquaredNorm<T> version = scalar::squared_norm<T>;
  if constexpr (std::is_same_v<T, float>) {
    version = at_level<SquaredNorm<float>>(isa, version, avx2::squared_norm, avx512::squared_norm);
  }
  // 64 KiB of floats a part: enough work to be worth a hand-over between threads; and parts enough
  // for many threads, whose sums fit the stack
  constexpr index_t grain = 16384, most_parts = 64;
  const index_t each = std::max(grain, ceil_div(n, most_parts)), parts = ceil_div(n, each);
  double sums[most_parts];
  parallel_for(workers, parts, [&](index_t part, int) {
    const index_t at = part * each;
    sums[part] = version(std::min(each, n - at), x + at);
  });
  double sum = 0;
  for (index_t part = 0; part < parts; ++part) sum += sums[part];
  return sum;
}

template double squared_norm(Isa, Workers&, index_t, const float*);
template double squared_norm(Isa, Workers&, index_t, const double*);

}  // namespace attn::kernels
