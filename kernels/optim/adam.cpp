#include "kernels/optim/adam.hpp"

#include "kernels/dispatch.hpp"
#include "kernels/optim/adam_levels.hpp"

#include <algorithm>
#include <cmath>
#include <type_traits>

namespace attn::kernels {

template <class T>
void adam(Isa isa, Workers& workers, const AdamArgs<T>& args) {
  const auto t = static_cast<double>(args.step);
  const AdamCoefficients<T> c{static_cast<T>(1 - args.lr * args.weight_decay),
                              static_cast<T>(1 - args.beta1),
                              static_cast<T>(args.beta2),
                              static_cast<T>(1 - args.beta2),
                              static_cast<T>(args.lr / (1 - std::pow(args.beta1, t))),
                              static_cast<T>(std::sqrt(1 - std::pow(args.beta2, t))),
                              static_cast<T>(args.eps)};
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
