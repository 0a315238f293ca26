#include "tools/run/prompt.hpp"

#include "attn/error.hpp"
#include "tools/common/data.hpp"
#include "tools/common/kv_type.hpp"
#include "tools/common/terminal.hpp"
#include "tools/common/tool.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <limits>

namespace attn::tools {

std::vector<std::int32_t> token_list(const std::string& text) {
  std::vector<std::int32_t> tokens;
  for (const std::string& part : word_list("--tokens", text)) {
    tokens.push_back(static_cast<std::int32_t>(
        whole_number("--tokens", part, 0, std::numeric_limits<std::int32_t>::max())));
  }
  return tokens;
}

void read_lines_of_json(
    const std::string& path,
    const std::function<void(const nlohmann::json&, const std::string& where)>& each) {
  const std::string bytes = read_file(path);
  std::size_t number = 0;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t end = std::min(bytes.find('\n', at), bytes.size());
    const std::string_view line(bytes.data() + at, end - at);
    at = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    each(nlohmann::json::parse(line, nullptr, false), path + ": line " + std::to_string(number));
  }
}

std::vector<std::string> read_json_lines(const std::string& path) {
  std::vector<std::string> strings;
  read_lines_of_json(path, [&](const nlohmann::json& value, const std::string& where) {
    if (!value.is_string()) throw Error(ErrorKind::invalid, where + ": is no JSON string");
    strings.push_back(value.get<std::string>());
  });
  return strings;
}

std::string finish_name(Finish finish) {
  switch (finish) {
    case Finish::end_token: return "end_token";
    case Finish::stop_string: return "stop";
    case Finish::length: return "length";
    case Finish::context_full: return "context_full";
    case Finish::cancelled: return "cancelled";
  }
  return "";
}

std::vector<ChatMessage> conversation(const Arguments& arguments) {
  std::vector<ChatMessage> messages;
  if (arguments.system) messages.push_back({"system", *arguments.system});
  return messages;
}

std::optional<std::vector<std::int32_t>> prompt_tokens(const Arguments& arguments,
                                                       const Model& model) {
  if (arguments.tokens) {
    if (arguments.chat) {
      throw Error(ErrorKind::usage, "--chat: asks in words, and --tokens has none");
    }
    return token_list(*arguments.tokens);
  }
  if (!arguments.prompt && !arguments.file) return std::nullopt;
  return text_tokens(arguments, model,
                     arguments.prompt ? *arguments.prompt : read_file(*arguments.file));
}

std::vector<std::int32_t> text_tokens(const Arguments& arguments, const Model& model,
                                      const std::string& text) {
  if (arguments.chat) {
    std::vector<ChatMessage> messages = conversation(arguments);
    messages.push_back({"user", text});
    return model.tokenize_chat(messages);
  }
  if (arguments.system) {
    throw Error(ErrorKind::usage, "--system: is part of a conversation, which --chat asks for");
  }
  return model.tokenize(text, {.parse_special = arguments.parse_special});
}

GeneratorOptions generator_options(const Arguments& a) {
  constexpr std::int64_t most_context = 1 << 24;  // the model says what it was trained on
  constexpr std::int64_t most_batch = 65536;
  GeneratorOptions options;
  if (a.context)
    options.context = static_cast<int>(whole_number("--context", *a.context, 1, most_context));
  if (a.batch) options.batch = static_cast<int>(whole_number("--batch", *a.batch, 1, most_batch));
  options.kv_type = kv_type(a.kv_type);
  return options;
}

GenerateOptions generate_options(const Arguments& a) {
  constexpr std::int64_t most = std::numeric_limits<int>::max();
  GenerateOptions options;
  Sampling& sampling = options.sampling;
  if (a.count) options.max_tokens = static_cast<int>(whole_number("--predict", *a.count, 0, most));
  if (a.temperature) sampling.temperature = number_within("--temp", *a.temperature, {0, 1e6});
  if (a.top_k) sampling.top_k = static_cast<int>(whole_number("--top-k", *a.top_k, 0, most));
  if (a.top_p) sampling.top_p = number_within("--top-p", *a.top_p, {0, 1, true});
  if (a.min_p) sampling.min_p = number_within("--min-p", *a.min_p, {0, 1});
  if (a.repeat_penalty) {
    sampling.repeat_penalty = number_within("--repeat-penalty", *a.repeat_penalty, {1e-3, 1e3});
  }
  if (a.seed) sampling.seed = seed_number("--seed", *a.seed);
  options.stop = a.stop;
  options.lookup = a.lookup;
  for (const std::string& text : a.stop) {
    if (text.empty()) throw Error(ErrorKind::usage, "--stop '': needs a text");
  }
  return options;
}

void print_timings(double load_seconds, const Generation& g) {
  const auto rate = [](std::size_t count, double seconds) {
    return seconds > 0 ? static_cast<double>(count) / seconds : 0.0;
  };
  const std::size_t read = g.prompt.size() - static_cast<std::size_t>(g.reused);
  // the first new token comes with the prompt's logits
  const std::size_t decoded = g.tokens.empty() ? 0 : g.tokens.size() - 1;
  std::string line =
      fmt::format("load {:.2f} s, prompt {} tokens in {:.2f} s ({:.0f} tokens/s)", load_seconds,
                  read, g.prompt_seconds, rate(read, g.prompt_seconds));
  if (g.reused > 0) line += fmt::format(", {} reused", g.reused);
  if (!g.tokens.empty()) {
    line += fmt::format(", {} new in {:.2f} s ({:.0f} tokens/s)", g.tokens.size(), g.decode_seconds,
                        rate(decoded, g.decode_seconds));
  }
  if (g.proposed > 0) {
    line += fmt::format(", {} of {} guessed tokens right", g.accepted, g.proposed);
  }
  if (g.finish == Finish::context_full) line += ", the context is full";
  write_error_stream(line + "\n");
}

}  // namespace attn::tools
