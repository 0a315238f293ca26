#pragma once

#include "attn/generator.hpp"
#include "tools/run/modes.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace attn::tools {

/// "1,2,3" as token ids; Error(usage) naming the option for what is none.
[[nodiscard]] std::vector<std::int32_t> token_list(const std::string& text);

/// Calls `each` for every line of a file ("-": standard input) that is not empty, with the JSON
/// that it is (discarded where it is none) and "file: line 3". Throws Error(io), and what `each`
/// throws.
void read_lines_of_json(
    const std::string& path,
    const std::function<void(const nlohmann::json&, const std::string& where)>& each);

/// The strings of a file with a JSON string a line ("-": standard input); empty lines are skipped.
/// Throws Error(io), and Error(invalid) naming file and line.
[[nodiscard]] std::vector<std::string> read_json_lines(const std::string& path);

/// The tokens of --prompt, --file or --tokens; none where no such option was given. With --chat the
/// text is one question to the model's template.
[[nodiscard]] std::optional<std::vector<std::int32_t>> prompt_tokens(const Arguments& arguments,
                                                                     const Model& model);

/// A text as a prompt: with --chat a question to the model's template.
[[nodiscard]] std::vector<std::int32_t> text_tokens(const Arguments& arguments, const Model& model,
                                                    const std::string& text);

/// "length", "end_token", …
[[nodiscard]] std::string finish_name(Finish finish);

/// The conversation's beginning: the system message, where there is one.
[[nodiscard]] std::vector<ChatMessage> conversation(const Arguments& arguments);

// The options of generation, checked: Error(usage).
[[nodiscard]] GeneratorOptions generator_options(const Arguments& arguments);
[[nodiscard]] GenerateOptions generate_options(const Arguments& arguments);

/// "load 0.02 s, prompt 13 tokens in 0.02 s (610 tokens/s), …" on stderr.
void print_timings(double load_seconds, const Generation& generation);

}  // namespace attn::tools
