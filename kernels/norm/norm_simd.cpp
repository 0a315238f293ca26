#include "kernels/norm/norm_levels.hpp"
#include "kernels/reduce/lane_sums.hpp"

namespace attn::kernels::ATTN_ISA_NS {
namespace {

// gamma and beta may be absent
template <class Access>
inline vf load_or(float absent, const float* p, index_t c, Access at) {
  return p != nullptr ? at.load(p + c) : vf(absent);
}

void fill_zero(index_t n, float* y) {
  for_vectors(n, [&](index_t i, auto at) { at.store(y + i, vf(0.0F)); });
}

// The square root as an instruction: the library's function would set errno.
inline float reciprocal_root(float v) { return 1.0F / _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(v))); }

struct Moments {
  float pivot, rest, var;  // the mean is pivot + rest
};

// Mean and variance from the differences to a pivot. Those are nearly exact where the mean is large
// against the deviations, and `rest` keeps what a float cannot hold of such a mean.
Moments moments_about(float pivot, index_t cols, const float* x) {
  const auto n = static_cast<float>(cols);
  const Sums<2> sums = lane_sums<2>(cols, [x, pivot](index_t c, auto at) {
    const vf d = at.keep(at.load(x + c) - vf(pivot));
    return Sums<2>{{d, d * d}};
  });
  const float rest = total(sums.v[0]) / n;
  return {pivot, rest, total(sums.v[1]) / n - rest * rest};
}

// The mean of the first vector is pivot enough for most rows, and saves a pass over them. Where it
// is further from the row's mean than the deviations are, the subtraction in the variance would
// cancel, and a second pass takes the mean itself. (A NaN compares false and stays.)
Moments moments(index_t cols, const float* x) {
  const index_t few = cols < lanes ? cols : lanes;
  const vf first = cols < lanes ? load_partial(x, cols) : vf::load_unaligned(x);
  const Moments about_few = moments_about(total(first) / static_cast<float>(few), cols, x);
  if (!(about_few.rest * about_few.rest > about_few.var)) return about_few;
  return moments_about(about_few.pivot + about_few.rest, cols, x);
}

}  // namespace

void layer_norm(index_t rows, index_t cols, float eps, const float* x, const float* gamma,
                const float* beta, float* y, float* mean, float* rstd) {
  for (index_t r = 0; r < rows; ++r, x += cols, y += cols) {
    const Moments m = moments(cols, x);
    const float scale = reciprocal_root((m.var < 0 ? 0 : m.var) + eps);
    for_vectors(cols, [&](index_t c, auto at) {
      const vf normal = ((at.load(x + c) - vf(m.pivot)) - vf(m.rest)) * vf(scale);
      at.store(y + c, fused(normal, load_or(1, gamma, c, at), load_or(0, beta, c, at)));
    });
    if (mean != nullptr) mean[r] = m.pivot + m.rest;
    if (rstd != nullptr) rstd[r] = scale;
  }
}

void layer_norm_backward(index_t rows, index_t cols, const float* x, const float* gamma,
                         const float* mean, const float* rstd, const float* dy, float* dx,
                         float* dgamma, float* dbeta) {
  const auto n = static_cast<float>(cols);
  if (dgamma != nullptr) {
    fill_zero(cols, dgamma);
    fill_zero(cols, dbeta);
  }
  for (index_t r = 0; r < rows; ++r, x += cols, dy += cols) {
    const float m = mean[r], scale = rstd[r];
    const Sums<3> sums = lane_sums<3>(cols, [=](index_t c, auto at) {
      const vf d = at.keep(at.load(x + c) - vf(m));
      const vf g = at.load(dy + c) * load_or(1, gamma, c, at);
      return Sums<3>{{d, g, g * d}};
    });
    const float rest = total(sums.v[0]) / n;  // of the mean, as in layer_norm
    const float along_ones = total(sums.v[1]) / n;
    const float along_normal = (total(sums.v[2]) / n - rest * along_ones) * scale;
    for_vectors(cols, [&](index_t c, auto at) {
      const vf normal = ((at.load(x + c) - vf(m)) - vf(rest)) * vf(scale);
      const vf d = at.load(dy + c);
      if (dgamma != nullptr) {
        at.store(dgamma + c, fused(d, normal, at.load(dgamma + c)));
        at.store(dbeta + c, at.load(dbeta + c) + d);
      }
      if (dx != nullptr) {
        const vf g = d * load_or(1, gamma, c, at);
        at.store(dx + c, vf(scale) * fused(-normal, vf(along_normal), g - vf(along_ones)));
      }
    });
    if (dx != nullptr) dx += cols;
  }
}

void rms_norm(index_t rows, index_t cols, float eps, const float* x, const float* gamma, float* y,
              float* rstd) {
  const auto n = static_cast<float>(cols);
  for (index_t r = 0; r < rows; ++r, x += cols, y += cols) {
    const Sums<1> squares = lane_sums<1>(cols, [x](index_t c, auto at) {
      const vf v = at.load(x + c);
      return Sums<1>{{v * v}};
    });
    const float scale = reciprocal_root(total(squares.v[0]) / n + eps);
    for_vectors(cols, [&](index_t c, auto at) {
      at.store(y + c, at.load(x + c) * vf(scale) * load_or(1, gamma, c, at));
    });
    if (rstd != nullptr) rstd[r] = scale;
  }
}

void rms_norm_backward(index_t rows, index_t cols, const float* x, const float* gamma,
                       const float* rstd, const float* dy, float* dx, float* dgamma) {
  const auto n = static_cast<float>(cols);
  if (dgamma != nullptr) fill_zero(cols, dgamma);
  for (index_t r = 0; r < rows; ++r, x += cols, dy += cols) {
    const float scale = rstd[r];
    const Sums<1> sums = lane_sums<1>(cols, [=](index_t c, auto at) {
      return Sums<1>{{at.load(dy + c) * load_or(1, gamma, c, at) * at.load(x + c)}};
    });
    const float along_normal = total(sums.v[0]) / n * scale;
    for_vectors(cols, [&](index_t c, auto at) {
      const vf normal = at.load(x + c) * vf(scale);
      const vf d = at.load(dy + c);
      if (dgamma != nullptr) at.store(dgamma + c, fused(d, normal, at.load(dgamma + c)));
      if (dx != nullptr) {
        const vf g = d * load_or(1, gamma, c, at);
        at.store(dx + c, vf(scale) * fused(-normal, vf(along_normal), g));
      }
    });
    if (dx != nullptr) dx += cols;
  }
}

}  // namespace attn::kernels::ATTN_ISA_NS
