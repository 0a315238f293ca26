#include "kernels/isa.hpp"

#include "attn/error.hpp"

#include <array>
#include <cpuid.h>
#include <cstdlib>

namespace attn::kernels {
namespace {

constexpr std::array<Isa, isa_count> levels{Isa::scalar, Isa::avx2, Isa::avx512};

// a feature that clang's __builtin_cpu_supports has no name for
bool has_f16c() noexcept {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}

}  // namespace

std::string_view isa_name(Isa isa) noexcept {
  switch (isa) {
    case Isa::scalar: return "scalar";
    case Isa::avx2: return "avx2";
    case Isa::avx512: return "avx512";
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
  throw Error(ErrorKind::usage,
              source + ": unknown level '" + std::string(request) + "'; scalar, avx2 or avx512");
}

}  // namespace attn::kernels
