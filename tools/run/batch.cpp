// --batch-file: the prompts of a file, answered together.

#include "attn/batch.hpp"

#include "tools/common/interrupt.hpp"
#include "tools/common/json.hpp"
#include "tools/common/terminal.hpp"
#include "tools/common/tool.hpp"
#include "tools/run/prompt.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <limits>

namespace attn::tools {
namespace {

using Json = nlohmann::json;

constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();

std::int32_t number_in(const Json& value, const std::string& where, const char* what) {
  if (!value.is_number_integer() || value < 0 || value > most) {
    throw Error(ErrorKind::invalid, where + ": " + what + " " + value.dump() +
                                        " is no whole number from 0 to " + std::to_string(most));
  }
  return value.get<std::int32_t>();
}

/// The prompts, and what their answers are called, as JSON.
struct Asked {
  std::vector<BatchPrompt> prompts;
  std::vector<std::string> ids;
};

std::vector<std::int32_t> tokens_of(const Json& prompt, const std::string& where,
                                    const Arguments& arguments, const Model& model) {
  if (prompt.is_string()) {
    return text_tokens(arguments, model, prompt.get_ref<const std::string&>());
  }
  if (!prompt.is_array()) {
    throw Error(ErrorKind::invalid, where + ": the prompt is no text and no list of token ids");
  }
  std::vector<std::int32_t> tokens;
  for (const Json& token : prompt) tokens.push_back(number_in(token, where, "the token"));
  return tokens;
}

Asked read_prompts(const Arguments& arguments, const Model& model, int max_tokens) {
  Asked asked;
  read_lines_of_json(*arguments.batch_file, [&](const Json& line, const std::string& where) {
    if (!line.is_object() || !line.contains("prompt")) {
      throw Error(ErrorKind::invalid, where + ": is no JSON object with a \"prompt\"");
    }
    BatchPrompt prompt{.tokens = {}, .max_tokens = max_tokens, .name = where};
    std::string id = std::to_string(asked.ids.size());
    for (const auto& [key, value] : line.items()) {
      if (key == "prompt") {
        prompt.tokens = tokens_of(value, where, arguments, model);
      } else if (key == "max_tokens") {
        prompt.max_tokens = number_in(value, where, "max_tokens");
      } else if (key == "id") {
        if (!value.is_string() && !value.is_number()) {
          throw Error(ErrorKind::invalid, where + ": the id is no text and no number");
        }
        id = value.dump();
      } else {
        throw Error(ErrorKind::invalid, where + ": unknown field " + json_string(key) +
                                            "; there are prompt, id and max_tokens");
      }
    }
    asked.prompts.push_back(std::move(prompt));
    asked.ids.push_back(std::move(id));
  });
  return asked;
}

/// Answers end in any order, and are printed in that of the prompts, as soon as it is their turn.
class Answers {
 public:
  Answers(std::vector<std::string> ids, Out& out)
      : ids_(std::move(ids)), lines_(ids_.size()), out_(out) {}

  void add(std::size_t place, const Generation& answer) {
    lines_[place] = "{\"id\": " + ids_[place] + ", \"text\": " + json_string(answer.text) +
                    ", \"tokens\": " + std::to_string(answer.tokens.size()) +
                    ", \"finish\": " + json_string(finish_name(answer.finish)) + "}\n";
    for (; next_ < lines_.size() && !lines_[next_].empty(); ++next_) {
      out_.print(lines_[next_]);
      out_.flush();
    }
  }

 private:
  std::vector<std::string> ids_, lines_;
  std::size_t next_ = 0;
  Out& out_;
};

BatchOptions batch_options(const Arguments& arguments, const GenerateOptions& answer) {
  const GeneratorOptions generator = generator_options(arguments);
  BatchOptions options;
  options.context = generator.context;
  options.batch = generator.batch;
  options.kv_type = generator.kv_type;
  options.sampling = answer.sampling;
  options.stop = answer.stop;
  if (arguments.parallel) {
    constexpr std::int64_t most_parallel = 64;
    options.parallel =
        static_cast<int>(whole_number("--parallel", *arguments.parallel, 1, most_parallel));
  }
  return options;
}

}  // namespace

void generate_from_file(const Arguments& arguments, Opened& opened, Out& out) {
  const std::string others = given_of({{"--attention", arguments.picture.has_value()},
                                       {"--logits", arguments.logits.has_value()},
                                       {"--top-logits", arguments.top_logits.has_value()},
                                       {"--perplexity", arguments.perplexity.has_value()},
                                       {"--lookup", arguments.lookup},
                                       {"--profile", arguments.profile}});
  if (!others.empty()) {
    throw Error(ErrorKind::usage, others + ": is not for the prompts of --batch-file");
  }
  const GenerateOptions each = generate_options(arguments);
  BatchOptions options = batch_options(arguments, each);
  Asked asked = read_prompts(arguments, opened.model, each.max_tokens);
  const HoldInterrupts hold;
  Answers answers(std::move(asked.ids), out);
  ProgressBar progress("answering");
  options.on_answer = [&](std::size_t place, const Generation& answer) {
    progress.clear();
    answers.add(place, answer);
  };
  options.progress = [&](std::int64_t done, std::int64_t total) {
    HoldInterrupts::check();
    if (progress.due()) progress.show(done, total, std::to_string(done) + " answers");
  };
  const auto begin = std::chrono::steady_clock::now();
  const std::vector<Generation> all = generate_batch(opened.model, asked.prompts, options);
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
  progress.clear();
  std::size_t read = 0, written = 0;
  for (const Generation& answer : all) {
    read += answer.prompt.size();
    written += answer.tokens.size();
  }
  write_error_stream(
      fmt::format("load {:.2f} s, {} prompts of {} tokens, {} new in {:.2f} s ({:.0f} tokens/s)\n",
                  opened.seconds, all.size(), read, written, spent.count(),
                  spent.count() > 0 ? static_cast<double>(written) / spent.count() : 0.0));
}

}  // namespace attn::tools
