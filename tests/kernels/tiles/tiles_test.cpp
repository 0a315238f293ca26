// Weights in tiles: what they decode to, and their products, against float64.

#include "kernels/matmul/matmul.hpp"
#include "kernels/matmul/projections_rows.hpp"
#include "kernels/tiles/tiles_levels.hpp"
#include "support/stored_weights.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

using namespace attn::kernels;
using attn::test::random_stored;
using attn::test::random_values;
using attn::test::StoredMatrix;

namespace {

struct AlignedBytes {
  explicit AlignedBytes(std::size_t bytes) : memory(bytes + 64) {}
  [[nodiscard]] std::uint8_t* data() {
    const auto at = reinterpret_cast<std::uintptr_t>(memory.data());
    return memory.data() + (64 - at % 64) % 64;
  }
  std::vector<std::uint8_t> memory;
};

AlignedBytes tiles_of(WeightType type, index_t n, index_t k, const StoredMatrix& w) {
  AlignedBytes tiles(static_cast<std::size_t>(tiled_bytes(type, n, k)));
  for (index_t band = 0; band < ceil_div(n, tile_rows); ++band) {
    write_tiles(type, n, k, w.data(), band, tiles.data() + band * tile_band_bytes(type, k));
  }
  return tiles;
}

struct Decoder {
  const char* name;
  DecodeBand decode;
};

std::vector<Decoder> decoders() {
  std::vector<Decoder> all;
  if (isa_supported(Isa::avx2)) all.push_back({"avx2", avx2::decode_band});
  if (isa_supported(Isa::avx512)) all.push_back({"avx512", avx512::decode_band});
  if (has_dot_products(Isa::avx512)) all.push_back({"avx512_dot", avx512_dot::decode_band});
  return all;
}

std::vector<Isa> vector_levels() {
  std::vector<Isa> levels;
  for (const Isa isa : supported_isas()) {
    if (isa != Isa::scalar) levels.push_back(isa);
  }
  return levels;
}

// The columns that a type's rows may have: whole blocks, or any number.
std::vector<index_t> widths(WeightType type) {
  if (block_weights(type) == 256) return {256, 768};
  if (block_weights(type) == 32) return {32, 96, 576};
  return {1, 31, 64, 100, 2081};
}

float as_tiled(WeightType type, float w) {
  if (type != WeightType::f32) return w;
  std::uint16_t bits = 0;
  quantize(WeightType::bf16, 1, &w, &bits);
  dequantize(Isa::scalar, WeightType::bf16, 1, &bits, &w);
  return w;
}

std::vector<float> multiply(Isa isa, Workers& workers, WeightType type, index_t m, index_t n,
                            index_t k, const float* a, MatrixView<float> view, const void* tiles,
                            const float* bias) {
  MatmulArgs<float> args;
  args.m = m;
  args.n = n;
  args.k = k;
  args.a = view;
  args.a.data = a;
  args.stored.type = type;
  args.stored.tiles = tiles;
  args.bias = bias;
  std::vector<float> c(static_cast<std::size_t>(m * n), NAN);
  args.c = c.data();
  args.stride_c = n;
  MatmulProblem problem{m, n, k};
  problem.a_transposed = view.col_stride != 1;
  problem.stored = problem.tiled = true;
  const MatmulImpl& impl = choose_matmul(problem, isa);
  AlignedBytes scratch(impl.scratch_bytes(problem, isa, workers.size()));
  args.scratch = scratch.data();
  impl.run(isa, workers, args);
  return c;
}

// Of Σ |x| |w|: 16 bits a block of activations for few rows; above, two roundings to bfloat16.
void check(WeightType type, index_t m, index_t n, index_t k, Isa isa) {
  INFO("type " << static_cast<int>(type) << " " << m << "x" << n << "x" << k << " at "
               << isa_name(isa));
  const StoredMatrix w = random_stored(type, n, k, 3);
  AlignedBytes tiles = tiles_of(type, n, k, w);
  const std::vector<float> a = random_values<float>(static_cast<std::size_t>(m * k), 1);
  const std::vector<float> bias = random_values<float>(static_cast<std::size_t>(n), 2);
  const std::vector<float> c = multiply(isa, serial_workers(), type, m, n, k, a.data(),
                                        {nullptr, k}, tiles.data(), bias.data());
  const bool few = m <= few_rows(isa, block_weights(type) != 1);
  const bool exact = few && block_weights(type) == 1;
  for (index_t i = 0; i < m; ++i) {
    for (index_t j = 0; j < n; ++j) {
      double sum = bias[static_cast<std::size_t>(j)], bound = 1e-30;
      for (index_t block = 0; block < k; block += 32) {
        double largest = 0, magnitude = 0, weights = 0, offset = 0;
        for (index_t l = block; l < std::min(k, block + 32); ++l) {
          const double x = a[static_cast<std::size_t>(i * k + l)];
          const double v = as_tiled(type, w.values[static_cast<std::size_t>(j * k + l)]);
          sum += x * v;
          largest = std::max(largest, std::fabs(x));
          magnitude += std::fabs(x * v);
          weights += std::fabs(v);
          offset = std::max(offset, std::fabs(v));
        }
        // a weight's scale · q and shift may be larger than what they add up to
        const double rounding = std::ldexp(static_cast<double>(k) + 64, -24);
        bound += rounding * (magnitude + 64 * largest * offset);
        if (few && !exact) bound += largest / 65024 * weights;
        if (!few) bound += (std::ldexp(1, -7) + std::ldexp(1, -16)) * magnitude;
      }
      const double got = c[static_cast<std::size_t>(i * n + j)];
      REQUIRE(std::fabs(got - sum) <= bound + std::ldexp(std::fabs(sum), -22));
    }
  }
  for (const int threads : {2, 3}) {
    CHECK(multiply(isa, *make_thread_workers(threads), type, m, n, k, a.data(), {nullptr, k},
                   tiles.data(), bias.data()) == c);
  }
}

}  // namespace

TEST_CASE("tiles decode to what the rows decode to", "[tiles][quant][isa]") {
  for (const WeightType type : all_weight_types) {
    for (const index_t k : widths(type)) {
      for (const index_t n : {1, 16, 37}) {
        const StoredMatrix w = random_stored(type, n, k, 7);
        AlignedBytes tiles = tiles_of(type, n, k, w);
        const index_t depth = round_up(k, tile_columns);
        for (const Decoder& decoder : decoders()) {
          INFO("type " << static_cast<int>(type) << " " << n << "x" << k << " " << decoder.name);
          for (index_t band = 0; band < ceil_div(n, tile_rows); ++band) {
            std::vector<float> panel(static_cast<std::size_t>(depth * tile_rows), NAN);
            decoder.decode(tiled_type(type), tiles.data() + band * tile_band_bytes(type, k), 0,
                           depth, panel.data(), tile_rows);
            for (index_t column = 0; column < depth; ++column) {
              for (index_t r = 0; r < tile_rows; ++r) {
                const index_t row = band * tile_rows + r;
                const float got = panel[static_cast<std::size_t>(column * tile_rows + r)];
                if (row >= n || column >= k) {
                  REQUIRE(got == 0);
                  continue;
                }
                const float expected =
                    as_tiled(type, w.values[static_cast<std::size_t>(row * k + column)]);
                // rounded once here, and of formats with a minimum twice by the definition
                REQUIRE(std::fabs(got - expected) <= 2e-6F);
              }
            }
          }
        }
      }
    }
  }
}

TEST_CASE("rows come out of tiles as they went in", "[tiles][quant]") {
  for (const WeightType type : all_weight_types) {
    if (type == WeightType::f32) continue;  // rounded on the way in
    for (const index_t k : widths(type)) {
      for (const index_t n : {1, 16, 37}) {
        INFO("type " << static_cast<int>(type) << " " << n << "x" << k);
        // any bits, so that every one of a block has to come back, NaN scales among them
        std::vector<std::uint8_t> rows(static_cast<std::size_t>(row_bytes(type, n * k)));
        std::uint32_t state = 7;
        for (std::uint8_t& byte : rows) {
          state = state * 1664525U + 1013904223U;
          byte = static_cast<std::uint8_t>(state >> 24);
        }
        AlignedBytes tiles(static_cast<std::size_t>(tiled_bytes(type, n, k)) + 1);
        std::uint8_t* const unaligned = tiles.data() + 1;
        for (index_t band = 0; band < ceil_div(n, tile_rows); ++band) {
          write_tiles(type, n, k, rows.data(), band, unaligned + band * tile_band_bytes(type, k));
        }
        std::vector<std::uint8_t> back(rows.size(), 0xa5);
        for (index_t row = 0; row < n; ++row) {
          read_tiles(type, k, unaligned, row, back.data() + row * row_bytes(type, k));
        }
        CHECK(back == rows);
      }
    }
  }
}

TEST_CASE("products with tiles hold their bounds", "[tiles][matmul][isa]") {
  for (const Isa isa : vector_levels()) {
    for (const WeightType type : all_weight_types) {
      for (const index_t k : widths(type)) {
        for (const index_t m : {1, 2, 5, 8, 9, 33}) {
          check(type, m, 37, k, isa);
          check(type, m, 96, k, isa);
        }
      }
    }
    check(WeightType::q4_1, 150, 200, 2080, isa);
    check(WeightType::bf16, 700, 16, 64, isa);
  }
}

TEST_CASE("a row's product with tiles has the same bits alone or among eight",
          "[tiles][matmul][isa]") {
  for (const Isa isa : vector_levels()) {
    for (const WeightType type : all_weight_types) {
      const index_t n = 70, k = 512;
      const StoredMatrix w = random_stored(type, n, k, 3);
      AlignedBytes tiles = tiles_of(type, n, k, w);
      const std::vector<float> a = random_values<float>(8 * 512, 1);
      const auto rows = [&](index_t first, index_t m) {
        return multiply(isa, serial_workers(), type, m, n, k, a.data() + first * k, {nullptr, k},
                        tiles.data(), nullptr);
      };
      const std::vector<float> all = rows(0, 8);
      for (index_t m = 1; m < 8; ++m) {
        for (index_t first = 0; first + m <= 8; first += m) {
          const std::vector<float> some = rows(first, m);
          CHECK(std::memcmp(some.data(), all.data() + first * n, some.size() * sizeof(float)) == 0);
        }
      }
    }
  }
}

TEST_CASE("dot products of bytes give the bits of those of 16-bit numbers", "[tiles][isa]") {
  if (!has_dot_products(Isa::avx512)) return;
  for (const WeightType type : all_weight_types) {
    if (block_weights(type) == 1) continue;
    const index_t n = 64, k = 768, rows = 8;
    const StoredMatrix w = random_stored(type, n, k, 3);
    AlignedBytes tiles = tiles_of(type, n, k, w);
    const std::vector<float> a = random_values<float>(static_cast<std::size_t>(rows * k), 1, -4, 9);
    const auto run = [&](QuantizeRow quantize, MultiplyTiles multiply_all) {
      AlignedBytes memory(static_cast<std::size_t>(rows16_bytes(rows, k)));
      std::vector<float> c(static_cast<std::size_t>(rows * n));
      TileProduct p;
      p.type = type;
      p.rows = rows;
      p.k = k;
      p.bands = n / tile_rows;
      p.columns = n;
      p.tiles = tiles.data();
      p.a16 = rows16_in(memory.data(), rows, k);
      for (index_t i = 0; i < rows; ++i) quantize(a.data() + i * k, k, p.a16, i);
      p.c = c.data();
      p.c_row = n;
      multiply_all(p);
      return c;
    };
    CHECK(run(avx512::quantize_row, avx512::multiply_tiles) ==
          run(avx512_dot::quantize_row, avx512_dot::multiply_tiles));
  }
}

TEST_CASE("rows that are not contiguous meet stored weights and tiles", "[tiles][matmul][isa]") {
  const index_t m = 5, n = 40, k = 64;
  for (const Isa isa : supported_isas()) {
    for (const WeightType type : {WeightType::q4_1, WeightType::bf16, WeightType::q8_0}) {
      for (const index_t rows : {m, index_t{12}}) {
        const StoredMatrix w = random_stored(type, n, k, 3);
        AlignedBytes tiles = tiles_of(type, n, k, w);
        const std::vector<float> a = random_values<float>(static_cast<std::size_t>(rows * k), 1);
        std::vector<float> wide(static_cast<std::size_t>(rows * (k + 7))), turned(a.size());
        for (index_t i = 0; i < rows; ++i) {
          for (index_t l = 0; l < k; ++l) {
            const float x = a[static_cast<std::size_t>(i * k + l)];
            wide[static_cast<std::size_t>(i * (k + 7) + l)] = x;
            turned[static_cast<std::size_t>(l * rows + i)] = x;
          }
        }
        const auto run = [&](const std::vector<float>& from, index_t row, index_t col, bool tiled) {
          if (tiled) {
            return multiply(isa, serial_workers(), type, rows, n, k, from.data(),
                            {nullptr, row, col}, tiles.data(), nullptr);
          }
          MatmulArgs<float> args;
          args.m = rows;
          args.n = n;
          args.k = k;
          args.a = {from.data(), row, col};
          args.stored = {w.data(), type};
          std::vector<float> c(static_cast<std::size_t>(rows * n), NAN);
          args.c = c.data();
          args.stride_c = n;
          MatmulProblem problem{rows, n, k};
          problem.a_transposed = col != 1;
          problem.stored = true;
          AlignedBytes scratch(choose_matmul(problem, isa).scratch_bytes(problem, isa, 1));
          args.scratch = scratch.data();
          matmul(isa, serial_workers(), args);
          return c;
        };
        for (const bool tiled : {false, true}) {
          if (tiled && isa == Isa::scalar) continue;
          const std::vector<float> expected = run(a, k, 1, tiled);
          CHECK(run(wide, k + 7, 1, tiled) == expected);
          const std::vector<float> other = run(turned, 1, rows, tiled);
          for (std::size_t i = 0; i < other.size(); ++i) {
            REQUIRE(std::fabs(other[i] - expected[i]) <= 1e-4F);
          }
        }
      }
    }
  }
}

TEST_CASE("a row with what is not finite gives NaN, and only that row", "[tiles][matmul][isa]") {
  const index_t n = 20, k = 96;
  const StoredMatrix w = random_stored(WeightType::q4_1, n, k, 3);
  AlignedBytes tiles = tiles_of(WeightType::q4_1, n, k, w);
  for (const Isa isa : vector_levels()) {
    for (const float bad : {std::numeric_limits<float>::infinity(), NAN}) {
      std::vector<float> a = random_values<float>(3 * 96, 1);
      a[96 + 40] = bad;
      const std::vector<float> c = multiply(isa, serial_workers(), WeightType::q4_1, 3, n, k,
                                            a.data(), {nullptr, k}, tiles.data(), nullptr);
      for (index_t i = 0; i < 3; ++i) {
        for (index_t j = 0; j < n; ++j) {
          CHECK(std::isfinite(c[static_cast<std::size_t>(i * n + j)]) == (i != 1));
        }
      }
    }
    // and of zeros and of what is next to 0 nothing breaks
    for (const float tiny : {0.0F, 1e-42F, 1e-31F}) {
      const std::vector<float> a(96, tiny);
      const std::vector<float> c = multiply(isa, serial_workers(), WeightType::q4_1, 1, n, k,
                                            a.data(), {nullptr, k}, tiles.data(), nullptr);
      for (const float value : c) CHECK(std::fabs(value) <= 1e-28F);
    }
  }
}
