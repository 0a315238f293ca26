#include "bench/machine_dot.hpp"

#include "bench/machine.hpp"
#include "bench/machine_rate.hpp"

#include <benchmark/benchmark.h>

#include <cpuid.h>
#include <cstdint>
#include <immintrin.h>
#include <map>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>

namespace attn::bench {
namespace {

using kernels::index_t;

// As many independent sums as machine_levels.hpp's arithmetic loop has, for the same reason.
constexpr int chains = 12;

__attribute__((target("avx512f,avx512bf16"))) void avx512_bf16_loop(index_t steps) {
  __m512 sums[chains];
  for (__m512& sum : sums) sum = _mm512_setzero_ps();
  const __m512bh one = _mm512_cvtne2ps_pbh(_mm512_set1_ps(1), _mm512_set1_ps(1));
  for (index_t step = 0; step < steps; ++step) {
    for (__m512& sum : sums) sum = _mm512_dpbf16_ps(sum, one, one);
  }
  for (__m512& sum : sums) benchmark::DoNotOptimize(sum);
}

__attribute__((target("avx512f,avx512vnni"))) void avx512_vnni_loop(index_t steps) {
  __m512i sums[chains];
  for (__m512i& sum : sums) sum = _mm512_setzero_si512();
  const __m512i one = _mm512_set1_epi32(0x01010101);
  for (index_t step = 0; step < steps; ++step) {
    for (__m512i& sum : sums) sum = _mm512_dpbusd_epi32(sum, one, one);
  }
  for (__m512i& sum : sums) benchmark::DoNotOptimize(sum);
}

// Eight tiles of 16 rows of 64 bytes, as the instruction ldtilecfg reads it.
struct alignas(64) TileConfig {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// Four sums, two by two from four operands, hide the latency: 52 cycles at one product in 16.
constexpr int tile_chains = 4;

__attribute__((target("amx-tile,amx-bf16"))) void amx_bf16_loop(index_t steps) {
  const TileConfig config;
  _tile_loadconfig(&config);  // zeroes the tiles
  for (index_t step = 0; step < steps; ++step) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_release();
}

__attribute__((target("amx-tile,amx-int8"))) void amx_int8_loop(index_t steps) {
  const TileConfig config;
  _tile_loadconfig(&config);
  for (index_t step = 0; step < steps; ++step) {
    _tile_dpbssd(0, 4, 6);
    _tile_dpbssd(1, 4, 7);
    _tile_dpbssd(2, 5, 6);
    _tile_dpbssd(3, 5, 7);
  }
  _tile_release();
}

// Has the CPU tiles and the feature of that bit, and may this process use them? The kernel saves
// tiles only for those who ask (Documentation/arch/x86/xstate.rst).
bool has_tiles(unsigned feature) {
  constexpr unsigned tiles = 1U << 24;
  constexpr int request_permission = 0x1023, tile_data = 18;
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (edx & tiles) != 0 &&
         (edx & feature) != 0 && ::syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}

struct Loop {
  void (*run)(index_t steps);
  double operations;  // a step
};

Loop loop_of(Dot dot) {
  constexpr double vector = 2.0 * chains * 16, tile = 2.0 * tile_chains * 16 * 16 * 16;
  switch (dot) {
    case Dot::avx512_bf16: return {avx512_bf16_loop, 2 * vector};
    case Dot::avx512_vnni: return {avx512_vnni_loop, 4 * vector};
    case Dot::amx_bf16: return {amx_bf16_loop, 2 * tile};
    case Dot::amx_int8: break;
  }
  return {amx_int8_loop, 4 * tile};
}

}  // namespace

std::string_view dot_name(Dot dot) {
  switch (dot) {
    case Dot::avx512_bf16: return "avx512_bf16";
    case Dot::avx512_vnni: return "avx512_vnni";
    case Dot::amx_bf16: return "amx_bf16";
    case Dot::amx_int8: return "amx_int8";
  }
  return "?";
}

std::string_view dot_type(Dot dot) {
  return dot == Dot::avx512_bf16 || dot == Dot::amx_bf16 ? "bf16" : "int8";
}

bool dot_supported(Dot dot) {
  switch (dot) {
    case Dot::avx512_bf16: return __builtin_cpu_supports("avx512bf16");
    case Dot::avx512_vnni: return __builtin_cpu_supports("avx512vnni");
    case Dot::amx_bf16: return has_tiles(1U << 22);
    case Dot::amx_int8: return has_tiles(1U << 25);
  }
  return false;
}

double dot_limit(Dot dot, int threads) {
  static std::map<std::pair<Dot, int>, double> known;
  const auto [at, fresh] = known.try_emplace({dot, threads}, 0.0);
  if (fresh && dot_supported(dot)) {
    constexpr index_t steps = 10000;
    const Loop loop = loop_of(dot);
    at->second = 1e-9 * best_rate(threads, loop.operations * steps,
                                  [&](index_t, index_t repeats) { loop.run(steps * repeats); });
  }
  return at->second;
}

Bf16Limit bf16_limit(kernels::Isa isa, int threads) {
  Bf16Limit best{std::string(kernels::isa_name(isa)) + " f32", arithmetic_limit(isa, threads)};
  for (const Dot dot : {Dot::avx512_bf16, Dot::amx_bf16}) {
    if (isa < (dot == Dot::amx_bf16 ? kernels::Isa::amx : kernels::Isa::avx512)) continue;
    const double rate = dot_limit(dot, threads);
    if (rate > best.rate) best = {std::string(dot_name(dot)), rate};
  }
  return best;
}

}  // namespace attn::bench
