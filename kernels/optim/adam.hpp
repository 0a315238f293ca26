#pragma once

#include "kernels/isa.hpp"
#include "kernels/workers.hpp"

#include <cstdint>

namespace attn::kernels {

/// Adam (Kingma & Ba 2015) with decoupled weight decay (AdamW, Loshchilov & Hutter 2019), in the
/// order of operations of torch.optim.AdamW:
///   g ← gradient_scale · g
///   p ← p · (1 − lr · weight_decay)
///   m ← m + (g − m)(1 − beta1);  v ← beta2 v + (1 − beta2) g²
///   p ← p − (lr / (1 − beta1^t)) · m / (√v / √(1 − beta2^t) + eps)
/// With weight_decay 0 this is torch.optim.Adam.
template <class T>
struct AdamArgs {
  index_t n = 0;
  T* param = nullptr;
  T* m = nullptr;
  T* v = nullptr;
  const T* grad = nullptr;
  std::int64_t step = 1;  ///< t, counted from 1
  double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0;
  double gradient_scale = 1;
};

/// Scalars (bias corrections, step size) are computed in double, the update in T.
template <class T>
void adam(Isa isa, Workers& workers, const AdamArgs<T>& args);

}  // namespace attn::kernels
