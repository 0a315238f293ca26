#pragma once

// For *_simd.cpp files only: they are compiled once per ISA level, and everything in them lives in
// namespace attn::kernels::ATTN_ISA_NS. They include nothing from the standard library that could
// emit an inline function under a name another object shares (containers, algorithms, streams).

#ifndef ATTN_ISA_NS
#error "simd.hpp belongs to *_simd.cpp files"
#endif

#include <xsimd/xsimd.hpp>

#include "kernels/types.hpp"

namespace attn::kernels::ATTN_ISA_NS {

#if defined(ATTN_ISA_avx512)
using arch = xsimd::avx512bw;
#elif defined(ATTN_ISA_avx2)
using arch = xsimd::fma3<xsimd::avx2>;
#endif

using vf = xsimd::batch<float, arch>;
using vi = xsimd::batch<int, arch>;
inline constexpr index_t lanes = static_cast<index_t>(vf::size);

}  // namespace attn::kernels::ATTN_ISA_NS
