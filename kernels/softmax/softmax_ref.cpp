#include "kernels/softmax/softmax_levels.hpp"

#include <cmath>
#include <limits>

namespace attn::kernels::scalar {
namespace {

// scale · x + mask − largest. Without a mask the difference is taken first: a product rounded
// before it would lose more than exp and sum together, and of huge scores only its rounding would
// be left.
template <class T>
T exponent(const SoftmaxArgs<T>& args, const T* x, const T* mask, index_t c, T top, T largest) {
  if (mask == nullptr) return args.scale * (x[c] - top);
  return std::fma(args.scale, x[c], mask[c] - largest);
}

}  // namespace

template <class T>
void softmax_rows(const SoftmaxArgs<T>& args, index_t first, index_t count) {
  constexpr T nothing = -std::numeric_limits<T>::infinity();
  for (index_t r = first; r < first + count; ++r) {
    const T* const x = args.x + r * args.stride_x;
    T* const y = args.y + r * args.stride_y;
    const T* const mask =
        args.mask == nullptr ? nullptr : args.mask + r % args.mask_rows * args.cols;
    const index_t seen = visible_columns(args, r);
    T largest = nothing;
    T top = 0;  // x where the score is largest, kept apart: y may be x
    bool number = true;
    for (index_t c = 0; c < seen; ++c) {
      const T z = std::fma(args.scale, x[c], mask == nullptr ? T{0} : mask[c]);
      number = number && !std::isnan(z);
      if (z > largest) {
        largest = z;
        top = x[c];
      }
    }
    double sum = 0;  // for floats too: this is the truth, and a long row of floats adds up errors
    for (index_t c = 0; c < seen; ++c) {
      y[c] = largest == nothing ? T{0} : std::exp(exponent(args, x, mask, c, top, largest));
      sum += static_cast<double>(y[c]);
    }
    for (index_t c = 0; c < seen; ++c) {
      if (!number) {
        y[c] = std::numeric_limits<T>::quiet_NaN();
      } else if (largest != nothing) {
        y[c] = static_cast<T>(static_cast<double>(y[c]) / sum);
      }
    }
    for (index_t c = seen; c < args.cols; ++c) y[c] = 0;
  }
}

template <class T>
void softmax_backward_rows(index_t rows, index_t cols, T scale, const T* y, const T* dy, T* dx) {
  for (index_t r = 0; r < rows; ++r) {
    const T *yr = y + r * cols, *dyr = dy + r * cols;
    double sum = 0;
    for (index_t c = 0; c < cols; ++c)
      sum += static_cast<double>(yr[c]) * static_cast<double>(dyr[c]);
    for (index_t c = 0; c < cols; ++c) {
      dx[r * cols + c] = scale * yr[c] * (dyr[c] - static_cast<T>(sum));
    }
  }
}

template void softmax_rows(const SoftmaxArgs<float>&, index_t, index_t);
template void softmax_rows(const SoftmaxArgs<double>&, index_t, index_t);
template void softmax_backward_rows(index_t, index_t, float, const float*, const float*, float*);
template void softmax_backward_rows(index_t, index_t, double, const double*, const double*,
                                    double*);

}  // namespace attn::kernels::scalar
