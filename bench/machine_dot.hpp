#pragma once

#include "kernels/isa.hpp"

#include <array>
#include <string>
#include <string_view>

namespace attn::bench {

/// Instructions that multiply numbers of 16 or 8 bits and add the products up, beyond the levels of
/// kernels/isa.hpp: AVX-512's, and AMX's on tiles of 16 rows of 64 bytes.
enum class Dot { avx512_bf16, avx512_vnni, amx_bf16, amx_int8 };

inline constexpr std::array dots{Dot::avx512_bf16, Dot::avx512_vnni, Dot::amx_bf16, Dot::amx_int8};

/// The feature's name, and the type of what is multiplied: "avx512_vnni", "int8".
[[nodiscard]] std::string_view dot_name(Dot dot);
[[nodiscard]] std::string_view dot_type(Dot dot);

/// True if CPU and operating system allow it; AMX has to be asked for, and this asks.
[[nodiscard]] bool dot_supported(Dot dot);

/// Multiplications and additions in 10^9 a second, in registers alone, on `threads` threads at
/// once; remembered as machine.hpp's limits are. 0 where it is not supported.
[[nodiscard]] double dot_limit(Dot dot, int threads);

/// What products of bf16 can reach at most with the instructions of a level.
struct Bf16Limit {
  std::string name;  ///< of the fastest instructions: a Dot's, or the level's own and "f32"
  double rate = 0;   ///< as dot_limit()
};
[[nodiscard]] Bf16Limit bf16_limit(kernels::Isa isa, int threads);

}  // namespace attn::bench
