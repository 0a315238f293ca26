#include "tools/run/examples.hpp"

#include "attn/error.hpp"
#include "tools/common/json.hpp"
#include "tools/common/table.hpp"

#include <array>

// The symbols that attn_embed makes.
extern "C" {
extern const std::byte attn_example_attention_mechanism[], attn_example_attention_mechanism_end[];
extern const std::byte attn_example_self_attention[], attn_example_self_attention_end[];
extern const std::byte attn_example_multi_head[], attn_example_multi_head_end[];
extern const std::byte attn_example_size_loss[], attn_example_size_loss_end[];
}

namespace attn::tools {

std::span<const Example> examples() {
  static const std::array<Example, 4> all{{
      {"attention-mechanism",
       "attention_mechanism",
       "3 vectors weighed by a learned score",
       {attn_example_attention_mechanism, attn_example_attention_mechanism_end}},
      {"self-attention",
       "self_attention",
       "3 vectors that look at one another, without projections",
       {attn_example_self_attention, attn_example_self_attention_end}},
      {"multi-head",
       "multi_head_attention",
       "3 vectors, 2 heads, with projections",
       {attn_example_multi_head, attn_example_multi_head_end}},
      {"size-loss",
       "size_loss_attention",
       "the pink elephant: trained to look at the words that speak of size",
       {attn_example_size_loss, attn_example_size_loss_end}},
  }};
  return all;
}

const Example& find_example(std::string_view name) {
  std::string known;
  for (const Example& example : examples()) {
    if (example.name == name) return example;
    known += (known.empty() ? "" : ", ") + std::string(example.name);
  }
  throw Error(ErrorKind::usage,
              "--example " + std::string(name) + ": there is no such example, only " + known);
}

void print_examples(Out& out, bool as_json) {
  if (as_json) {
    std::vector<std::string> elements;
    for (const Example& example : examples()) {
      elements.push_back("{\"name\": " + json_string(example.name) +
                         ", \"architecture\": " + json_string(example.architecture) +
                         ", \"about\": " + json_string(example.about) + "}");
    }
    JsonObject object;
    object.add("examples", json_lines(elements, 1));
    out.print(object.text() + "\n");
    return;
  }
  Table table("lll");
  for (const Example& example : examples()) {
    table.row(
        {std::string(example.name), std::string(example.architecture), std::string(example.about)});
  }
  out.print(table.text());
}

}  // namespace attn::tools
