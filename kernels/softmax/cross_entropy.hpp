#pragma once

#include "kernels/isa.hpp"
#include "kernels/workers.hpp"

#include <cstdint>

namespace attn::kernels {

/// losses[r] = −log softmax(z[r])[targets[r]] for contiguous z [rows, cols] and targets in
/// [0, cols). With `gradient`, z becomes scale · (softmax(z) − 1 at the target); without, what it
/// holds afterwards is of no use. A row's loss is within 1e-6 · (1 + loss) + 2⁻²³ |largest score|
/// (float), and no target is so unlikely that it has none. A NaN or +inf in a row, or nothing but
/// −inf, makes its loss and its gradient NaN. A row's bits are its own.
template <class T>
void cross_entropy(Isa isa, Workers& workers, index_t rows, index_t cols,
                   const std::int32_t* targets, T scale, bool gradient, T* z, double* losses);

}  // namespace attn::kernels
