// Features by the answers of CPUs that this machine is not.

#include "kernels/cpu.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <string>
#include <utility>
#include <vector>

using namespace attn::kernels;

namespace {

constexpr std::uint32_t bits(std::initializer_list<int> numbers) {
  std::uint32_t all = 0;
  for (const int number : numbers) all |= std::uint32_t{1} << number;
  return all;
}

// A CPU with everything, of which each case takes something away.
class Answers final : public Cpu {
 public:
  std::map<std::pair<std::uint32_t, std::uint32_t>, CpuidAnswer> leaves{
      {{1, 0}, {.ecx = bits({12, 27, 28, 29})}},
      {{7, 0},
       {.eax = 1,
        .ebx = bits({5, 8, 16, 17, 28, 30, 31}),
        .ecx = bits({11}),
        .edx = bits({22, 24})}},
      {{7, 1}, {.eax = bits({5})}},
      {{0x1d, 0}, {.eax = 1}},
      {{0x1d, 1}, {.eax = 8192 | 1024 << 16, .ebx = 64 | 8 << 16, .ecx = 16}}};
  std::uint64_t saved = bits({0, 1, 2, 5, 6, 7, 17, 18});
  bool permitted = true;
  mutable int asked_permission = 0, read_saved = 0;

  [[nodiscard]] CpuidAnswer cpuid(std::uint32_t leaf, std::uint32_t subleaf) const override {
    const auto found = leaves.find({leaf, subleaf});
    return found == leaves.end() ? CpuidAnswer{} : found->second;
  }
  [[nodiscard]] std::uint64_t saved_registers() const override {
    ++read_saved;
    return saved;
  }
  [[nodiscard]] bool permits_tiles() const override {
    ++asked_permission;
    return permitted;
  }
};

std::string best_of(const Answers& cpu) {
  const CpuFeatures f = cpu_features(cpu);
  // each stands on those below
  CHECK(f.avx2 >= f.avx512);
  CHECK(f.avx512 >= f.dots);
  CHECK(f.dots >= f.tiles);
  if (tiles_usable(cpu)) return "amx";
  return f.dots ? "dots" : f.avx512 ? "avx512" : f.avx2 ? "avx2" : "scalar";
}

}  // namespace

TEST_CASE("a level counts only where CPU and system have all of it", "[isa]") {
  struct Case {
    std::string what, best;
    void (*without)(Answers&);
  };
  const std::vector<Case> cases{
      {"everything", "amx", [](Answers&) {}},
      // no permission, and palettes that hold nothing
      {"tiles that the system does not permit", "dots", [](Answers& c) { c.permitted = false; }},
      {"no palette", "dots",
       [](Answers& c) {
         c.leaves[{0x1d, 0}].eax = 0;
       }},
      {"no leaf of palettes", "dots",
       [](Answers& c) {
         c.leaves.erase({0x1d, 0});
       }},
      {"an empty palette", "dots",
       [](Answers& c) {
         c.leaves.erase({0x1d, 1});
       }},
      {"a palette without tiles", "dots",
       [](Answers& c) {
         c.leaves[{0x1d, 1}].ebx = 64;
       }},
      {"a palette of narrow rows", "dots",
       [](Answers& c) {
         c.leaves[{0x1d, 1}].ebx = 32 | 8 << 16;
       }},
      {"a palette of few rows", "dots",
       [](Answers& c) {
         c.leaves[{0x1d, 1}].ecx = 8;
       }},
      {"no bfloat16 on tiles", "dots",
       [](Answers& c) {
         c.leaves[{7, 0}].edx = bits({24});
       }},
      {"tiles that are not saved", "dots",
       [](Answers& c) {
         c.saved = bits({0, 1, 2, 5, 6, 7});
       }},
      {"tiles of which half is saved", "dots",
       [](Answers& c) {
         c.saved = bits({0, 1, 2, 5, 6, 7, 17});
       }},
      {"no VNNI", "avx512",
       [](Answers& c) {
         c.leaves[{7, 0}].ecx = 0;
       }},
      {"no BF16", "avx512",
       [](Answers& c) {
         c.leaves[{7, 1}].eax = 0;
       }},
      {"a leaf 7 of one part, and something else behind it", "avx512",
       [](Answers& c) {
         c.leaves[{7, 0}].eax = 0;
       }},
      {"no VL", "avx2",
       [](Answers& c) {
         c.leaves[{7, 0}].ebx = bits({5, 8, 16, 17, 28, 30});
       }},
      {"AVX-512 that is not saved", "avx2",
       [](Answers& c) {
         c.saved = bits({0, 1, 2});
       }},
      {"no BMI2", "scalar",
       [](Answers& c) {
         c.leaves[{7, 0}].ebx &= ~bits({8});
       }},
      {"no FMA", "scalar",
       [](Answers& c) {
         c.leaves[{1, 0}].ecx &= ~bits({12});
       }},
      {"no F16C", "scalar",
       [](Answers& c) {
         c.leaves[{1, 0}].ecx &= ~bits({29});
       }},
      {"AVX that is not saved", "scalar",
       [](Answers& c) {
         c.saved = bits({0, 1});
       }},
      {"no leaf 7", "scalar",
       [](Answers& c) {
         c.leaves.erase({7, 0});
       }},
      {"nothing", "scalar", [](Answers& c) { c.leaves.clear(); }},
  };
  for (const Case& each : cases) {
    Answers cpu;
    each.without(cpu);
    INFO(each.what);
    CHECK(best_of(cpu) == each.best);
  }
}

TEST_CASE("what the system may refuse is asked only where the CPU has it", "[isa]") {
  Answers cpu;
  CHECK(tiles_usable(cpu));
  CHECK(cpu.asked_permission == 1);
  cpu.leaves[{0x1d, 0}].eax = 0;
  CHECK_FALSE(tiles_usable(cpu));
  CHECK(cpu.asked_permission == 1);
  // XGETBV is an illegal instruction where the system has not switched it on
  Answers old;
  old.leaves[{1, 0}].ecx &= ~bits({27});
  CHECK_FALSE(cpu_features(old).avx2);
  CHECK(old.read_saved == 0);
}

TEST_CASE("this CPU answers as the compiler's own question has it", "[isa]") {
  const ThisCpu cpu;
  const CpuFeatures f = cpu_features(cpu);
  CHECK(f.avx2 == (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                   __builtin_cpu_supports("bmi2")));
  CHECK(f.avx512 == (f.avx2 && __builtin_cpu_supports("avx512f") &&
                     __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
                     __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")));
}
