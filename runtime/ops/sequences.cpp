#include "runtime/ops/sequences.hpp"

#include "attn/error.hpp"

#include <algorithm>
#include <string>

namespace attn::runtime {

void check_sequences(std::string_view op, kernels::index_t count, const std::int32_t* starts,
                     kernels::index_t rows) {
  const bool rising = count >= 0 && starts[0] == 0 && starts[count] == rows &&
                      std::is_sorted(starts, starts + count + 1);
  if (rising) return;
  throw Error(ErrorKind::invalid, std::string(op) + ": the sequences do not rise from 0 to " +
                                      std::to_string(rows) + " rows");
}

}  // namespace attn::runtime
