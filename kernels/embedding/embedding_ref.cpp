#include "kernels/embedding/embedding_levels.hpp"

namespace attn::kernels::scalar {

template <class T>
void gather_rows(index_t count, index_t cols, const T* table, const std::int32_t* ids, T* y) {
  for (index_t i = 0; i < count; ++i) {
    for (index_t c = 0; c < cols; ++c) y[i * cols + c] = table[ids[i] * cols + c];
  }
}

template <class T>
void scatter_add_rows(index_t count, index_t cols, index_t stride, const T* dy,
                      const std::int32_t* ids, T* dtable) {
  for (index_t i = 0; i < count; ++i) {
    for (index_t c = 0; c < cols; ++c) dtable[ids[i] * stride + c] += dy[i * stride + c];
  }
}

template void gather_rows(index_t, index_t, const float*, const std::int32_t*, float*);
template void gather_rows(index_t, index_t, const double*, const std::int32_t*, double*);
template void scatter_add_rows(index_t, index_t, index_t, const float*, const std::int32_t*,
                               float*);
template void scatter_add_rows(index_t, index_t, index_t, const double*, const std::int32_t*,
                               double*);

}  // namespace attn::kernels::scalar
