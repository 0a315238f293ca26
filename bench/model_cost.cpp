#include "bench/model_cost.hpp"

#include "runtime/dtype.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <random>
#include <utility>

namespace attn::bench {
namespace {

// "135M", "1.1B"
std::string rounded(std::int64_t count) {
  const auto value = static_cast<double>(count);
  if (value >= 1e9) return fmt::format("{:.1f}B", value * 1e-9);
  if (value >= 1e6) return fmt::format("{:.0f}M", value * 1e-6);
  return fmt::format("{:.0f}K", value * 1e-3);
}

std::int64_t bytes_of(const ModelInfo::Tensor& tensor, std::int64_t elements) {
  const auto type = runtime::dtype_from_name(tensor.dtype);
  if (!type) return 0;
  return elements / runtime::dtype_block(*type) *
         static_cast<std::int64_t>(runtime::dtype_size(*type));
}

}  // namespace

std::vector<int> Test::lengths() const {
  std::vector<int> lengths;
  const std::int64_t steps = std::max(batch - 1, 1), span = prompt - shortest;
  for (std::int64_t i = 0; i < batch; ++i) {
    lengths.push_back(shortest + static_cast<int>((2 * i * span + steps) / (2 * steps)));
  }
  // by hand, because std::shuffle is another one in each standard library
  std::mt19937 random(1);
  for (std::size_t i = lengths.size(); i > 1; --i) std::swap(lengths[i - 1], lengths[random() % i]);
  return lengths;
}

std::int64_t Test::tokens(bool encoder) const {
  if (generate > 0) return std::int64_t{generate} * parallel;
  if (!encoder) return prompt;
  const std::vector<int> each = lengths();
  return std::accumulate(each.begin(), each.end(), std::int64_t{0});
}

std::string test_name(const Test& test, bool encoder) {
  std::string name = encoder             ? fmt::format("{}x", test.batch)
                     : test.generate > 0 ? fmt::format("tg{}", test.generate)
                                         : fmt::format("pp{}", test.prompt);
  if (encoder && test.shortest < test.prompt) name += fmt::format("{}..", test.shortest);
  if (encoder) name += std::to_string(test.prompt);
  if (test.parallel > 1) name += fmt::format(" x{}", test.parallel);
  if (test.depth > 0) name += fmt::format(" @ d{}", test.depth);
  return name;
}

ModelCost model_cost(const Model& model) {
  const ModelInfo info = model.info();
  ModelCost cost;
  cost.parameters = info.parameter_count;
  cost.encoder = model.text().embeds;
  cost.context = model.text().trained_context;
  cost.isa = info.isa;
  std::map<std::string, double> types;
  double table = 0;
  bool head = false;
  std::int64_t table_bytes = 0;
  for (const ModelInfo::Tensor& tensor : info.tensors) {
    std::int64_t elements = 1;
    for (const std::int64_t size : tensor.shape) elements *= size;
    const std::int64_t bytes = bytes_of(tensor, elements);
    cost.bytes += bytes;
    if (tensor.shape.size() < 2) continue;
    const auto count = static_cast<double>(elements);
    types[tensor.dtype] += count;
    if (tensor.name.ends_with("lm_head.weight")) {
      head = true;
      cost.head_weights = count;
    } else if (tensor.name.find("embed") != std::string::npos) {
      table += count;
      table_bytes += bytes;
    } else {
      cost.layer_weights += count;
      if (tensor.name.ends_with("q_proj.weight") || tensor.name.ends_with("query.weight")) {
        cost.attention_width += static_cast<double>(tensor.shape[0]);
      }
    }
  }
  // of a table of embeddings one row a token is read, unless it is the head as well
  const bool tied = !head && !cost.encoder;
  if (tied) cost.head_weights = table;
  cost.token_bytes = cost.bytes - (tied ? 0 : table_bytes);
  const auto most = std::max_element(
      types.begin(), types.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most != types.end()) cost.weight_type = most->first;
  cost.type = info.architecture + " " + rounded(cost.parameters) + " " + cost.weight_type;
  return cost;
}

double prompt_operations(const ModelCost& cost, const Test& test) {
  double operations = 0;
  for (const double tokens : cost.encoder ? test.lengths() : std::vector<int>{test.prompt}) {
    // every token looks at itself and those before it; an encoder's at all
    const double pairs =
        cost.encoder ? tokens * tokens : tokens * test.depth + tokens * (tokens + 1) / 2;
    operations +=
        2 * cost.layer_weights * tokens + 2 * cost.head_weights + 4 * cost.attention_width * pairs;
  }
  return operations;
}

}  // namespace attn::bench
