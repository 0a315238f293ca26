// Whole models in one file: GGUF, and our own container.

#include "attn/convert.hpp"
#include "fuzz/opened.hpp"
#include "fuzz/targets.hpp"
#include "runtime/formats/gguf.hpp"
#include "support/files.hpp"
#include "support/gguf_model.hpp"
#include "support/small_models.hpp"

namespace attn::fuzz {

using runtime::DType;
using test::small_model;

namespace {

bool open_and_use(std::string_view input, bool verify) {
  return accepts([&] {
    Options options = fuzz_options();
    options.verify = verify;
    Model model = Model::from_memory(test::bytes_of(input), "input", options);
    use(model);
  });
}

}  // namespace

bool run_gguf(std::string_view input) {
  return runtime::Gguf::begins(test::bytes_of(input)) && open_and_use(input, false);
}

std::vector<std::string> gguf_seeds() {
  std::vector<std::string> seeds;
  for (const char* name : {"llama", "qwen2", "bert"}) {
    seeds.push_back(test::gguf_file(small_model(name)));
  }
  for (const DType type : {DType::q8_0, DType::q4_0, DType::bf16}) {
    seeds.push_back(test::gguf_file(small_model("llama", 32), type, false));
  }
  return seeds;
}

bool run_model_bin(std::string_view input) {
  if (runtime::Gguf::begins(test::bytes_of(input))) return false;
  const bool verified = open_and_use(input, true);
  // a checksum that does not fit would hide all that stands behind it
  const bool opened = open_and_use(input, false);
  expect(opened || !verified, "what is verified is opened");
  return verified;
}

std::vector<std::string> model_bin_seeds() {
  std::vector<std::string> seeds;
  for (const char* name : {"llama", "qwen2", "bert"}) {
    seeds.push_back(test::model_bin(small_model(name)));
  }
  const test::TemporaryFolder folder;
  const auto created = [&](const char* architecture,
                           const std::map<std::string, std::string>& parameters) {
    Model::create(architecture, parameters, 1, fuzz_options()).save(folder / "model.bin");
    seeds.push_back(test::read_file(folder / "model.bin"));
  };
  created("attention_mechanism", {{"input_dim", "3"}, {"attention_units", "2"}});
  created("self_attention", {{"embedding_size", "4"}});
  created("self_attention", {{"embedding_size", "0"}});
  created("multi_head_attention", {{"embedding_size", "4"}, {"num_heads", "2"}});
  created("size_loss_attention",
          {{"sentence", "a big cat on the mat"}, {"size_words", "big"}, {"embedding_dim", "2"}});
  const auto converted = [&](const ConvertOptions& options) {
    test::write_file(folder / "in.bin", test::model_bin(small_model("llama", 32)));
    (void)convert(folder / "in.bin", folder / "out.bin", options);
    seeds.push_back(test::read_file(folder / "out.bin"));
  };
  converted({.quantize = "q8_0"});
  converted({.quantize = "q4_0", .pack = "avx2"});
  converted({.quantize = "bf16", .pack = "amx"});
  return seeds;
}

}  // namespace attn::fuzz
