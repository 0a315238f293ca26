// The row `pairs`: what training multiplies where bfloat16 will do. Neither operand stands still,
// so both are rounded in the call: A once, B a panel of 32 columns at a time by the worker that
// multiplies with it.

#include "kernels/matmul/matmul_pairs.hpp"

#include "kernels/matmul/matmul_levels.hpp"
#include "kernels/tiles/tiles_levels.hpp"

#include <algorithm>
#include <cstring>

namespace attn::kernels {
namespace {

// Fewer rows do not pay for rounding B.
constexpr index_t fewest_rows = 17;
// Shorter sums and narrower results, as of LoRA's factors, would mostly be padding: a panel has 32
// columns, and pairs come 16 at a time.
constexpr index_t fewest_columns = 17, shortest_sum = 17;
// What is summed at a time, which bounds the room for A's halves: 128 KiB of a panel. Of few rows
// rounding B is much of the work, so a pass takes half of that, which leaves more of L2 to B
// (`attn-bench --kernels matmul_training/96x49152x576` are such products).
constexpr index_t k_block(index_t m) { return m <= 128 ? 1024 : 2048; }

const char* declines(const MatmulProblem& p, Isa isa) {
  if (!p.bf16) return "not to be rounded";
  if (p.f64) return "float only";
  if (isa < Isa::avx512 || !has_dot_products(isa)) return "no bfloat16 products in this CPU";
  if (p.stored && !p.stored_rows_of_b) return "stored columns of B";
  if (p.b_constant) return "B is packed in advance";
  if (p.batch != 1) return "a batch";
  if (p.m < fewest_rows) return "few rows";
  if (p.n < fewest_columns || p.k < shortest_sum) return "narrow";
  return nullptr;
}

// What is enough for a problem is enough for all smaller ones.
PairsRoom room_of(index_t m, index_t k) { return {m, std::min(k, k_block(m))}; }

// Of one worker: which panel it holds, and that.
constexpr index_t header_bytes = cache_line;
index_t worker_bytes(const PairsRoom& room) { return header_bytes + room.panel_bytes; }

std::size_t scratch_bytes(const MatmulProblem& p, Isa isa, int workers) {
  const bool never = !p.bf16 || p.f64 || p.b_constant || (p.stored && !p.stored_rows_of_b);
  if (never || isa < Isa::avx512 || !has_dot_products(isa)) return 0;
  const PairsRoom room = room_of(p.m, p.k);
  return static_cast<std::size_t>(room.a_bytes + workers * worker_bytes(room));
}

std::size_t not_packed(const MatmulProblem&, Isa) { return 0; }
void no_pack(const MatmulProblem&, Isa, const MatrixView<float>&, void*) {}

class Run {
 public:
  Run(Isa isa, const MatmulArgs<float>& p)
      : isa_(isa),
        p_(p),
        room_(room_of(p.m, p.k)),
        a_(static_cast<std::uint16_t*>(p.scratch)),
        own_(static_cast<char*>(p.scratch) + room_.a_bytes),
        panels_(ceil_div(p.n, pairs_columns)),
        cut_(p.m, panels_) {}

  void all(Workers& workers) const {
    for (index_t from = 0; from < p_.k; from += k_block(p_.m)) {
      const index_t depth = std::min(k_block(p_.m), p_.k - from);
      parallel_for(workers, ceil_div(p_.m, rounded_rows),
                   [&](index_t chunk, int) { round_a(chunk, from, depth); });
      constexpr index_t none = -1;
      for (int worker = 0; worker < workers.size(); ++worker) {
        std::memcpy(own(worker), &none, sizeof none);
      }
      parallel_for(workers, panels_ * cut_.cuts,
                   [&](index_t chunk, int worker) { multiply(chunk, worker, from, depth); });
    }
  }

 private:
  [[nodiscard]] char* own(int worker) const { return own_ + worker * worker_bytes(room_); }

  void round_a(index_t chunk, index_t from, index_t depth) const {
    const index_t i = chunk * rounded_rows, rows = std::min(rounded_rows, p_.m - i);
    MatrixView<float> a = p_.a;
    a.data += i * a.row_stride + from * a.col_stride;
    avx512_dot::round_rows(a, rows, depth, a_ + i * room_.a_row, room_.a_row);
  }

  // The panel of B from column j, rows [from, from + depth), as the worker holds it.
  const std::uint16_t* panel(index_t j, index_t columns, index_t from, index_t depth,
                             int worker) const {
    auto* const to = reinterpret_cast<std::uint16_t*>(own(worker) + header_bytes);
    index_t held = 0;
    std::memcpy(&held, own(worker), sizeof held);
    if (held == j) return to;
    if (p_.stored.data != nullptr) {
      const index_t bytes = row_bytes(p_.stored.type, p_.n);
      const auto* const rows = static_cast<const unsigned char*>(p_.stored.data) + from * bytes;
      avx512_dot::pack_stored_pairs(p_.stored.type, rows, bytes, depth, j, columns, to);
    } else {
      MatrixView<float> b = p_.b;
      b.data += from * b.row_stride + j * b.col_stride;
      avx512_dot::pack_pairs(b, depth, columns, to);
    }
    std::memcpy(own(worker), &j, sizeof j);
    return to;
  }

  void multiply(index_t chunk, int worker, index_t from, index_t depth) const {
    const index_t i = chunk % cut_.cuts * cut_.rows, j = chunk / cut_.cuts * pairs_columns;
    if (i >= p_.m) return;
    const bool first = from == 0, last = from + depth == p_.k;
    float* const c = p_.c + i * p_.stride_c + j;
    PairsProduct product;
    product.rows = std::min(cut_.rows, p_.m - i);
    product.columns = std::min(pairs_columns, p_.n - j);
    product.pairs = round_up(depth, tile_columns) / 2;
    product.a = a_ + i * room_.a_row;
    product.a_row = room_.a_row;
    product.b = panel(j, product.columns, from, depth, worker);
    product.alpha = p_.alpha;
    product.bias = p_.bias != nullptr && first ? p_.bias + j : nullptr;
    product.c = c;
    product.c_row = p_.stride_c;
    if (!first || p_.accumulate) {
      product.add = c;
      product.add_row = p_.stride_c;
    }
    (isa_ == Isa::amx ? amx::multiply_pairs : avx512_dot::multiply_pairs)(product);
    if (p_.activation && last) {
      matmul_activate(isa_, *p_.activation, product.rows, product.columns, c, p_.stride_c);
    }
  }

  const Isa isa_;
  const MatmulArgs<float>& p_;
  const PairsRoom room_;
  std::uint16_t* const a_;
  char* const own_;
  const index_t panels_;
  const PairsCut cut_;
};

void run(Isa isa, Workers& workers, const MatmulArgs<float>& p) { Run(isa, p).all(workers); }

}  // namespace

const MatmulImpl matmul_pairs{"pairs", declines, scratch_bytes, not_packed, no_pack, run};

}  // namespace attn::kernels
