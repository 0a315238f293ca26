#include "kernels/cpu.hpp"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace attn::kernels {
namespace {

constexpr bool has_all(std::uint64_t bits, std::uint64_t wanted) {
  return (bits & wanted) == wanted;
}

constexpr std::uint64_t bit(int number) { return std::uint64_t{1} << number; }

// Bits of XCR0: SSE and AVX; the mask registers and both halves of the wide ones; tiles.
constexpr std::uint64_t saves_avx = bit(1) | bit(2), saves_avx512 = bit(5) | bit(6) | bit(7),
                        saves_tiles = bit(17) | bit(18);

// Some virtual machines advertise AMX with an empty palette, which has no tiles. Kernels take for
// granted 8 tiles of 16 rows of 64 bytes.
bool has_palette(const Cpu& cpu) {
  constexpr std::uint32_t leaf = 0x1d, palette = 1, names = 8, row_bytes = 64, rows = 16;
  if (cpu.cpuid(leaf, 0).eax < palette) return false;
  const CpuidAnswer tiles = cpu.cpuid(leaf, palette);
  return (tiles.ebx >> 16) >= names && (tiles.ebx & 0xffff) >= row_bytes &&
         (tiles.ecx & 0xffff) >= rows;
}

}  // namespace

CpuFeatures cpu_features(const Cpu& cpu) {
  CpuFeatures features;
  const CpuidAnswer basic = cpu.cpuid(1, 0);
  constexpr int fma = 12, xsave_by_system = 27, avx = 28, f16c = 29;
  if (!has_all(basic.ecx, bit(fma) | bit(xsave_by_system) | bit(avx) | bit(f16c))) return features;
  const std::uint64_t saved = cpu.saved_registers();
  const CpuidAnswer extended = cpu.cpuid(7, 0);
  constexpr int avx2 = 5, bmi2 = 8;
  features.avx2 = has_all(saved, saves_avx) && has_all(extended.ebx, bit(avx2) | bit(bmi2));
  constexpr int f = 16, dq = 17, cd = 28, bw = 30, vl = 31;
  features.avx512 = features.avx2 && has_all(saved, saves_avx512) &&
                    has_all(extended.ebx, bit(f) | bit(dq) | bit(cd) | bit(bw) | bit(vl));
  // leaf 7 says in eax which the last of its parts is
  constexpr int vnni = 11, bf16 = 5;
  features.dots = features.avx512 && has_all(extended.ecx, bit(vnni)) && extended.eax >= 1 &&
                  has_all(cpu.cpuid(7, 1).eax, bit(bf16));
  constexpr int amx_bf16 = 22, amx_tile = 24;
  features.tiles = features.dots && has_all(saved, saves_tiles) &&
                   has_all(extended.edx, bit(amx_bf16) | bit(amx_tile)) && has_palette(cpu);
  return features;
}

bool tiles_usable(const Cpu& cpu) { return cpu_features(cpu).tiles && cpu.permits_tiles(); }

CpuidAnswer ThisCpu::cpuid(std::uint32_t leaf, std::uint32_t subleaf) const {
  CpuidAnswer answer;
  (void)__get_cpuid_count(leaf, subleaf, &answer.eax, &answer.ebx, &answer.ecx, &answer.edx);
  return answer;
}

std::uint64_t ThisCpu::saved_registers() const {
  // by hand: the compiler's name for it wants a flag that would let it use these registers
  std::uint32_t low = 0, high = 0;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return std::uint64_t{high} << 32 | low;
}

// Linux gives tiles only to who asks (https://docs.kernel.org/arch/x86/xstate.html).
bool ThisCpu::permits_tiles() const {
  constexpr int request_permission = 0x1023, tile_data = 18;
  return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}

}  // namespace attn::kernels
