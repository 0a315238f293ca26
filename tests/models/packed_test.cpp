// Models whose weights stand in tiles: the same bits as in rows, however they are run, and back in
// rows the same file; and files that say of tiles what is not so.

#include "attn/convert.hpp"
#include "attn/generator.hpp"
#include "kernels/isa.hpp"
#include "models/source/source.hpp"
#include "models/source/write_model.hpp"
#include "runtime/formats/safetensors_writer.hpp"
#include "runtime/stored.hpp"
#include "support/files.hpp"
#include "support/references.hpp"
#include "support/stored_weights.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <deque>

using namespace attn;
using namespace attn::test;
using runtime::DType;
using runtime::TensorEntry;
using runtime::WeightLayout;

namespace {

const std::vector<DType> stored_types{DType::f16,  DType::bf16, DType::q8_0, DType::q4_0,
                                      DType::q4_1, DType::q5_0, DType::q5_1, DType::q4_k,
                                      DType::q5_k, DType::q6_k};
constexpr std::int64_t hidden = 256, vocab = 40;

// A llama of one layer and random weights of a type, its head tied to an embedding of 40 rows,
// which are no whole number of tiles.
void write_llama(const std::filesystem::path& path, DType type) {
  std::vector<TensorEntry> tensors;
  std::deque<StoredMatrix> made;
  std::uint32_t seed = 1;
  const auto matrix = [&](const std::string& name, std::int64_t out, std::int64_t in) {
    const StoredMatrix& w =
        made.emplace_back(random_stored(*runtime::weight_type(type), out, in, seed++));
    tensors.push_back({name,
                       type,
                       {out, in},
                       std::as_bytes(std::span(w.data(), runtime::dtype_bytes(type, out * in)))});
  };
  const std::vector<float> ones(hidden, 1);
  const auto norm = [&](const std::string& name) {
    tensors.push_back({name, DType::f32, {hidden}, std::as_bytes(std::span(ones))});
  };
  const std::string layer = "model.layers.0.";
  matrix("model.embed_tokens.weight", vocab, hidden);
  norm(layer + "input_layernorm.weight");
  matrix(layer + "self_attn.q_proj.weight", hidden, hidden);
  matrix(layer + "self_attn.k_proj.weight", 64, hidden);
  matrix(layer + "self_attn.v_proj.weight", 64, hidden);
  matrix(layer + "self_attn.o_proj.weight", hidden, hidden);
  norm(layer + "post_attention_layernorm.weight");
  matrix(layer + "mlp.gate_proj.weight", hidden, hidden);
  matrix(layer + "mlp.up_proj.weight", hidden, hidden);
  matrix(layer + "mlp.down_proj.weight", hidden, hidden);
  norm("model.norm.weight");
  const models::Metadata metadata({{"attn.architecture", "llama"},
                                   {"attn.hidden_size", "256"},
                                   {"attn.intermediate_size", "256"},
                                   {"attn.num_hidden_layers", "1"},
                                   {"attn.num_attention_heads", "8"},
                                   {"attn.num_key_value_heads", "2"},
                                   {"attn.max_position_embeddings", "64"},
                                   {"attn.rms_norm_eps", "1e-05"},
                                   {"attn.rope_theta", "10000.0"},
                                   {"attn.rope_layout", "half"},
                                   {"attn.hidden_act", "silu"}});
  models::write_model(path, metadata, tensors, nullptr);
}

Options verified() {
  Options options;
  options.verify = true;
  return options;
}

Options at(kernels::Isa isa, Precision precision, int threads) {
  Options options;
  options.isa = kernels::isa_name(isa);
  options.precision = precision;
  options.threads = threads;
  return options;
}

// The logits of twelve tokens, read at once, which products of many rows do, and one by one.
std::vector<float> logits(const std::filesystem::path& path, const Options& options) {
  const Model model = Model::open(path, options);
  std::vector<float> all;
  for (const int batch : {512, 1}) {
    Generator generator(model, {.batch = batch});
    generator.logits({{39, 3, 17, 0, 16, 15, 31, 32, 8, 1, 2, 38}},
                     [&](std::int64_t, std::span<const float> row) {
                       all.insert(all.end(), row.begin(), row.end());
                     });
  }
  return all;
}

std::int64_t count_tiles(const models::Source& source) {
  return std::count_if(source.tensors.begin(), source.tensors.end(),
                       [](const TensorEntry& e) { return e.layout == WeightLayout::tiles; });
}

}  // namespace

TEST_CASE("a packed model gives the bits of its rows at every level and precision",
          "[models][packed][isa]") {
  const TemporaryFolder folder;
  for (const DType type : stored_types) {
    write_llama(folder / "rows.bin", type);
    CHECK(convert(folder / "rows.bin", folder / "tiles.bin", {.pack = "avx2"}).packed == 8);
    for (const kernels::Isa isa : kernels::supported_isas()) {
      for (const Precision precision : {Precision::automatic, Precision::bf16, Precision::f32}) {
        INFO(runtime::dtype_name(type)
             << " at " << kernels::isa_name(isa) << " precision " << static_cast<int>(precision));
        const std::vector<float> rows = logits(folder / "rows.bin", at(isa, precision, 1));
        CHECK(std::all_of(rows.begin(), rows.end(), [](float x) { return std::isfinite(x); }));
        CHECK(logits(folder / "tiles.bin", at(isa, precision, 1)) == rows);
        CHECK(logits(folder / "tiles.bin", at(isa, precision, 3)) == rows);
      }
    }
  }
}

TEST_CASE("unpacked, packed anew or saved, a packed model is the same file", "[models][packed]") {
  const TemporaryFolder folder;
  for (const DType type : stored_types) {
    INFO(runtime::dtype_name(type));
    write_llama(folder / "rows.bin", type);
    const std::string rows = read_file(folder / "rows.bin");
    std::string tiles;
    for (const char* const isa : {"avx2", "avx512", "amx"}) {
      const Converted told = convert(folder / "rows.bin", folder / "tiles.bin", {.pack = isa});
      CHECK(told.requantized == 0);
      tiles = read_file(folder / "tiles.bin");
      CHECK(tiles != rows);
      const models::Source source = models::open_source(folder / "tiles.bin", true);
      CHECK(count_tiles(source) == 8);
      CHECK(source.metadata.text("attn.packed_for") == isa);
      (void)convert(folder / "tiles.bin", folder / "back.bin");
      CHECK(read_file(folder / "back.bin") == rows);
      (void)convert(folder / "tiles.bin", folder / "again.bin", {.pack = isa});
      CHECK(read_file(folder / "again.bin") == tiles);
    }
    const Model model = Model::open(folder / "tiles.bin", verified());
    model.save(folder / "saved.bin");
    CHECK(read_file(folder / "saved.bin") == tiles);
    // what a model says of itself is the same either way
    const auto told = [](const ModelInfo& info) {
      std::string all;
      for (const ModelInfo::Tensor& t : info.tensors) {
        all += t.name + t.dtype;
        for (const std::int64_t dim : t.shape) all += " " + std::to_string(dim);
      }
      return all;
    };
    CHECK(told(model.info()) == told(Model::open(folder / "rows.bin").info()));
  }
}

TEST_CASE("a packed model is quantized as its rows are", "[models][packed]") {
  const TemporaryFolder folder;
  write_llama(folder / "rows.bin", DType::q6_k);
  (void)convert(folder / "rows.bin", folder / "tiles.bin", {.pack = "amx"});
  (void)convert(folder / "rows.bin", folder / "a.bin", {.quantize = "q8_0", .pack = "amx"});
  (void)convert(folder / "tiles.bin", folder / "b.bin", {.quantize = "q8_0", .pack = "amx"});
  CHECK(read_file(folder / "a.bin") == read_file(folder / "b.bin"));
}

TEST_CASE("weights that are only looked up, or F32, are not packed", "[models][packed]") {
  const TemporaryFolder folder;
  CHECK(convert(data_path("tiny-bert"), folder / "f32.bin", {.pack = "avx2"}).packed == 0);
  CHECK_FALSE(models::open_source(folder / "f32.bin", true).metadata.has("attn.packed_for"));
  (void)convert(data_path("tiny-bert"), folder / "rows.bin", {.quantize = "bf16"});
  CHECK(convert(folder / "rows.bin", folder / "tiles.bin", {.pack = "avx512"}).packed == 12);
  const models::Source source = models::open_source(folder / "tiles.bin", true);
  for (const TensorEntry& entry : source.tensors) {
    if (entry.layout == WeightLayout::tiles)
      CHECK(entry.name.find("embeddings") == entry.name.npos);
  }
  const std::vector<std::vector<std::int32_t>> texts{{1, 2, 3}, {5}, {7, 8, 9, 10, 11, 12, 13, 14}};
  for (const kernels::Isa isa : kernels::supported_isas()) {
    Model rows = Model::open(folder / "rows.bin", at(isa, Precision::automatic, 1));
    Model tiles = Model::open(folder / "tiles.bin", at(isa, Precision::automatic, 1));
    CHECK(tiles.embed(texts).values == rows.embed(texts).values);
  }
}

TEST_CASE("what says of tiles what is not so is refused", "[models][packed]") {
  const TemporaryFolder folder;
  write_llama(folder / "rows.bin", DType::q4_1);
  (void)convert(folder / "rows.bin", folder / "tiles.bin", {.pack = "avx512"});
  const runtime::Safetensors file = runtime::Safetensors::open(folder / "tiles.bin");
  const Json packed = Json::parse(file.metadata().at("attn.packed"));
  const std::string name = "model.layers.0.self_attn.k_proj.weight";
  const auto refused = [&](const std::map<std::string, std::string>& metadata,
                           std::initializer_list<std::string_view> parts) {
    runtime::write_safetensors(folder / "bad.bin", metadata, file.tensors());
    require_error(ErrorKind::invalid, parts, [&] { (void)Model::open(folder / "bad.bin"); });
    require_error(ErrorKind::invalid, parts,
                  [&] { (void)convert(folder / "bad.bin", folder / "no.bin"); });
  };
  const auto lying = [&](const std::string& field, const Json& value,
                         std::initializer_list<std::string_view> parts) {
    INFO(field << " " << value.dump());
    Json changed = packed;
    changed[name][field] = value;
    if (value.is_discarded()) changed[name].erase(field);
    auto metadata = file.metadata();
    metadata["attn.packed"] = changed.dump();
    refused(metadata, parts);
  };
  const Json absent(Json::value_t::discarded);
  lying("type", "Q4_0", {"bad.bin", name, "Q4_0", "[64, 256]", "9216", "10240"});
  lying("type", "F32", {name, "F32"});
  lying("type", "Q4_9", {name, "Q4_9"});
  lying("type", 4, {name, "type", "4"});
  lying("type", absent, {name, "type"});
  lying("layout", "tiles8x8", {name, "tiles8x8", "tiles16x32"});
  lying("layout", "", {name, "layout"});
  lying("layout", absent, {name, "layout"});
  lying("shape", absent, {name, "shape"});
  lying("shape", 64, {name, "shape", "64"});
  lying("shape", "64", {name, "shape", "64"});
  lying("shape", {64}, {name, "[64]", "tiles"});
  lying("shape", {64, 256, 1}, {name, "[64, 256, 1]", "tiles"});
  lying("shape", {64, 250}, {name, "[64, 250]", "tiles"});
  lying("shape", {64, 288}, {name, "[64, 288]", "11520", "10240"});
  lying("shape", {-64, 256}, {name, "-64"});
  lying("shape", {64.5, 256}, {name, "64.5"});
  lying("shape", {512, std::int64_t{1} << 53}, {name, "9007199254740992"});
  lying("shape", {std::int64_t{1} << 53, 512}, {name, "9007199254740992"});
  lying("shape", {0, 256}, {name, "[0, 256]", "10240"});
  lying("shape", {49, 256}, {name, "[49, 256]", "[64, 256]"});  // as many bytes, another weight

  auto metadata = file.metadata();
  metadata["attn.packed"] = "[]";
  refused(metadata, {"attn.packed", "object"});
  metadata["attn.packed"] = "{";
  refused(metadata, {"attn.packed"});
  metadata["attn.packed"] = R"({"absent": {"type": "Q4_1", "shape": [1, 32]}})";
  refused(metadata, {"absent", "no such tensor"});
  metadata["attn.packed"] =
      R"({"model.norm.weight": {"type": "F16", "shape": [1, 256], "layout": "tiles16x32"}})";
  refused(metadata, {"model.norm.weight", "F32"});
  metadata = file.metadata();
  metadata["attn.packed_for"] = "avx10";
  refused(metadata, {"attn.packed_for", "avx10", "avx2, avx512, amx"});
  metadata["attn.packed_for"] = "scalar";
  refused(metadata, {"attn.packed_for", "scalar"});
  metadata.erase("attn.packed_for");
  refused(metadata, {"attn.packed_for", "missing"});
  metadata = file.metadata();
  metadata.erase("attn.packed");  // bytes without a description are no weights
  refused(metadata, {"model.embed_tokens.weight"});
  metadata = file.metadata();
  metadata["attn.quantized"] = Json{{name, {{"type", "Q4_1"}, {"shape", {64, 256}}}}}.dump();
  refused(metadata, {"attn.packed", name, "Q4_1"});  // in rows and in tiles

  require_error(ErrorKind::usage, {"pack", "sse", "avx2, avx512, amx"},
                [&] { (void)convert(folder / "rows.bin", folder / "no.bin", {.pack = "sse"}); });
  CHECK_FALSE(std::filesystem::exists(folder / "no.bin"));
}

TEST_CASE("verifying looks for NaN in tiles", "[models][packed]") {
  const TemporaryFolder folder;
  write_llama(folder / "rows.bin", DType::bf16);
  const runtime::Safetensors file = runtime::Safetensors::open(folder / "rows.bin");
  std::vector<TensorEntry> tensors(file.tensors().begin(), file.tensors().end());
  const auto entry = std::find_if(tensors.begin(), tensors.end(), [](const TensorEntry& e) {
    return e.name.ends_with("k_proj.weight");
  });
  std::vector<std::byte> changed(entry->data.begin(), entry->data.end());
  changed[2 * (17 * hidden + 5) + 1] = std::byte{0x7f};
  changed[2 * (17 * hidden + 5)] = std::byte{0xc0};
  entry->data = changed;
  runtime::write_safetensors(folder / "nan.bin", file.metadata(), tensors);
  (void)convert(folder / "nan.bin", folder / "tiles.bin", {.pack = "avx2"});
  CHECK_NOTHROW(Model::open(folder / "tiles.bin"));
  require_error(ErrorKind::invalid, {"k_proj", "[17, 5]"},
                [&] { (void)Model::open(folder / "tiles.bin", verified()); });
}
