#pragma once

#include <nlohmann/json.hpp>

#include <string>

namespace attn::bench {

// The rows of model_report() as text, ending in a newline.

/// llama-bench's table, our columns behind it, and what all rows share below.
[[nodiscard]] std::string rows_markdown(const nlohmann::ordered_json& rows);

/// Every number but the samples, under their names in JSON.
[[nodiscard]] std::string rows_csv(const nlohmann::ordered_json& rows);

/// A row a line.
[[nodiscard]] std::string rows_jsonl(const nlohmann::ordered_json& rows);

}  // namespace attn::bench
