#include "kernels/optim/adam.hpp"

#include "kernels/dispatch.hpp"
#include "kernels/optim/adam_levels.hpp"

#include <algorithm>
#include <cmath>
#include <type_traits>

namespace attn::kernels {
namespace {

// By squaring, several times as fast as std::pow, which would be half of a toy model's update. The
// relative error grows with the exponent, but beta^t falls faster: 1 - beta^t is exact to 1e-13 for
// any beta up to 0.9999.
double power(double base, std::int64_t exponent) {
  double result = 1;
  for (; exponent > 0; exponent >>= 1, base *= base) {
    if ((exponent & 1) != 0) result *= base;
  }
  return result;
}

}  // namespace

template <class T>
void adam(Isa isa, Workers& workers, const AdamArgs<T>& args) {
  const AdamCoefficients<T> c{static_cast<T>(1 - args.lr * args.weight_decay),
                              static_cast<T>(1 - args.beta1),
                              static_cast<T>(args.beta2),
                              static_cast<T>(1 - args.beta2),
                              static_cast<T>(args.lr / (1 - power(args.beta1, args.step))),
                              static_cast<T>(std::sqrt(1 - power(args.beta2, args.step))),
                              static_cast<T>(args.eps),
                              static_cast<T>(args.gradient_scale)};
  AdamUpdate<T> update = scalar::adam_update<T>;
  if constexpr (std::is_same_v<T, float>) {
    update = at_level<AdamUpdate<float>>(isa, update, avx2::adam_update, avx512::adam_update);
  }
  // 64 KiB of each of the four arrays a chunk: enough work to be worth a hand-over between threads
  constexpr index_t grain = 16384;
  parallel_for(workers, ceil_div(args.n, grain), [&](index_t chunk, int) {
    const index_t at = chunk * grain;
    update(std::min(grain, args.n - at), c, args.param + at, args.m + at, args.v + at,
           args.grad + at);
  });
}

template void adam(Isa, Workers&, const AdamArgs<float>&);
template void adam(Isa, Workers&, const AdamArgs<double>&);

}  // namespace attn::kernels
