#pragma once

#include <string>

namespace attn::bench {

/// The limits of machine.hpp at every level of this CPU, for several sizes and for one and all
/// threads, as a table or as a JSON object, ending in a newline.
std::string machine_report(bool json);

}  // namespace attn::bench
