// adapter MODEL OUT: writes an adapter with random factors beside every projection of a model, for
// tests in other languages.

#include "attn/error.hpp"
#include "models/lora/apply.hpp"
#include "models/source/source.hpp"
#include "support/numbers.hpp"

#include <cmath>
#include <cstdio>

namespace {

attn::models::AdapterFile random_adapter(const attn::models::Source& source) {
  using namespace attn::models;
  Shapes shapes;
  for (const auto& entry : source.tensors) shapes[entry.name] = entry.shape;
  const Architecture& kind = find_architecture(source.metadata.text("attn.architecture"), true);
  shapes = shapes_of(kind.weights(source.metadata, shapes));
  AdapterFile adapter;
  adapter.rank = 6;
  adapter.alpha = 9;
  adapter.use_rslora = true;
  adapter.base = "base";
  std::uint32_t seed = 0;
  for (const auto& name : adaptable_modules(kind.weights(source.metadata, shapes))) {
    const Dims& shape = shapes.at(name + ".weight");
    // ranks of their own for some, as rank_pattern has them
    const std::int64_t rank = adapter.modules.size() % 3 == 1 ? 2 : adapter.rank;
    // so that B A x is about as large as W x of a model that is just made
    const double bound = 0.3 / std::sqrt(static_cast<double>(shape[1]));
    AdapterModule module{name, rank, shape[1], shape[0], {}, {}};
    module.a = attn::test::random_values(static_cast<std::size_t>(rank * shape[1]), ++seed, -1, 1);
    module.b =
        attn::test::random_values(static_cast<std::size_t>(shape[0] * rank), ++seed, -bound, bound);
    adapter.targets.push_back(name);
    adapter.modules.push_back(std::move(module));
  }
  return adapter;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) return 2;
  try {
    const auto source = attn::models::open_source(arguments[1], /*verify=*/false);
    attn::models::write_adapter(arguments[2], random_adapter(source));
  } catch (const attn::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.exit_code();
  }
  return 0;
}
