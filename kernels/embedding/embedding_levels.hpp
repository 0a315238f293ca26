#pragma once

#include "kernels/types.hpp"

#include <cstdint>

namespace attn::kernels {

/// gather_rows on the caller's thread; a version at every level.
template <class T>
using GatherRows = void (*)(index_t count, index_t cols, const T* table, const std::int32_t* ids,
                            T* y);

/// scatter_add_rows on the caller's thread over `cols` columns of rows that begin `stride` apart,
/// in dy and dtable alike; a version at every level.
template <class T>
using ScatterAddRows = void (*)(index_t count, index_t cols, index_t stride, const T* dy,
                                const std::int32_t* ids, T* dtable);

namespace scalar {
template <class T>
void gather_rows(index_t count, index_t cols, const T* table, const std::int32_t* ids, T* y);
template <class T>
void scatter_add_rows(index_t count, index_t cols, index_t stride, const T* dy,
                      const std::int32_t* ids, T* dtable);
}  // namespace scalar
namespace avx2 {
void gather_rows(index_t count, index_t cols, const float* table, const std::int32_t* ids,
                 float* y);
void scatter_add_rows(index_t count, index_t cols, index_t stride, const float* dy,
                      const std::int32_t* ids, float* dtable);
}  // namespace avx2
namespace avx512 {
void gather_rows(index_t count, index_t cols, const float* table, const std::int32_t* ids,
                 float* y);
void scatter_add_rows(index_t count, index_t cols, index_t stride, const float* dy,
                      const std::int32_t* ids, float* dtable);
}  // namespace avx512

}  // namespace attn::kernels
