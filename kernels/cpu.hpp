#pragma once

#include <cstdint>

namespace attn::kernels {

/// What CPUID leaves in the registers.
struct CpuidAnswer {
  std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

/// Whom features are asked of: this machine, or in tests one with answers of its own.
class Cpu {
 public:
  Cpu() = default;
  Cpu(const Cpu&) = delete;
  Cpu& operator=(const Cpu&) = delete;
  virtual ~Cpu() = default;

  /// Zeros for a leaf above the highest that leaf 0 names.
  [[nodiscard]] virtual CpuidAnswer cpuid(std::uint32_t leaf, std::uint32_t subleaf) const = 0;
  /// The registers that the system saves (XCR0); called only where CPUID says that it may be read.
  [[nodiscard]] virtual std::uint64_t saved_registers() const = 0;
  /// Asks the system for the process's permission to use tiles.
  [[nodiscard]] virtual bool permits_tiles() const = 0;
};

/// What kernels are compiled for, each true only with all below it, and where CPU and system allow
/// every instruction of it.
struct CpuFeatures {
  bool avx2 = false;    ///< AVX2, FMA, F16C, BMI2
  bool avx512 = false;  ///< F, BW, CD, DQ, VL
  bool dots = false;    ///< VNNI and BF16 of AVX-512
  bool tiles = false;   ///< AMX with bfloat16, in tiles of 16 rows of 64 bytes; not yet permitted
};

/// Sources: Intel's Software Developer's Manual, volume 2 (CPUID) and volume 1, 13 (XCR0).
[[nodiscard]] CpuFeatures cpu_features(const Cpu& cpu);

/// May tiles be used? Asks for the permission where the CPU has them.
[[nodiscard]] bool tiles_usable(const Cpu& cpu);

/// The machine that this runs on.
class ThisCpu final : public Cpu {
 public:
  [[nodiscard]] CpuidAnswer cpuid(std::uint32_t leaf, std::uint32_t subleaf) const override;
  [[nodiscard]] std::uint64_t saved_registers() const override;
  [[nodiscard]] bool permits_tiles() const override;
};

}  // namespace attn::kernels
