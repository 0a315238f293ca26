#pragma once

#include "kernels/rope/rope.hpp"

namespace attn::kernels {

/// The tokens [begin, end) on the caller's thread; a version at every level.
template <class T>
using RopeRun = void (*)(const RopeArgs<T>& args, index_t begin, index_t end);

namespace scalar {
template <class T>
void rope(const RopeArgs<T>& args, index_t begin, index_t end);
}
namespace avx2 {
void rope(const RopeArgs<float>& args, index_t begin, index_t end);
}
namespace avx512 {
void rope(const RopeArgs<float>& args, index_t begin, index_t end);
}

}  // namespace attn::kernels
