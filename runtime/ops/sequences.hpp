#pragma once

#include "kernels/types.hpp"

#include <cstdint>
#include <string_view>

namespace attn::runtime {

/// Where each of `count` sequences begins, and the last ends: throws Error(invalid), naming the op,
/// unless starts[0 … count] rise from 0 to `rows`.
void check_sequences(std::string_view op, kernels::index_t count, const std::int32_t* starts,
                     kernels::index_t rows);

}  // namespace attn::runtime
