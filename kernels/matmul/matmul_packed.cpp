// The row `packed`: B in panels, packed in advance or a block at a time, C in blocks cut by shape.

#include "kernels/dispatch.hpp"
#include "kernels/matmul/matmul_levels.hpp"
#include "kernels/tiles/tiles_levels.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace attn::kernels {
namespace {

// A chunk of work is row_block × column_block of C: some 0.5 ms of products where k is 1024, and
// cuts enough for many threads.
constexpr index_t row_block = 240;  // 20 register tiles of avx512's 12 rows, 40 of avx2's
// Sums longer than this go through memory in between. Shorter blocks, which would hold a panel of B
// in L1, were 4 to 10% slower on Zen 5 than streaming it from L2.
constexpr index_t k_block = 2048;
// Either way 512 KiB of B, half of a usual L2.
constexpr index_t column_block(index_t k) { return k <= k_block / 2 ? 128 : 64; }
// Where that gives fewer chunks, which two or four threads could not share evenly, the rows are cut
// finer: down to three register tiles, or ten where B would be packed anew for every cut.
constexpr index_t fewest_chunks = 12;
constexpr index_t fewest_rows(index_t k) { return k <= k_block ? 36 : 120; }
// Up to as many rows a B that is not packed is read where it stands: packing it would not pay.
constexpr index_t few_rows = 16;
// And up to as many, if a column of lines of B fits L2 with its stride: 16 ways of 1024 sets of 64
// bytes, over which rows at multiples of a large power of two do not spread.
constexpr index_t direct_rows = 256, l2_way_bytes = 65536, l2_ways = 16;

bool stays_in_l2(index_t k, index_t row_stride) {
  const index_t bytes = row_stride * static_cast<index_t>(sizeof(float));
  const index_t spacing = bytes & -bytes;  // the largest power of two that divides it
  if (spacing >= l2_way_bytes || spacing == 0) return k <= l2_ways;
  return std::min(k, k_block) <= l2_way_bytes / spacing * l2_ways;
}

bool reads_in_place(const MatmulArgs<float>& p) {
  if (p.packed_b != nullptr || p.b.col_stride != 1) return false;
  return p.m <= few_rows || (p.m <= direct_rows && stays_in_l2(p.k, p.b.row_stride));
}

struct Cut {
  index_t rows, columns, k;       // of one block
  index_t row_cuts, column_cuts;  // blocks of C
  // of one worker's scratch; decoded: of stored weights a block as floats, not yet in panels
  index_t panels_bytes, a_bytes, tile_bytes, decoded_bytes, bytes;
};

constexpr index_t header_bytes = 64;    // which block of B the worker's scratch holds
constexpr index_t largest_block = 256;  // weights, which a column_block() divides

// A block of stored weights: where it begins, and at which of the weights there.
struct Held {
  const char* from;
  index_t in_block;
};

Cut cut_of(index_t m, index_t n, index_t k, index_t batch, Isa isa, bool stored) {
  Cut cut{};
  const index_t panel = panel_columns(isa);
  cut.columns = std::min(column_block(k), round_up(std::max<index_t>(n, 1), panel));
  cut.column_cuts = ceil_div(n, cut.columns);
  const index_t others = std::max<index_t>(1, cut.column_cuts * batch);
  cut.row_cuts = std::max({index_t{1}, ceil_div(m, row_block),
                           std::min(ceil_div(fewest_chunks, others), ceil_div(m, fewest_rows(k)))});
  cut.rows = ceil_div(m, cut.row_cuts);
  cut.k = std::min(k, k_block);
  cut.panels_bytes = round_up(
      cut.columns * round_up(cut.k, tile_columns) * static_cast<index_t>(sizeof(float)), 64);
  cut.tile_bytes = round_up(cut.rows * cut.columns * static_cast<index_t>(sizeof(float)), 64);
  cut.a_bytes = round_up(gathered_rows * cut.k * static_cast<index_t>(sizeof(float)), 64);
  if (stored) {
    cut.decoded_bytes = cut.panels_bytes;
  }
  cut.bytes = header_bytes + cut.panels_bytes + cut.a_bytes + cut.tile_bytes + cut.decoded_bytes;
  return cut;
}

const char* declines(const MatmulProblem& problem, Isa isa) {
  if (problem.f64) return "float only";
  if (isa == Isa::scalar) return "needs AVX2";
  return nullptr;
}

// What is enough for a problem is enough for all smaller ones. Of more rows the blocks may be
// lower, and of longer sums narrower, so the room is for the highest block there is, at both
// widths.
std::size_t scratch_bytes(const MatmulProblem& p, Isa isa, int workers) {
  const auto room = [&](index_t k) {
    const Cut cut = cut_of(p.m, p.n, k, p.batch, isa, p.stored);
    const index_t rows = std::min(p.m, row_block);
    const auto floats = [](index_t count) {
      return round_up(count * static_cast<index_t>(sizeof(float)), 64);
    };
    return cut.bytes - cut.tile_bytes + floats(rows * cut.columns);
  };
  return static_cast<std::size_t>(std::max(room(p.k), room(std::min(p.k, k_block / 2))) * workers);
}

std::size_t packed_bytes(const MatmulProblem& p, Isa isa) {
  return static_cast<std::size_t>(round_up(p.n, panel_columns(isa)) * p.k) * sizeof(float);
}

void pack_panels(Isa isa, index_t k, index_t columns, const MatrixView<float>& b, float* to) {
  at_level<MatmulPack>(isa, avx2::matmul_pack, avx2::matmul_pack, avx512::matmul_pack)(k, columns,
                                                                                       b, to);
}

void pack(const MatmulProblem& p, Isa isa, const MatrixView<float>& b, void* packed) {
  pack_panels(isa, p.k, p.n, b, static_cast<float*>(packed));
}

struct Run {
  const MatmulArgs<float>& p;
  const Isa isa;
  const Cut cut;
  const MatmulBlockRun block_at_level;
  const bool direct;  // B is read where it stands

  void chunk(index_t index, int worker) const {
    const index_t row_cut = index % cut.row_cuts;
    const index_t column_cut = index / cut.row_cuts % cut.column_cuts;
    const index_t entry = index / cut.row_cuts / cut.column_cuts;
    const index_t i = p.m * row_cut / cut.row_cuts;
    const index_t j = column_cut * cut.columns;

    MatmulBlock block;
    block.rows = p.m * (row_cut + 1) / cut.row_cuts - i;
    block.columns = std::min(cut.columns, p.n - j);
    block.a_row = p.a.row_stride;
    block.a_col = p.a.col_stride;
    block.alpha = p.alpha;
    block.bias = p.bias != nullptr ? p.bias + j : nullptr;
    float* const c = p.c + entry * p.batch_stride_c + i * p.stride_c + j;
    block.c = c;
    block.c_row = p.stride_c;
    auto* const own = static_cast<char*>(p.scratch) + worker * cut.bytes;
    if (p.accumulate && p.k > k_block) {
      // C is needed as it was until the end: the sums grow in a tile beside it
      block.c = reinterpret_cast<float*>(own + header_bytes + cut.panels_bytes + cut.a_bytes);
      block.c_row = block.columns;
    }
    if (p.a.row_stride == 1 && block.columns > panel_columns(isa) &&
        !stays_in_l2(p.k, p.a.col_stride)) {
      block.a_room = reinterpret_cast<float*>(own + header_bytes + cut.panels_bytes);
    }
    index_t k = 0;
    do {
      block.k = std::min(k_block, p.k - k);
      block.a = p.a.data + entry * p.batch_stride_a + i * p.a.row_stride + k * p.a.col_stride;
      if (p.stored.tiles != nullptr) {
        place_tiles(block, j, k, own);
      } else if (p.stored.data != nullptr) {
        place_stored(block, j, k, own);
      } else {
        place_b(block, entry, j, k, own);
      }
      block.resume = k > 0;
      k += block.k;
      block.finish = k == p.k;
      if (block.finish && p.accumulate) {
        block.add = c;
        block.add_row = p.stride_c;
      }
      block_at_level(block);
    } while (k < p.k);
    if (block.c != c) copy_rows(block, c);
    if (p.activation) {
      matmul_activate(isa, *p.activation, block.rows, block.columns, c, p.stride_c);
    }
  }

  void place_b(MatmulBlock& block, index_t entry, index_t j, index_t k, char* own) const {
    const index_t panel = panel_columns(isa);
    if (p.packed_b != nullptr) {
      block.b = static_cast<const float*>(p.packed_b) + j * p.k + k * panel;
      block.b_row = panel;
      block.b_panel = p.k * panel;
      return;
    }
    const float* b = p.b.data + entry * p.batch_stride_b + k * p.b.row_stride + j * p.b.col_stride;
    if (direct) {
      block.b = b;
      block.b_row = p.b.row_stride;
      block.b_panel = panel;
      return;
    }
    auto* const panels = reinterpret_cast<float*>(own + header_bytes);
    const float* held = nullptr;
    std::memcpy(&held, own, sizeof held);
    if (held != b) {
      pack_panels(isa, block.k, block.columns, {b, p.b.row_stride, p.b.col_stride}, panels);
      std::memcpy(own, &b, sizeof b);
    }
    block.b = panels;
    block.b_row = panel;
    block.b_panel = block.k * panel;
  }

  // Tiles become panels as they are: both hold rows side by side.
  void place_tiles(MatmulBlock& block, index_t j, index_t k, char* own) const {
    const WeightType type = tiled_type(p.stored.type);
    const index_t bytes = tile_band_bytes(type, p.k), panel = panel_columns(isa);
    const index_t depth = round_up(block.k, tile_columns);
    const auto* const bands =
        static_cast<const unsigned char*>(p.stored.tiles) + j / tile_rows * bytes;
    const unsigned char* const from = bands + k;  // stands for the block: no other has this address
    auto* const panels = reinterpret_cast<float*>(own + header_bytes);
    const unsigned char* held = nullptr;
    std::memcpy(&held, own, sizeof held);
    if (held != from) {
      const auto decode =
          at_level<DecodeBand>(isa, avx2::decode_band, avx2::decode_band, avx512::decode_band);
      for (index_t c = 0; c < block.columns; c += tile_rows) {
        decode(type, bands + c / tile_rows * bytes, k, depth,
               panels + c / panel * depth * panel + c % panel, panel);
      }
      std::memcpy(own, &from, sizeof from);
    }
    block.b = panels;
    block.b_row = panel;
    block.b_panel = depth * panel;
  }

  // Rows of stored weights become floats and then panels.
  void place_stored(MatmulBlock& block, index_t j, index_t k, char* own) const {
    const WeightType type = p.stored.type;
    // as rows of B [k, n]: a block of columns is a piece of every row
    const index_t bytes = row_bytes(type, p.stored.rows_of_b ? p.n : p.k);
    const index_t row = p.stored.rows_of_b ? k : j, column = p.stored.rows_of_b ? j : k;
    const index_t in_block = column % block_weights(type);
    const auto* const from =
        static_cast<const char*>(p.stored.data) + row * bytes + row_bytes(type, column - in_block);
    auto* const panels = reinterpret_cast<float*>(own + header_bytes);
    char* const after = own + header_bytes + cut.panels_bytes + cut.a_bytes + cut.tile_bytes;
    auto* const decoded = reinterpret_cast<float*>(after);
    const Held held{from, in_block};
    if (std::memcmp(own, &held, sizeof held) != 0) {
      if (p.stored.rows_of_b) {
        decode_rows_of_b(block, from, bytes, in_block, decoded);
        pack_panels(isa, block.k, block.columns, {decoded, block.columns, 1}, panels);
      } else {
        for (index_t c = 0; c < block.columns; ++c) {
          dequantize(isa, type, block.k, from + c * bytes, decoded + c * block.k);
        }
        pack_panels(isa, block.k, block.columns, {decoded, 1, block.k}, panels);
      }
      std::memcpy(own, &held, sizeof held);
    }
    block.b = panels;
    block.b_row = panel_columns(isa);
    block.b_panel = block.k * panel_columns(isa);
  }

  // A block's columns are whole blocks of 32 weights, or part of one of 256.
  void decode_rows_of_b(const MatmulBlock& block, const char* from, index_t bytes, index_t in_block,
                        float* decoded) const {
    const index_t whole = block_weights(p.stored.type);
    for (index_t i = 0; i < block.k; ++i, from += bytes, decoded += block.columns) {
      if (whole <= block.columns) {
        dequantize(isa, p.stored.type, block.columns, from, decoded);
        continue;
      }
      std::array<float, largest_block> weights;  // NOLINT(cppcoreguidelines-pro-type-member-init)
      dequantize(isa, p.stored.type, whole, from, weights.data());
      std::copy_n(weights.data() + in_block, block.columns, decoded);
    }
  }

  void copy_rows(const MatmulBlock& block, float* c) const {
    for (index_t i = 0; i < block.rows; ++i) {
      std::copy_n(block.c + i * block.c_row, block.columns, c + i * p.stride_c);
    }
  }
};

void run(Isa isa, Workers& workers, const MatmulArgs<float>& args) {
  if (args.m <= 0 || args.n <= 0 || args.batch <= 0) return;
  const Run run{
      args, isa,
      cut_of(args.m, args.n, args.k, args.batch, isa,
             args.stored.data != nullptr || args.stored.tiles != nullptr),
      at_level<MatmulBlockRun>(isa, avx2::matmul_block, avx2::matmul_block, avx512::matmul_block),
      reads_in_place(args)};
  for (int worker = 0; worker < workers.size(); ++worker) {
    const float* none = nullptr;
    std::memcpy(static_cast<char*>(args.scratch) + worker * run.cut.bytes, &none, sizeof none);
  }
  parallel_for(workers, args.batch * run.cut.column_cuts * run.cut.row_cuts,
               [&](index_t chunk, int worker) { run.chunk(chunk, worker); });
}

}  // namespace

const MatmulImpl matmul_packed{"packed", declines, scratch_bytes, packed_bytes, pack, run};

}  // namespace attn::kernels
