#pragma once

#include <nlohmann/json.hpp>

#include <string>

namespace attn::bench {

/// The limits of machine.hpp and machine_dot.hpp: at every level of this CPU, for sizes from the
/// first cache to memory, and for 1, 2, 4, … and all threads.
[[nodiscard]] nlohmann::ordered_json machine_report();

/// The report as two tables in Markdown, one for arithmetic and one for memory.
[[nodiscard]] std::string machine_tables(const nlohmann::ordered_json& report);

}  // namespace attn::bench
