#include "kernels/reduce/reduce_levels.hpp"
#include "kernels/simd.hpp"

namespace attn::kernels::ATTN_ISA_NS {
namespace {

#if defined(ATTN_ISA_avx512)
using Doubles = __m512d;
Doubles nothing() { return _mm512_setzero_pd(); }
Doubles widened(const float* x) { return _mm512_cvtps_pd(_mm256_loadu_ps(x)); }
Doubles add_square(Doubles sum, Doubles x) { return _mm512_fmadd_pd(x, x, sum); }
Doubles added(Doubles a, Doubles b) { return _mm512_add_pd(a, b); }
double total(Doubles v) { return _mm512_reduce_add_pd(v); }
#else
using Doubles = __m256d;
Doubles nothing() { return _mm256_setzero_pd(); }
Doubles widened(const float* x) { return _mm256_cvtps_pd(_mm_loadu_ps(x)); }
Doubles add_square(Doubles sum, Doubles x) { return _mm256_fmadd_pd(x, x, sum); }
Doubles added(Doubles a, Doubles b) { return _mm256_add_pd(a, b); }
double total(Doubles v) {
  const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
  return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}
#endif

}  // namespace

// In four chains: one would wait for its own latency.
double squared_norm(index_t n, const float* x) {
  constexpr index_t width = lanes / 2;
  Doubles a = nothing(), b = nothing(), c = nothing(), d = nothing();
  index_t i = 0;
  for (; i + 4 * width <= n; i += 4 * width) {
    a = add_square(a, widened(x + i));
    b = add_square(b, widened(x + i + width));
    c = add_square(c, widened(x + i + 2 * width));
    d = add_square(d, widened(x + i + 3 * width));
  }
  for (; i + width <= n; i += width) a = add_square(a, widened(x + i));
  double sum = total(added(added(a, b), added(c, d)));
  for (; i < n; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return sum;
}

}  // namespace attn::kernels::ATTN_ISA_NS
