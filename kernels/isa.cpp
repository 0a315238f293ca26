#include "kernels/isa.hpp"

#include "attn/error.hpp"

#include <array>
#include <cpuid.h>
#include <cstdlib>
#include <sys/syscall.h>
#include <unistd.h>

namespace attn::kernels {
namespace {

constexpr std::array<Isa, isa_count> levels{Isa::scalar, Isa::avx2, Isa::avx512, Isa::amx};

// a feature that clang's __builtin_cpu_supports has no name for
bool has_f16c() noexcept {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}

// Some virtual machines advertise AMX with an empty palette, and Linux gives its registers only to
// who asks (https://docs.kernel.org/arch/x86/xstate.html).
bool amx_usable() noexcept {
  constexpr unsigned bf16_bit = 1U << 22, tile_bit = 1U << 24, tile_leaf = 0x1d;
  constexpr int request_permission = 0x1023, tile_data = 18;
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  if ((edx & bf16_bit) == 0 || (edx & tile_bit) == 0) return false;
  if (__get_cpuid_count(tile_leaf, 0, &eax, &ebx, &ecx, &edx) == 0 || eax < 1) return false;
  return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}

}  // namespace

std::string_view isa_name(Isa isa) noexcept {
  switch (isa) {
    case Isa::scalar: return "scalar";
    case Isa::avx2: return "avx2";
    case Isa::avx512: return "avx512";
    case Isa::amx: return "amx";
  }
  return "?";
}

// GCC's __builtin_cpu_supports reads CPUID and XCR0, so a level the operating system does not save
// registers for counts as absent.
bool isa_supported(Isa isa) noexcept {
  switch (isa) {
    case Isa::scalar: return true;
    case Isa::avx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c() &&
             __builtin_cpu_supports("bmi2");
    case Isa::avx512:
      return isa_supported(Isa::avx2) && __builtin_cpu_supports("avx512f") &&
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    case Isa::amx: {
      static const bool usable = has_dot_products(Isa::avx512) && amx_usable();
      return usable;
    }
  }
  return false;
}

bool has_dot_products(Isa isa) noexcept {
  return isa >= Isa::avx512 && __builtin_cpu_supports("avx512vnni") &&
         __builtin_cpu_supports("avx512bf16");
}

std::span<const Isa> supported_isas() noexcept {
  // every level contains the ones below it
  std::size_t count = 1;
  while (count < levels.size() && isa_supported(levels[count])) ++count;
  return std::span(levels).first(count);
}

IsaChoice choose_isa(std::string_view request) {
  std::string source = "asked for";
  if (request.empty()) {
    const char* env = std::getenv("ATTN_ISA");
    if (env == nullptr || *env == '\0') {
      const Isa best = supported_isas().back();
      return {best, best == levels.back() ? "the best level of this build, and the CPU has it"
                                          : "the best level of this CPU"};
    }
    request = env;
    source = "ATTN_ISA";
  }
  for (const Isa isa : levels) {
    if (isa_name(isa) != request) continue;
    if (!isa_supported(isa)) {
      throw Error(ErrorKind::usage, source + ": this CPU has no " + std::string(request) +
                                        "; its best level is " +
                                        std::string(isa_name(supported_isas().back())));
    }
    return {isa, source + " " + std::string(request)};
  }
  throw Error(ErrorKind::usage, source + ": unknown level '" + std::string(request) +
                                    "'; scalar, avx2, avx512 or amx");
}

}  // namespace attn::kernels
