#pragma once

#include "kernels/isa.hpp"

namespace attn::kernels {

/// The one of a family's three versions that belongs to the level; called once per kernel call, not
/// per row.
template <class Version>
constexpr Version at_level(Isa isa, Version scalar, Version avx2, Version avx512) noexcept {
  switch (isa) {
    case Isa::amx:  // where it has more, the kernel asks for it itself
    case Isa::avx512: return avx512;
    case Isa::avx2: return avx2;
    case Isa::scalar: break;
  }
  return scalar;
}

}  // namespace attn::kernels
