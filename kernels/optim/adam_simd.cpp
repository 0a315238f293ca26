#include "kernels/optim/adam_levels.hpp"
#include "kernels/simd.hpp"

namespace attn::kernels::ATTN_ISA_NS {
namespace {

struct Updated {
  vf p, m, v;
};

Updated step(const AdamCoefficients<float>& c, vf p, vf m, vf v, vf g) {
  g = g * vf(c.gradient_scale);
  m += (g - m) * vf(c.one_minus_beta1);
  v = vf(c.beta2) * v + vf(c.one_minus_beta2) * (g * g);
  p = p * vf(c.decay) - vf(c.step_size) * (m / (xsimd::sqrt(v) / vf(c.sqrt_bias2) + vf(c.eps)));
  return {p, m, v};
}

}  // namespace

void adam_update(index_t n, const AdamCoefficients<float>& c, float* p, float* m, float* v,
                 const float* g) {
  index_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const Updated u = step(c, vf::load_unaligned(p + i), vf::load_unaligned(m + i),
                           vf::load_unaligned(v + i), vf::load_unaligned(g + i));
    u.p.store_unaligned(p + i);
    u.m.store_unaligned(m + i);
    u.v.store_unaligned(v + i);
  }
  if (const index_t rest = n - i; rest > 0) {
    const Updated u = step(c, load_partial(p + i, rest), load_partial(m + i, rest),
                           load_partial(v + i, rest), load_partial(g + i, rest));
    store_partial(p + i, rest, u.p);
    store_partial(m + i, rest, u.m);
    store_partial(v + i, rest, u.v);
  }
}

}  // namespace attn::kernels::ATTN_ISA_NS
