#include "models/training/batch.hpp"

#include "attn/error.hpp"
#include "models/errors.hpp"
#include "models/language/prompts.hpp"
#include "runtime/formats/text.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

namespace attn::models {

using runtime::DType;
using runtime::Session;
using runtime::TensorView;
using runtime::ValueId;

namespace {

std::string name_of(const TuneExample& example) {
  return example.name.empty() ? "an example" : runtime::path_text(example.name);
}

[[noreturn]] void refuse(const TuneExample& example, const std::string& what) {
  throw Error(ErrorKind::invalid, name_of(example) + ": " + what);
}

void check_tokens(const TuneExample& example, std::span<const std::int32_t> tokens,
                  const ExampleLimits& limits) {
  if (tokens.empty()) refuse(example, "has no tokens");
  if (static_cast<std::int64_t>(tokens.size()) > limits.context) {
    refuse(example, std::to_string(tokens.size()) + " tokens, more than the context of " +
                        std::to_string(limits.context));
  }
  naming(name_of(example), [&] { models::check_tokens(tokens, limits.vocab); });
}

void check_targets(const TuneExample& example, const ExampleLimits& limits) {
  if (!example.targets.empty() && example.targets.size() != example.tokens.size()) {
    refuse(example, std::to_string(example.targets.size()) + " targets for " +
                        std::to_string(example.tokens.size()) + " tokens");
  }
  for (std::size_t i = 0; i < example.targets.size(); ++i) {
    const std::int32_t target = example.targets[i];
    if (target >= -1 && target < limits.vocab) continue;
    refuse(example, "target " + std::to_string(target) + " at position " + std::to_string(i) +
                        " is not in 0.." + std::to_string(limits.vocab - 1) + ", nor -1 for none");
  }
}

bool looked_at(const TuneExample& example, std::int32_t word) {
  return std::find(example.look_at.begin(), example.look_at.end(), word) != example.look_at.end();
}

// Words that are looked at, and others: what stands in no word is one of its own.
struct WordCounts {
  std::size_t chosen = 0, others = 0;
};

WordCounts count_words(const TuneExample& example) {
  WordCounts counts;
  std::int32_t highest = -1;
  for (const std::int32_t word : example.words) {
    if (word >= 0 && word == highest) continue;  // words rise, whatever stands in one
    highest = std::max(highest, word);
    ++(word >= 0 && looked_at(example, word) ? counts.chosen : counts.others);
  }
  return counts;
}

void check_words(const TuneExample& example) {
  if (example.words.size() != example.tokens.size()) {
    refuse(example, std::to_string(example.words.size()) + " word numbers for " +
                        std::to_string(example.tokens.size()) + " tokens");
  }
  std::int32_t highest = -1;
  for (const std::int32_t word : example.words) {
    if (word < -1 || (word >= 0 && word < highest)) {
      refuse(example, "word number " + std::to_string(word) + " after " + std::to_string(highest));
    }
    highest = std::max(highest, word);
  }
  for (const std::int32_t word : example.look_at) {
    if (std::find(example.words.begin(), example.words.end(), word) == example.words.end()) {
      refuse(example, "word " + std::to_string(word) + " is to be looked at and not there");
    }
  }
  const WordCounts counts = count_words(example);
  if (counts.chosen == 0) refuse(example, "no word is to be looked at");
  if (counts.others == 0) refuse(example, "there are no other words to turn away from");
}

void check_pair(const TuneExample& example, const ExampleLimits& limits) {
  check_tokens(example, example.other, limits);
  if (!limits.scored) {
    if (!std::isnan(example.score)) refuse(example, "has a score, and others have none");
    return;
  }
  if (std::isnan(example.score)) refuse(example, "has no score");
  if (example.score < -1 || example.score > 1) {
    refuse(example, "score " + std::to_string(example.score) + " is not in -1..1");
  }
}

template <class T>
void put(const TensorView& tensor, std::size_t at, T value) {
  tensor.as<T>()[at] = value;
}

// A number of the graph's type.
void put_number(const TensorView& tensor, std::size_t at, double value) {
  if (tensor.dtype == DType::f64) {
    put(tensor, at, value);
  } else {
    put(tensor, at, static_cast<float>(value));
  }
}

void clear(const TensorView& tensor) {
  std::memset(tensor.data, 0,
              static_cast<std::size_t>(tensor.elements()) * runtime::dtype_size(tensor.dtype));
}

std::int32_t target_at(const TuneExample& example, std::size_t i) {
  if (!example.targets.empty()) return example.targets[i];
  return i + 1 < example.tokens.size() ? example.tokens[i + 1] : -1;
}

// One after the other: ids, positions from 0 in each, where each begins.
class Rows {
 public:
  Rows(Session& session, const TuneGraph& graph) : session_(session), graph_(graph) {
    if (graph.sequences != ValueId::none) {
      starts_ = session.tensor(graph.sequences).as<std::int32_t>();
      *starts_++ = 0;
    }
  }

  /// The row that the text begins at.
  std::size_t add(std::span<const std::int32_t> tokens) {
    auto* const ids = session_.tensor(graph_.tokens).as<std::int32_t>();
    auto* const positions = session_.tensor(graph_.positions).as<std::int32_t>();
    const std::size_t first = row_;
    for (std::size_t i = 0; i < tokens.size(); ++i, ++row_) {
      ids[row_] = tokens[i];
      positions[row_] = static_cast<std::int32_t>(i);
    }
    if (starts_ != nullptr) *starts_++ = static_cast<std::int32_t>(row_);
    return first;
  }

 private:
  Session& session_;
  const TuneGraph& graph_;
  std::int32_t* starts_ = nullptr;
  std::size_t row_ = 0;
};

void fill_pairs(Session& session, const TuneGraph& graph, std::span<const TuneExample> examples,
                const BatchShares& shares) {
  clear(session.tensor(graph.token_types));
  Rows rows(session, graph);
  std::size_t text = 0;
  const auto add = [&](std::span<const std::int32_t> tokens) {
    const std::size_t first = rows.add(tokens);
    if (graph.first_rows != ValueId::none) {
      put(session.tensor(graph.first_rows), text, static_cast<std::int32_t>(first));
    }
    ++text;
  };
  for (const TuneExample& example : examples) add(example.tokens);
  for (const TuneExample& example : examples) add(example.other);
  for (std::size_t i = 0; i < examples.size(); ++i) {
    if (graph.scores != ValueId::none) {
      put_number(session.tensor(graph.scores), i, examples[i].score);
      put_number(session.tensor(graph.shares), i, shares.example);
    } else {
      put(session.tensor(graph.targets), i, static_cast<std::int32_t>(i));
    }
  }
  if (graph.scale != ValueId::none) put(session.tensor(graph.scale), 0, shares.example);
}

void fill_attention(Session& session, const TuneGraph& graph, const TuneExample& example,
                    const TuneGoal& goal, std::span<const int> heads, double share) {
  const TensorView& coefficients = session.tensor(graph.coefficients);
  const TensorView& looking = session.tensor(graph.looking);
  clear(coefficients);
  clear(looking);
  const WordCounts counts = count_words(example);
  const auto columns = static_cast<std::size_t>(coefficients.cols());
  const double part = share / static_cast<double>(heads.size() * goal.layers.size());
  for (const int head : heads) {
    const std::size_t row = static_cast<std::size_t>(head) * columns;
    for (std::size_t i = 0; i < columns; ++i) {
      const bool chosen = example.words[i] >= 0 && looked_at(example, example.words[i]);
      put_number(coefficients, row + i,
                 chosen ? -part / static_cast<double>(counts.chosen)
                        : part / static_cast<double>(counts.others));
      if (chosen) put_number(looking, row + i, part);
    }
  }
}

}  // namespace

void check_example(const TuneExample& example, const ExampleLimits& limits) {
  check_tokens(example, example.tokens, limits);
  if (limits.task == TuneTask::similarity) return check_pair(example, limits);
  if (!example.other.empty()) refuse(example, "has another text, and only pairs have one");
  if (limits.language) check_targets(example, limits);
  if (limits.task == TuneTask::attention) check_words(example);
}

std::int64_t target_count(const TuneExample& example) {
  std::int64_t count = 0;
  for (std::size_t i = 0; i < example.tokens.size(); ++i) {
    if (target_at(example, i) >= 0) ++count;
  }
  return count;
}

std::int64_t token_count(std::span<const TuneExample> examples) {
  std::size_t count = 0;
  for (const TuneExample& each : examples) count += each.tokens.size() + each.other.size();
  return static_cast<std::int64_t>(count);
}

void fill_batch(Session& session, const TuneGraph& graph, std::span<const TuneExample> examples,
                const TuneGoal& goal, std::span<const int> heads, const BatchShares& shares) {
  const auto count = static_cast<std::int64_t>(examples.size());
  const bool pairs = goal.task == TuneTask::similarity;
  std::vector<std::int64_t> symbols{token_count(examples)};
  if (graph.sequences != ValueId::none) symbols.push_back((pairs ? 2 * count : count) + 1);
  if (pairs) {
    symbols.push_back(2 * count);
    symbols.push_back(count);
  }
  session.resize(symbols);
  if (graph.dropout != ValueId::none) put(session.tensor(graph.dropout), 0, shares.dropout);
  if (pairs) return fill_pairs(session, graph, examples, shares);
  if (graph.token_types != ValueId::none) clear(session.tensor(graph.token_types));
  Rows rows(session, graph);
  for (const TuneExample& example : examples) {
    const std::size_t first = rows.add(example.tokens);
    for (std::size_t i = 0; goal.language && i < example.tokens.size(); ++i) {
      put(session.tensor(graph.targets), first + i, target_at(example, i));
    }
  }
  if (goal.language) put(session.tensor(graph.scale), 0, shares.language);
  if (goal.task == TuneTask::attention) {
    fill_attention(session, graph, examples[0], goal, heads, shares.example);
  }
}

}  // namespace attn::models
