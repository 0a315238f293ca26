// What stands on AMX, on AMX's instructions in plain C++: the same source as the one for CPUs that
// have them, so that every machine holds its tiling, edges and epilogues to float64.

#define ATTN_AMX_EMULATED
#define ATTN_ISA_NS amx_emulated
#include "kernels/quant/quant.hpp"
#include "kernels/tiles/pairs_amx.cpp"  // NOLINT(bugprone-suspicious-include)
#include "support/numbers.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <vector>

using namespace attn::kernels;
using attn::test::random_values;

namespace {

std::vector<std::uint16_t> rounded(const std::vector<float>& values) {
  std::vector<std::uint16_t> halves(values.size());
  quantize(WeightType::bf16, static_cast<index_t>(values.size()), values.data(), halves.data());
  return halves;
}

double value_of(std::uint16_t half) {
  float value = 0;
  dequantize(Isa::scalar, WeightType::bf16, 1, &half, &value);
  return static_cast<double>(value);
}

void check(MultiplyPairs multiply, index_t rows, index_t columns, index_t k, bool accumulate) {
  INFO(rows << "x" << columns << "x" << k << (accumulate ? " added" : ""));
  const index_t a_row = k + 32, c_row = columns + 3;
  // rows that C does not have are read as whole tiles of A are
  const auto a = rounded(random_values<float>(static_cast<std::size_t>((rows + 32) * a_row), 1));
  const auto b = rounded(random_values<float>(static_cast<std::size_t>(k * 32), 2));
  const std::vector<float> bias = random_values<float>(32, 3);
  std::vector<float> c = random_values<float>(static_cast<std::size_t>(rows * c_row), 4);
  const std::vector<float> before = c;
  PairsProduct p;
  p.rows = rows;
  p.columns = columns;
  p.pairs = k / 2;
  p.a = a.data();
  p.a_row = a_row;
  alignas(64) static std::uint16_t panel[4096 * 32];
  std::copy(b.begin(), b.end(), panel);
  p.b = panel;
  p.c = c.data();
  p.c_row = c_row;
  p.alpha = accumulate ? 0.5F : 1.0F;
  p.bias = accumulate ? bias.data() : nullptr;
  p.add = accumulate ? c.data() : nullptr;
  p.add_row = c_row;
  multiply(p);
  for (index_t i = 0; i < rows; ++i) {
    for (index_t j = 0; j < c_row; ++j) {
      const auto at = static_cast<std::size_t>(i * c_row + j);
      if (j >= columns) {
        REQUIRE(c[at] == before[at]);
        continue;
      }
      double sum = 0, magnitude = 0;
      for (index_t l = 0; l < k; ++l) {
        const double term = value_of(a[static_cast<std::size_t>(i * a_row + l)]) *
                            value_of(b[static_cast<std::size_t>((l / 2 * 32 + j) * 2 + l % 2)]);
        sum += term;
        magnitude += std::fabs(term);
      }
      const double expected =
          accumulate ? before[at] + 0.5 * sum + bias[static_cast<std::size_t>(j)] : sum;
      const double bound =
          std::ldexp(static_cast<double>(k) + 8, -24) * (magnitude + std::fabs(expected) + 2);
      REQUIRE(std::fabs(c[at] - expected) <= bound);
    }
  }
}

void check_all(MultiplyPairs multiply) {
  for (const index_t rows : {1, 15, 16, 17, 31, 32, 33, 70}) {
    for (const index_t columns : {1, 16, 17, 31, 32}) {
      check(multiply, rows, columns, 96, false);
      check(multiply, rows, columns, 64, true);
    }
  }
  check(multiply, 64, 32, 1536, true);
}

}  // namespace

TEST_CASE("products of pairs on AMX tiles hold their bound", "[tiles][isa]") {
  check_all(amx_emulated::multiply_pairs);
  if (isa_supported(Isa::amx)) check_all(amx::multiply_pairs);
}

TEST_CASE("products of pairs by dot products hold their bound", "[tiles][isa]") {
  if (has_dot_products(Isa::avx512)) check_all(avx512_dot::multiply_pairs);
}
