// Products with tiles: integer dots to the bit, and what rounding the activations costs.

#include "kernels/tiles/tiles.hpp"

#include "kernels/matmul/matmul.hpp"
#include "kernels/matmul/projections_rows.hpp"
#include "kernels/tiles/tiles_levels.hpp"
#include "numerics/figures.hpp"
#include "numerics/products.hpp"
#include "support/numbers.hpp"
#include "support/stored_weights.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstring>

namespace attn::numerics {
namespace {

using kernels::tile_rows;
using kernels::WeightType;
using test::StoredMatrix;

Bytes tiles_of(WeightType type, index_t n, index_t k, const StoredMatrix& w) {
  Bytes tiles(static_cast<std::size_t>(kernels::tiled_bytes(type, n, k)));
  for (index_t band = 0; band < kernels::ceil_div(n, tile_rows); ++band) {
    kernels::write_tiles(type, n, k, w.data(), band,
                         tiles.data() + band * kernels::tile_band_bytes(type, k));
  }
  return tiles;
}

// Any steps, with scales that are small whole numbers: so every weight is one.
StoredMatrix whole_weights(WeightType type, index_t n, index_t k, std::uint32_t seed) {
  StoredMatrix m = test::random_stored(type, n, k, seed);
  std::uint32_t state = seed;
  const auto random_byte = [&] {
    state = state * 1664525U + 1013904223U;
    return static_cast<std::uint8_t>(state >> 24);
  };
  for (std::size_t i = 1; i < m.bytes.size(); ++i) m.bytes[i] = random_byte();
  const auto half = [](std::uint8_t* at, std::uint16_t bits) { std::memcpy(at, &bits, 2); };
  constexpr std::uint16_t one = 0x3c00, minus_three = 0xc200;
  const index_t blocks = n * k / kernels::block_weights(type);
  for (index_t b = 0; b < blocks; ++b) {
    std::uint8_t* const block = m.bytes.data() + 1 + b * kernels::block_bytes(type);
    if (type == WeightType::q6_k) {
      for (int j = 0; j < 16; ++j)
        block[192 + j] = static_cast<std::uint8_t>(random_byte() % 5 - 2);
      half(block + 208, one);
      continue;
    }
    half(block, one);
    if (type == WeightType::q4_1 || type == WeightType::q5_1) half(block + 2, minus_three);
    if (type == WeightType::q4_k || type == WeightType::q5_k) {
      half(block + 2, one);
      for (int j = 0; j < 12; ++j) block[4 + j] &= 3;  // scales and minima up to 3
    }
  }
  kernels::dequantize(Isa::scalar, type, n * k, m.data(), m.values.data());
  return m;
}

// Rows that 16 bits hold as they are, a block of 32 at a time so that float sums stay exact: one
// number at the largest step there is and the others small, or all at the largest.
constexpr index_t exact_rows = 8;
std::vector<float> whole_activations(index_t k, std::uint32_t seed) {
  constexpr float largest = 32512;
  std::vector<float> a(static_cast<std::size_t>(exact_rows * k));
  for (index_t row = 0; row < exact_rows; ++row) {
    const auto random = test::random_values(34, seed + static_cast<std::uint32_t>(row));
    const index_t block = (row + seed) % (k / 32);
    float* const x = a.data() + row * k + block * 32;
    for (index_t i = 0; i < 32; ++i) {
      const float r = random[static_cast<std::size_t>(i)];
      x[i] = row % 2 == 0 ? std::round(200 * r) : std::copysign(largest, r);
    }
    const auto place = static_cast<index_t>(16 + 15.9F * random[32]);
    x[place] = std::copysign(largest, random[33]);
  }
  return a;
}

struct Dots {
  const char* name;
  kernels::QuantizeRow quantize;
  kernels::MultiplyTiles multiply;
};

std::vector<Dots> dots() {
  using namespace kernels;
  std::vector<Dots> all;
  if (isa_supported(Isa::avx2)) all.push_back({"avx2", avx2::quantize_row, avx2::multiply_tiles});
  if (isa_supported(Isa::avx512)) {
    all.push_back({"avx512", avx512::quantize_row, avx512::multiply_tiles});
  }
  if (has_dot_products(Isa::avx512)) {
    all.push_back({"avx512, VNNI", avx512_dot::quantize_row, avx512_dot::multiply_tiles});
  }
  return all;
}

std::vector<float> integer_product(const Dots& d, WeightType type, index_t n, index_t k,
                                   const std::vector<float>& a, const Bytes& tiles) {
  const Bytes memory(static_cast<std::size_t>(kernels::rows16_bytes(exact_rows, k)));
  std::vector<float> c(static_cast<std::size_t>(exact_rows * n));
  kernels::TileProduct p;
  p.type = type;
  p.rows = exact_rows;
  p.k = k;
  p.bands = kernels::ceil_div(n, tile_rows);
  p.columns = p.c_row = n;
  p.tiles = tiles.data();
  p.a16 = kernels::rows16_in(memory.data(), exact_rows, k);
  for (index_t i = 0; i < exact_rows; ++i) d.quantize(a.data() + i * k, k, p.a16, i);
  p.c = c.data();
  d.multiply(p);
  return c;
}

void integer_figures(const Effort& effort, const Report& report) {
  for (const Dots& d : dots()) {
    Largest off;
    for (const WeightType type : kernels::all_weight_types) {
      if (kernels::holds_floats(type)) continue;
      for (std::uint32_t turn = 0; turn < 16 * effort.turns; ++turn) {
        constexpr index_t n = 37, k = 256;
        const StoredMatrix w = whole_weights(type, n, k, 7 + turn);
        const Bytes tiles = tiles_of(type, n, k, w);
        const std::vector<float> a = whole_activations(k, turn);
        const auto exact = exact_products(exact_rows, n, k, a, w.values);
        const auto got = integer_product(d, type, n, k, a, tiles);
        for (std::size_t i = 0; i < got.size(); ++i) {
          off.meet(std::fabs(static_cast<double>(got[i]) - exact[i].sum),
                   [&] { return std::string(type_name(type)); });
        }
      }
    }
    report({"integer product with tiles", d.name, "absolute", 0, off.value, off.where});
  }
}

std::vector<float> product(WeightType type, Isa isa, index_t m, index_t n, index_t k,
                           const std::vector<float>& a, const Bytes& tiles) {
  kernels::MatmulProblem problem{m, n, k};
  problem.stored = problem.tiled = true;
  const kernels::MatmulImpl& row = kernels::choose_matmul(problem, isa);
  std::vector<float> c(static_cast<std::size_t>(m * n));
  kernels::MatmulArgs<float> p;
  p.m = m;
  p.n = p.stride_c = n;
  p.k = k;
  p.a = {a.data(), k, 1};
  p.stored.type = type;
  p.stored.tiles = tiles.data();
  p.c = c.data();
  const Bytes scratch(row.scratch_bytes(problem, isa, 1));
  p.scratch = scratch.data();
  row.run(isa, kernels::serial_workers(), p);
  return c;
}

struct Grades {
  Largest few, few_floats, many;
};

// The same numbers as rows of A for 8 rows, and for 64.
void measure(WeightType type, index_t k, std::uint32_t seed, Isa isa, Grades& to) {
  constexpr index_t n = 37, few = 8, many = 64;
  const StoredMatrix w = test::random_stored(type, n, k, seed);
  const Bytes tiles = tiles_of(type, n, k, w);
  const auto a = test::random_values(static_cast<std::size_t>(many * k), seed + 1);
  const std::vector<Exact> exact = exact_products(many, n, k, a, w.values);
  std::vector<double> sums;
  for (const Exact& e : exact) sums.push_back(e.sum);
  const auto where = [&] { return fmt::format("{}, k {}", type_name(type), k); };

  to.many.meet(test::nmse(product(type, isa, many, n, k, a, tiles), sums), where);
  const std::vector<float> c = product(type, isa, few, n, k, a, tiles);
  if (kernels::holds_floats(type)) {
    // four chains over whole tiles, joined in two steps
    const index_t roundings = std::min(k, kernels::round_up(k, kernels::tile_columns) / 4 + 2);
    to.few_floats.meet(share_of_bound(c, {exact.begin(), exact.begin() + few * n}, roundings),
                       where);
  } else {
    sums.resize(static_cast<std::size_t>(few * n));
    to.few.meet(test::nmse(c, sums), where);
  }
}

}  // namespace

void tile_figures(const Effort& effort, const Report& report) {
  integer_figures(effort, report);
  for (const Isa isa : kernels::supported_isas()) {
    if (isa == Isa::scalar) continue;  // reads rows
    Grades grades;
    for (const WeightType type : kernels::all_weight_types) {
      if (type == WeightType::f32) continue;  // as tiles it is bf16
      for (const index_t k : {256, 768, 2304}) {
        for (std::uint32_t turn = 0; turn < effort.turns; ++turn) {
          measure(type, k, 3 + turn, isa, grades);
        }
      }
    }
    const std::string level(isa_name(isa));
    report({"product with tiles, 8 rows: 16-bit activations", level, "NMSE", 1e-8, grades.few.value,
            grades.few.where});
    report({"product with tiles of floats, 8 rows", level, "of its bound", 1,
            grades.few_floats.value, grades.few_floats.where});
    report(
        {"product with tiles, 64 rows", level, "NMSE", 1e-4, grades.many.value, grades.many.where});
  }
}

}  // namespace attn::numerics
