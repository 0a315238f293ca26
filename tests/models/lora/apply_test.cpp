// Adapters beside a model's projections, against PyTorch's values and against merged weights.

#include "models/lora/apply.hpp"

#include "attn/batch.hpp"
#include "attn/convert.hpp"
#include "attn/generator.hpp"
#include "kernels/isa.hpp"
#include "models/lora/adapter_files.hpp"
#include "models/lora/rope_rows.hpp"
#include "models/source/source.hpp"
#include "support/files.hpp"
#include "support/gguf_model.hpp"
#include "support/numbers.hpp"
#include "support/references.hpp"

#include <catch2/catch.hpp>

#include <limits>

using namespace attn;
using test::data_json;
using test::data_path;
using test::require_error;
using test::TemporaryFolder;

namespace {

const std::filesystem::path& lora_path() {
  static const std::filesystem::path path = data_path("tiny-llama/lora");
  return path;
}

Options with(std::vector<Adapter> adapters, kernels::Isa isa = kernels::supported_isas().back(),
             Precision precision = Precision::f32) {
  Options options;
  options.isa = kernels::isa_name(isa);
  options.threads = 2;
  options.precision = precision;
  options.adapters = std::move(adapters);
  return options;
}

std::vector<std::int32_t> first_row() {
  return data_json("tiny-llama/training.json")["batch"][0].get<std::vector<std::int32_t>>();
}

std::vector<double> expected_logits() {
  return test::numbers(data_json("tiny-llama/training.json")["lora"]["logits_first_row_before"]);
}

std::vector<float> logits_of(const Model& model, int batch = 512) {
  Generator generator(model, {.batch = batch});
  std::vector<float> all;
  generator.logits(first_row(), [&](std::int64_t, std::span<const float> row) {
    all.insert(all.end(), row.begin(), row.end());
  });
  return all;
}

double difference(const std::vector<float>& got, const std::vector<double>& wanted) {
  return test::largest_difference(got, wanted);
}

std::vector<double> doubles(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

// Another adapter for the model: other modules, another rank, B not 0.
models::AdapterFile another(const std::vector<std::string>& names, std::int64_t in,
                            std::int64_t out) {
  models::AdapterFile adapter;
  adapter.rank = 3;
  adapter.alpha = 2;
  adapter.targets = names;
  for (const std::string& name : names) {
    const auto seed = static_cast<std::uint32_t>(adapter.modules.size());
    adapter.modules.push_back(
        {name, 3, in, out, test::random_values(static_cast<std::size_t>(3 * in), seed, -0.2, 0.2),
         test::random_values(static_cast<std::size_t>(3 * out), seed + 50, -0.2, 0.2)});
  }
  return adapter;
}

}  // namespace

TEST_CASE("tiny llama with an adapter gives PyTorch's logits, at every level", "[models][lora]") {
  const std::vector<double> expected = expected_logits();
  for (const kernels::Isa isa : kernels::supported_isas()) {
    INFO(kernels::isa_name(isa));
    const Model model = Model::open(data_path("tiny-llama"), with({{lora_path()}}, isa));
    const std::vector<float> logits = logits_of(model);
    CHECK(difference(logits, expected) <= 1e-4);
    CHECK(difference(logits_of(model, 1), doubles(logits)) <= 1e-5);
    // the adapter changes what is computed by far more than that
    const Model plain = Model::open(data_path("tiny-llama"), with({}, isa));
    CHECK(difference(logits_of(plain), expected) > 1e-2);
    const Model none = Model::open(data_path("tiny-llama"), with({{lora_path(), 0}}, isa));
    CHECK(difference(logits_of(none), doubles(logits_of(plain))) <= 1e-6);
    // Model::run goes another way to the same graph
    Model runs = Model::open(data_path("tiny-llama"), with({{lora_path()}}, isa));
    const std::vector<std::int32_t> ids = first_row();
    std::vector<std::int32_t> positions(ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i) positions[i] = static_cast<std::int32_t>(i);
    const Dims shape{std::ssize(ids)};
    const auto outputs =
        runs.run({{"tokens", shape, std::span(ids)}, {"positions", shape, std::span(positions)}});
    CHECK(test::largest_difference(outputs[0].values, expected) <= 1e-4);
  }
}

TEST_CASE("fused products of weights in tiles stay right beside adapters", "[models][lora]") {
  // weights of 16 bits, so that products are fused where the level has tiles, beside f32 factors
  const TemporaryFolder folder;
  const auto names = [](const char* part) {
    return std::vector<std::string>{"model.layers.0." + std::string(part),
                                    "model.layers.1." + std::string(part)};
  };
  write_adapter(folder / "q", another(names("self_attn.q_proj"), 64, 64));
  write_adapter(folder / "o", another(names("self_attn.o_proj"), 64, 64));
  for (const Precision precision : {Precision::automatic, Precision::bf16}) {
    const std::vector<Adapter> both{{folder / "q"}, {folder / "o", 0.5}};
    const Model scalar =
        Model::open(data_path("tiny-qwen2"), with(both, kernels::Isa::scalar, Precision::f32));
    const std::vector<double> exact = doubles(logits_of(scalar));
    const Model plain =
        Model::open(data_path("tiny-qwen2"), with({}, kernels::Isa::scalar, Precision::f32));
    const double change = difference(logits_of(plain), exact);
    for (const kernels::Isa isa : kernels::supported_isas()) {
      INFO(kernels::isa_name(isa) << " changed by " << change);
      const Model model = Model::open(data_path("tiny-qwen2"), with(both, isa, precision));
      // rounding to bfloat16, 2^-9, of numbers around 1 and sums of 64
      CHECK(difference(logits_of(model), exact) <= 0.02);
      CHECK(difference(logits_of(model, 1), exact) <= 0.02);
      CHECK(change > 0.1);
      CHECK(logits_of(model, 8) == logits_of(model, 1));  // lookup stands on this
    }
  }
}

TEST_CASE("two adapters at once are their sum, and a scale multiplies", "[models][lora]") {
  const TemporaryFolder folder;
  const models::AdapterFile given = models::read_adapter(lora_path());
  const models::AdapterFile other =
      another({"model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.o_proj"}, 64, 64);
  write_adapter(folder / "other", other);
  // the sum as one adapter: factors side by side, their scales in B
  models::AdapterFile sum;
  sum.rank = 7;
  sum.alpha = 7;
  sum.targets = {"q_proj"};
  const auto find = [](const models::AdapterFile& file, const std::string& name) {
    for (const auto& module : file.modules) {
      if (module.name == name) return &module;
    }
    return static_cast<const models::AdapterModule*>(nullptr);
  };
  std::map<std::string, models::AdapterModule> modules;
  for (const auto* const file : {&given, &other}) {
    for (const models::AdapterModule& part : file->modules) {
      if (modules.contains(part.name)) continue;
      models::AdapterModule& whole = modules[part.name];
      whole = {part.name, 0, part.in, part.out, {}, {}};
      std::vector<std::pair<const models::AdapterModule*, double>> parts;
      if (const auto* const first = find(given, part.name)) {
        parts.emplace_back(first, given.scale(*first) * 0.75);
      }
      if (const auto* const second = find(other, part.name)) {
        parts.emplace_back(second, other.scale(*second) * -2);
      }
      for (const auto& [each, scale] : parts) {
        whole.rank += each->rank;
        whole.a.insert(whole.a.end(), each->a.begin(), each->a.end());
      }
      for (std::int64_t row = 0; row < part.out; ++row) {
        for (const auto& [each, scale] : parts) {
          for (std::int64_t r = 0; r < each->rank; ++r) {
            whole.b.push_back(static_cast<float>(
                static_cast<double>(each->b[static_cast<std::size_t>(row * each->rank + r)]) *
                scale * static_cast<double>(whole.rank) / 7));
          }
        }
      }
    }
  }
  for (auto& [name, module] : modules) sum.modules.push_back(module);
  write_adapter(folder / "sum", sum);
  const Model both =
      Model::open(data_path("tiny-llama"), with({{lora_path(), 0.75}, {folder / "other", -2}}));
  const Model one = Model::open(data_path("tiny-llama"), with({{folder / "sum"}}));
  const std::vector<float> logits = logits_of(both);
  CHECK(difference(logits, doubles(logits_of(one))) <= 1e-4);
  const Model first = Model::open(data_path("tiny-llama"), with({{lora_path(), 0.75}}));
  CHECK(difference(logits_of(first), doubles(logits)) > 1e-2);
}

TEST_CASE("rows in the order of halves and of neighbours are each other's inverse",
          "[models][lora]") {
  const std::vector<float> rows = test::random_values(3 * 8 * 5, 1);  // 3 heads of 8, width 5
  const std::vector<float> turned = models::neighbours_from_halves(rows, 8, 5);
  CHECK(turned != rows);
  CHECK(models::halves_from_neighbours(turned, 8, 5) == rows);
  CHECK(models::neighbours_from_halves(models::halves_from_neighbours(rows, 8, 5), 8, 5) == rows);
  const std::vector<float> two{0, 1, 2, 3, 4, 5, 6, 7};  // 2 heads of 4
  CHECK(models::neighbours_from_halves(two, 4, 1) == std::vector<float>{0, 2, 1, 3, 4, 6, 5, 7});
  CHECK(models::neighbours_from_halves({}, 4, 1).empty());
}

TEST_CASE("an adapter does the same to a GGUF file of the same weights", "[models][lora]") {
  const TemporaryFolder folder;
  const models::Source source = models::open_source(data_path("tiny-llama"), false);
  test::write_file(folder / "tiny.gguf", test::gguf_of_llama(source));
  const Model plain = Model::open(data_path("tiny-llama"), with({}));
  const Model packed = Model::open(folder / "tiny.gguf", with({}));
  CHECK(difference(logits_of(packed), doubles(logits_of(plain))) <= 1e-5);
  const Model adapted = Model::open(folder / "tiny.gguf", with({{lora_path()}}));
  CHECK(difference(logits_of(adapted), expected_logits()) <= 1e-4);

  // k_proj has fewer heads than q_proj
  write_adapter(folder / "k", another({"model.layers.0.self_attn.k_proj"}, 64, 32));
  const Model k = Model::open(data_path("tiny-llama"), with({{folder / "k"}}));
  const Model packed_k = Model::open(folder / "tiny.gguf", with({{folder / "k"}}));
  CHECK(difference(logits_of(packed_k), doubles(logits_of(k))) <= 1e-5);
  CHECK(difference(logits_of(packed), doubles(logits_of(k))) > 1e-3);

  // as a trainer that begins with an adapter and writes it has it
  const models::Source gguf = models::open_source(folder / "tiny.gguf", false);
  models::Shapes shapes;
  for (const auto& entry : gguf.tensors) shapes[entry.name] = entry.shape;
  const auto specs = models::find_architecture("llama", true).weights(gguf.metadata, shapes);
  const models::AdapterFile read = models::read_adapter(lora_path());
  models::AdapterFile moved = read;
  models::to_model_order(moved, gguf.metadata, specs);
  CHECK_FALSE(moved == read);
  models::to_file_order(moved, gguf.metadata, specs);
  CHECK(moved == read);
  models::to_model_order(moved, source.metadata, specs);  // of a folder: as they are
  CHECK(moved == read);
}

TEST_CASE("whatever runs a language model sees its adapters", "[models][lora]") {
  const GenerateOptions greedy{.max_tokens = 6, .sampling = {.temperature = 0}};
  Model model = Model::open(data_path("tiny-llama"), with({{lora_path()}}));
  Model plain = Model::open(data_path("tiny-llama"), with({}));
  const std::vector<std::int32_t> prompt = first_row();
  const Generation alone = Generator(model).generate(prompt, greedy);
  CHECK(alone.tokens != Generator(plain).generate(prompt, greedy).tokens);
  const std::vector<BatchPrompt> prompts{{.tokens = prompt, .max_tokens = 6},
                                         {.tokens = {5, 4, 3}, .max_tokens = 6}};
  const BatchOptions together{.sampling = {.temperature = 0}};
  CHECK(generate_batch(model, prompts, together).at(0).tokens == alone.tokens);
  CHECK(model.attention(prompt).weights != plain.attention(prompt).weights);

  const ModelInfo info = model.info();
  CHECK(info.tensors.size() == plain.info().tensors.size() + 12);
  const TemporaryFolder folder;
  require_error(ErrorKind::usage, {"attn-convert --lora"}, [&] { model.save(folder / "x.bin"); });
  CHECK(folder.entries() == 0);
}

TEST_CASE("an encoder's embeddings and attention see its adapters", "[models][lora]") {
  const TemporaryFolder folder;
  write_adapter(folder / "attention", another({"encoder.layer.0.attention.self.query",
                                               "encoder.layer.1.attention.output.dense"},
                                              64, 64));
  write_adapter(folder / "wide", another({"encoder.layer.0.intermediate.dense"}, 64, 128));
  const std::vector<std::vector<std::int32_t>> texts{{1, 2, 3}, {5, 9, 11, 4}};
  Model plain = Model::open(data_path("tiny-bert"), with({}));
  const std::vector<float> before = plain.embed(texts).values;
  for (const char* const name : {"attention", "wide"}) {
    Model adapted = Model::open(data_path("tiny-bert"), with({{folder / name}}));
    CHECK(difference(adapted.embed(texts).values, doubles(before)) > 1e-3);
    Model none = Model::open(data_path("tiny-bert"), with({{folder / name, 0}}));
    CHECK(difference(none.embed(texts).values, doubles(before)) <= 1e-6);
  }
  Model adapted = Model::open(data_path("tiny-bert"), with({{folder / "attention"}}));
  CHECK(adapted.attention(texts[1]).weights != plain.attention(texts[1]).weights);
}

TEST_CASE("adapters that do not fit are refused, naming folder and module", "[models][lora]") {
  const TemporaryFolder folder;
  const auto refuses = [&](const models::AdapterFile& adapter,
                           std::initializer_list<std::string_view> parts) {
    write_adapter(folder / "bad", adapter);
    require_error(ErrorKind::invalid, {"/bad: module"},
                  [&] { (void)Model::open(data_path("tiny-llama"), with({{folder / "bad"}})); });
    require_error(ErrorKind::invalid, parts,
                  [&] { (void)Model::open(data_path("tiny-llama"), with({{folder / "bad"}})); });
  };
  refuses(another({"model.layers.2.self_attn.q_proj"}, 64, 64), {"layers.2", "not part"});
  refuses(another({"model.layers.0.self_attn.query"}, 64, 64), {"query", "not part"});
  refuses(another({"model.layers.0.self_attn.q_proj"}, 64, 32), {"q_proj", "[32, 64]", "[64, 64]"});
  refuses(another({"model.layers.0.self_attn.q_proj"}, 32, 64), {"[64, 32]", "[64, 64]"});
  refuses(another({"model.layers.0.input_layernorm"}, 64, 64),
          {"input_layernorm", "no projection"});
  refuses(another({"lm_head"}, 64, 256), {"lm_head", "embeddings and heads"});
  refuses(another({"model.embed_tokens"}, 64, 256), {"embed_tokens", "embeddings and heads"});

  const double nan = std::numeric_limits<double>::quiet_NaN();
  require_error(ErrorKind::usage, {"/lora", "scale", "nan"}, [&] {
    (void)Model::open(data_path("tiny-llama"), with({{lora_path(), nan}}));
  });
  require_error(ErrorKind::io, {"absent", "adapter_config.json"},
                [&] { (void)Model::open(data_path("tiny-llama"), with({{folder / "absent"}})); });
  require_error(ErrorKind::invalid, {"tiny-llama/lora", "not part"},
                [&] { (void)Model::open(data_path("tiny-bert"), with({{lora_path()}})); });
  require_error(ErrorKind::usage, {"tiny-llama/lora", "size_loss_attention"}, [&] {
    const auto bytes =
        test::size_loss_file(data_json("seeds.json")["size_loss_attention"]["initial"]);
    (void)Model::from_memory(bytes, "x.bin", with({{lora_path()}}));
  });
  require_error(ErrorKind::usage, {"adapters"}, [&] {
    (void)Model::create("self_attention", {{"embedding_size", "4"}}, 1, with({{lora_path()}}));
  });
}

TEST_CASE("merged weights give the logits of the model with its adapters", "[models][lora]") {
  const TemporaryFolder folder;
  write_adapter(folder / "other", another({"model.layers.0.self_attn.k_proj"}, 64, 32));
  const std::vector<Adapter> both{{lora_path()}, {folder / "other", -0.5}};
  test::write_file(folder / "tiny.gguf",
                   test::gguf_of_llama(models::open_source(data_path("tiny-llama"), false)));
  const std::vector<double> exact =
      doubles(logits_of(Model::open(data_path("tiny-llama"), with(both))));
  for (const std::filesystem::path& base : {data_path("tiny-llama"), folder / "tiny.gguf"}) {
    INFO(base);
    const Converted one = convert(base, folder / "one.bin", {.adapters = {{lora_path()}}});
    CHECK(one.merged == 6);
    CHECK(one.requantized == 0);
    const Model merged = Model::open(folder / "one.bin", with({}));
    CHECK(difference(logits_of(merged), expected_logits()) <= 1e-4);
    const Converted two = convert(base, folder / "two.bin", {.adapters = both});
    CHECK(two.merged == 7);
    CHECK(difference(logits_of(Model::open(folder / "two.bin", with({}))), exact) <= 1e-4);
  }
  // nothing else has changed
  const Model plain = Model::open(data_path("tiny-llama"), with({}));
  CHECK(convert(data_path("tiny-llama"), folder / "plain.bin").merged == 0);
  CHECK(logits_of(Model::open(folder / "plain.bin", with({}))) == logits_of(plain));
}

TEST_CASE("merged weights have the type that they had, or q8_0, or that of --quantize",
          "[models][lora]") {
  const TemporaryFolder folder;
  const std::string q = "model.layers.0.self_attn.q_proj.weight";
  const std::string k = "model.layers.0.self_attn.k_proj.weight";
  const auto type_of = [](const std::filesystem::path& path, const std::string& name) {
    for (const ModelInfo::Tensor& tensor : Model::open(path, with({})).info().tensors) {
      if (tensor.name == name) return tensor.dtype;
    }
    return std::string();
  };
  for (const auto& [stored, merged] : {std::pair{"bf16", "BF16"},
                                       {"f16", "F16"},
                                       {"f32", "F32"},
                                       {"q4_0", "Q8_0"},
                                       {"q8_0", "Q8_0"}}) {
    INFO(stored);
    convert(data_path("tiny-llama"), folder / "base.bin", {.quantize = stored});
    const Converted done =
        convert(folder / "base.bin", folder / "merged.bin", {.adapters = {{lora_path()}}});
    CHECK(done.merged == 6);
    CHECK(type_of(folder / "merged.bin", q) == merged);
    CHECK(type_of(folder / "merged.bin", k) == type_of(folder / "base.bin", k));
    const Converted other = convert(folder / "base.bin", folder / "merged.bin",
                                    {.quantize = "q4_1", .adapters = {{lora_path()}}});
    CHECK(other.merged == 6);
    CHECK(type_of(folder / "merged.bin", q) == "Q4_1");
    CHECK(type_of(folder / "merged.bin", k) == "Q4_1");
  }
  // in tiles before and after
  convert(data_path("tiny-llama"), folder / "base.bin", {.quantize = "bf16", .pack = "avx2"});
  const Converted packed = convert(folder / "base.bin", folder / "merged.bin",
                                   {.pack = "avx2", .adapters = {{lora_path()}}});
  CHECK(packed.merged == 6);
  CHECK(packed.packed > 6);
  const Model beside = Model::open(folder / "base.bin", with({{lora_path()}}));
  const Model inside = Model::open(folder / "merged.bin", with({}));
  // bfloat16 rounds each weight once more, by 2^-9 of it
  CHECK(difference(logits_of(inside), doubles(logits_of(beside))) <= 0.02);
  require_error(ErrorKind::invalid, {"tiny-llama/lora", "not part"}, [&] {
    convert(data_path("tiny-bert"), folder / "x.bin", {.adapters = {{lora_path()}}});
  });
  CHECK_FALSE(std::filesystem::exists(folder / "x.bin"));
}
