// Few rows, as in a decode step, meet the stream of tiles in integer arithmetic; for many, tiles
// become panels of bfloat16 pairs, once for all rows.

#include "kernels/matmul/projections.hpp"

#include "kernels/matmul/projections_rows.hpp"

#include <algorithm>

namespace attn::kernels {

index_t few_rows(Isa isa, bool integers) {
  // SmolLM2 Q4_1, one thread: prompts of 16 are read at 640 tokens/s by their stream and at 590 by
  // panels, of 24 at 650 and 680. amx's products pay for panels at once.
  return integers && isa == Isa::avx512 && has_dot_products(isa) ? 16 : 8;
}

bool projects(Isa isa, index_t m) noexcept {
  return isa != Isa::scalar && (m <= few_rows(isa, false) || has_dot_products(isa));
}

std::size_t projections_scratch_bytes(Isa isa, int workers, index_t m, index_t k, bool gated) {
  const index_t few = few_scratch_bytes(workers, std::min(m, few_rows(isa, true)), k, gated);
  if (m <= few_rows(isa, false) || !has_dot_products(isa)) return static_cast<std::size_t>(few);
  return static_cast<std::size_t>(std::max(few, many_scratch_bytes(workers, m, k, gated)));
}

void project(Isa isa, Workers& workers, const Projections& p) {
  if (p.m <= 0) return;
  const bool integers = p.each.empty() || !holds_floats(p.each[0].weights.type);
  // the few's products go straight to C
  const bool adds_to_itself = std::any_of(p.each.begin(), p.each.end(), [](const Projection& one) {
    return one.add != nullptr && one.add == one.c;
  });
  if (p.m <= few_rows(isa, integers && !adds_to_itself)) return project_few(isa, workers, p);
  project_many(isa, workers, p);
}

}  // namespace attn::kernels
