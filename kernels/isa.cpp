#include "kernels/isa.hpp"

#include "attn/error.hpp"
#include "kernels/cpu.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>

namespace attn::kernels {
namespace {

constexpr std::array<Isa, isa_count> levels{Isa::scalar, Isa::avx2, Isa::avx512, Isa::amx};

// Read once: they do not change while a process runs.
const CpuFeatures& features() noexcept {
  static const CpuFeatures found = cpu_features(ThisCpu());
  return found;
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

bool isa_supported(Isa isa) noexcept {
  switch (isa) {
    case Isa::scalar: return true;
    case Isa::avx2: return features().avx2;
    case Isa::avx512: return features().avx512;
    case Isa::amx: {
      static const bool usable = tiles_usable(ThisCpu());
      return usable;
    }
  }
  return false;
}

bool has_dot_products(Isa isa) noexcept { return isa >= Isa::avx512 && features().dots; }

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
  std::string shown(request);
  std::replace_if(
      shown.begin(), shown.end(), [](char c) { return c < 0x20 || c > 0x7e; }, '?');
  throw Error(ErrorKind::usage,
              source + ": unknown level '" + shown + "'; scalar, avx2, avx512 or amx");
}

}  // namespace attn::kernels
