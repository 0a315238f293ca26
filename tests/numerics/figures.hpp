#pragma once

// What the parts of test_numerics share.

#include "kernels/isa.hpp"
#include "kernels/workers.hpp"

#include <cmath>
#include <cstdint>
#include <functional>
#include <string>

namespace attn::numerics {

using kernels::index_t;
using kernels::Isa;

/// One line of the table: how far a kernel is from float64, and how far a header says that it is at
/// most.
struct Figure {
  std::string what;
  std::string level;
  std::string unit;  ///< of bound and reached: ULP, NMSE, of the bound, ...
  double bound = 0;
  double reached = 0;
  std::string where;  ///< the argument or the shape at which it was reached
};

using Report = std::function<void(const Figure&)>;

struct Effort {
  kernels::Workers& workers;
  std::uint32_t stride;  ///< from one bit pattern of a float to the next; 1: every float
  std::uint32_t turns;   ///< of random numbers for each shape
};

// The parts. Each reports its figures at every level of supported_isas().

/// A unary function (by the name of its bound up to a comma) and its float64 truth.
void unary_figures(const std::string& name, const Effort& effort, const Report& report);
/// Derivatives of all unary functions.
void slope_figures(const Effort& effort, const Report& report);
void softmax_figures(const Effort& effort, const Report& report);
void norm_figures(const Effort& effort, const Report& report);
/// Products of floats by every row of the table, and with stored weights.
void matmul_figures(const Effort& effort, const Report& report);
void stored_figures(const Effort& effort, const Report& report);
/// Products with tiles: whole numbers to the bit, and what rounding activations costs.
void tile_figures(const Effort& effort, const Report& report);
void attention_figures(const Effort& effort, const Report& report);

/// The largest of a kind, and where it was met.
struct Largest {
  double value = 0;
  std::string where;

  /// A NaN counts as the largest.
  template <class Where>
  void meet(double met, const Where& described) {
    if (std::isnan(value) || met <= value) return;
    value = met;
    where = described();
  }
};

}  // namespace attn::numerics
