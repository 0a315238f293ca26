// Texts into tokens, embeddings and similarities.

#include "tools/common/interrupt.hpp"
#include "tools/common/json.hpp"
#include "tools/common/table.hpp"
#include "tools/common/terminal.hpp"
#include "tools/run/maps.hpp"
#include "tools/run/prompt.hpp"
#include "tools/run/report.hpp"

#include <fmt/format.h>

namespace attn::tools {
namespace {

/// The texts of --prompt or --file, or the ids of --tokens.
struct Texts {
  std::vector<std::string> texts;  ///< empty with --tokens
  std::vector<std::vector<std::int32_t>> tokens;
};

Texts texts_of(const Arguments& arguments, const Model& model, bool truncate) {
  Texts result;
  if (arguments.tokens) {
    result.tokens.push_back(token_list(*arguments.tokens));
    return result;
  }
  if (arguments.prompt) {
    result.texts.push_back(*arguments.prompt);
  } else if (arguments.file) {
    result.texts = read_json_lines(*arguments.file);
  } else {
    throw Error(ErrorKind::usage, "a text is needed: -p TEXT, -f FILE.jsonl, or --tokens");
  }
  for (const std::string& text : result.texts) {
    result.tokens.push_back(
        model.tokenize(text, {.parse_special = arguments.parse_special, .truncate = truncate}));
  }
  return result;
}

std::string tokens_json(const std::vector<std::vector<std::int32_t>>& all) {
  std::vector<std::string> lines;
  for (const std::vector<std::int32_t>& tokens : all) {
    const std::vector<std::int64_t> wide(tokens.begin(), tokens.end());
    lines.push_back(json_list(wide));
  }
  return json_lines(lines, 1);
}

/// Of embeddings as long as 1: their dot products.
std::vector<float> cosines(const Embeddings& embeddings) {
  const auto width = static_cast<std::size_t>(embeddings.width);
  const std::size_t count = width == 0 ? 0 : embeddings.values.size() / width;
  const auto dot = [&](std::size_t i, std::size_t j) {
    double sum = 0;
    for (std::size_t d = 0; d < width; ++d) {
      sum += static_cast<double>(embeddings.values[i * width + d]) *
             static_cast<double>(embeddings.values[j * width + d]);
    }
    return sum;
  };
  std::vector<double> length(count);
  for (std::size_t i = 0; i < count; ++i) length[i] = std::sqrt(dot(i, i));
  std::vector<float> matrix(count * count);
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t j = 0; j < count; ++j) {
      const double both = length[i] * length[j];
      matrix[i * count + j] = static_cast<float>(both > 0 ? dot(i, j) / both : 0);
    }
  }
  return matrix;
}

}  // namespace

void print_tokens(const Arguments& arguments, const Opened& opened, Out& out) {
  const Texts texts = texts_of(arguments, opened.model, false);
  JsonObject object;
  object.add("tokens", tokens_json(texts.tokens));
  out.print(object.text() + "\n");
}

void run_encoder(const Arguments& arguments, Opened& opened, Out& out) {
  if (arguments.embed && arguments.similarity) {
    throw Error(ErrorKind::usage, "--embed and --similarity: only one of them");
  }
  const Texts texts = texts_of(arguments, opened.model, true);
  const MapsRequest maps(arguments, opened.model);
  if (arguments.picture && texts.tokens.size() != 1) {
    throw Error(ErrorKind::usage, "--attention: draws one text, and there are " +
                                      std::to_string(texts.tokens.size()));
  }
  const HoldInterrupts hold;
  ProgressBar progress("embedding");
  const Embeddings embeddings =
      opened.model.embed(texts.tokens, [&](std::int64_t done, std::int64_t total) {
        HoldInterrupts::check();
        if (progress.due()) progress.show(done, total, std::to_string(done) + " texts");
      });
  progress.clear();
  if (arguments.picture) maps.draw(texts.tokens[0], opened.name);
  const auto count = static_cast<std::int64_t>(texts.tokens.size());
  if (arguments.similarity && !arguments.json) {
    TensorLabels labels;
    labels.rows = labels.columns = texts.texts.empty() ? positions(count) : texts.texts;
    out.print(tensor_text("similarity", cosines(embeddings), {count, count}, labels,
                          standard_output_terminal().width));
    if (arguments.profile) {
      out.print(profile_text(opened.model.profile(), opened.model.info().isa,
                             standard_output_terminal()));
    }
    return;
  }
  JsonObject object;
  object.add("tokens", tokens_json(texts.tokens));
  if (arguments.similarity) {
    object.add("similarity", json_nested(cosines(embeddings), {count, count}));
  } else {
    object.add("embeddings", json_nested(embeddings.values, {count, embeddings.width}));
  }
  if (arguments.profile) {
    object.add("profile", profile_json(opened.model.profile(), opened.model.info().isa));
  }
  out.print(object.text() + "\n");
}

}  // namespace attn::tools
