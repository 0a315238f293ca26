#pragma once

#include <span>
#include <string>
#include <string_view>

namespace attn::kernels {

/// The instruction-set levels that every vectorized kernel is compiled for, lowest first.
/// `scalar` is the templated reference, which runs on any x86-64. `amx` is avx512 with products of
/// bfloat16 on tiles.
enum class Isa { scalar, avx2, avx512, amx };

inline constexpr int isa_count = 4;

[[nodiscard]] std::string_view isa_name(Isa isa) noexcept;

/// True if CPU and operating system (CPUID, XCR0) allow the level. Asking for amx asks Linux for
/// the process's permission to use its registers. Thread-safe.
[[nodiscard]] bool isa_supported(Isa isa) noexcept;

/// All the levels this machine can run, lowest first; never empty.
[[nodiscard]] std::span<const Isa> supported_isas() noexcept;

/// Does the level have dot products of bytes (VNNI) and of bfloat16 here? Thread-safe.
[[nodiscard]] bool has_dot_products(Isa isa) noexcept;

/// A level, and one clause that says why it was taken ("best of this CPU", "ATTN_ISA=avx2").
struct IsaChoice {
  Isa isa;
  std::string why;
};

/// The level to run at: `request` if it is not empty, else the environment's ATTN_ISA, else the
/// best of this CPU. Throws Error(usage) on a name that is unknown or a level that the CPU lacks.
[[nodiscard]] IsaChoice choose_isa(std::string_view request = {});

}  // namespace attn::kernels
