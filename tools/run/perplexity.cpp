// --perplexity: how well the model expects a text.

#include "attn/generator.hpp"
#include "tools/common/data.hpp"
#include "tools/common/interrupt.hpp"
#include "tools/common/json.hpp"
#include "tools/common/terminal.hpp"
#include "tools/common/tool.hpp"
#include "tools/run/prompt.hpp"
#include "tools/run/report.hpp"

#include <fmt/format.h>

#include <limits>

namespace attn::tools {

void print_perplexity(const Arguments& arguments, const Opened& opened, Out& out) {
  std::vector<std::int32_t> tokens = opened.model.tokenize(
      read_file(*arguments.perplexity), {.parse_special = arguments.parse_special});
  if (arguments.max_tokens) {
    const auto most = static_cast<std::size_t>(whole_number(
        "--max-tokens", *arguments.max_tokens, 2, std::numeric_limits<std::int64_t>::max()));
    if (tokens.size() > most) tokens.resize(most);
  }
  Generator generator(opened.model, generator_options(arguments));
  const HoldInterrupts hold;
  ProgressBar progress("perplexity");
  Perplexity result;
  try {
    result = generator.perplexity(tokens, [&](std::int64_t done, std::int64_t total) {
      HoldInterrupts::check();
      if (progress.due()) progress.show(done, total, std::to_string(done) + " tokens");
    });
  } catch (const Error& error) {
    throw Error(error.kind(), *arguments.perplexity + ": " + error.what());
  }
  progress.clear();
  if (arguments.json) {
    JsonObject object;
    object.add("tokens", std::to_string(result.tokens));
    object.add("perplexity", json_number(result.value));
    if (arguments.profile) {
      object.add("profile", profile_json(generator.profile(), opened.model.info().isa));
    }
    out.print(object.text() + "\n");
  } else {
    out.print(fmt::format("perplexity {:.4f} over {} tokens\n", result.value, result.tokens));
    if (arguments.profile) {
      out.print(
          profile_text(generator.profile(), opened.model.info().isa, standard_output_terminal()));
    }
  }
}

}  // namespace attn::tools
