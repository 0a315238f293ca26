#include "models/model_impl.hpp"

namespace attn::models {
namespace {

// Made while there is memory. A copy shares its text, and the C++ runtime keeps room for an
// exception itself, so that throwing one needs none.
const Error out_of_memory(ErrorKind::memory, "not enough memory");

}  // namespace

void throw_out_of_memory() { throw Error(out_of_memory); }

}  // namespace attn::models
