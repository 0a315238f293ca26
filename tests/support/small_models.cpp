#include "support/small_models.hpp"

#include "models/architecture.hpp"
#include "models/source/write_model.hpp"
#include "models/text/unicode.hpp"
#include "runtime/formats/json.hpp"
#include "runtime/formats/safetensors_writer.hpp"
#include "support/files.hpp"
#include "support/numbers.hpp"

#include <algorithm>

namespace attn::test {

using models::AddedToken;
using models::TokenizerModel;
using models::TokenizerSpec;
using runtime::DType;
using runtime::Json;
using runtime::TensorEntry;

namespace {

constexpr const char* chat_template =
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

std::string alphabet(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    models::append_utf8(text, models::byte_character(static_cast<unsigned char>(c)));
  }
  return text;
}

std::int32_t add_piece(TokenizerSpec& spec, std::string piece) {
  spec.pieces.push_back(std::move(piece));
  return static_cast<std::int32_t>(spec.pieces.size()) - 1;
}

void add_special(TokenizerSpec& spec, const std::string& text) {
  AddedToken token;
  token.id = add_piece(spec, text);
  token.text = text;
  token.special = true;
  spec.added.push_back(token);
}

// Merges that build each of the words from its letters.
void add_words(TokenizerSpec& spec, std::initializer_list<std::string_view> words) {
  const auto id_of = [&](const std::string& piece) {
    std::int32_t id = 0;
    while (spec.pieces[static_cast<std::size_t>(id)] != piece) ++id;
    return id;
  };
  for (const std::string_view word : words) {
    std::string whole = alphabet(word.substr(0, 1));
    for (std::size_t i = 1; i < word.size(); ++i) {
      const std::string next = alphabet(word.substr(i, 1));
      const std::int32_t left = id_of(whole), right = id_of(next);
      whole += next;
      spec.merges.emplace_back(left, right);
      if (std::find(spec.pieces.begin(), spec.pieces.end(), whole) == spec.pieces.end()) {
        (void)add_piece(spec, whole);
      }
    }
  }
}

// Byte-level, with these bytes.
TokenizerSpec byte_level(const std::vector<unsigned char>& bytes) {
  TokenizerSpec spec;
  spec.model = TokenizerModel::bpe;
  spec.byte_level = true;
  for (const char* special : {"<unk>", "<|im_start|>", "<|im_end|>"}) add_special(spec, special);
  for (const unsigned char byte : bytes) {
    std::string piece;
    models::append_utf8(piece, models::byte_character(byte));
    (void)add_piece(spec, piece);
  }
  spec.pre_tokenizers.push_back({"gpt2", "", "", true, false});
  add_words(spec, {"the", " the", " to"});
  spec.begin = 1;
  spec.ends = {2};
  spec.unknown_text = "<unk>";
  spec.begin_text = "<|im_start|>";
  spec.end_text = "<|im_end|>";
  spec.chat_template = chat_template;
  return spec;
}

TokenizerSpec letters() {
  std::vector<unsigned char> bytes{' ', '\n', '.'};
  for (unsigned char c = 'a'; c <= 'z'; ++c) bytes.push_back(c);
  return byte_level(bytes);
}

std::vector<TensorEntry> entries_of(const SmallModel& model) {
  std::vector<TensorEntry> entries;
  for (const SmallModel::Tensor& tensor : model.tensors) {
    entries.push_back(
        {tensor.name, DType::f32, tensor.shape, std::as_bytes(std::span(tensor.values))});
  }
  return entries;
}

}  // namespace

TokenizerSpec byte_tokenizer() {
  std::vector<unsigned char> bytes;
  for (int byte = 0; byte < 256; ++byte) bytes.push_back(static_cast<unsigned char>(byte));
  TokenizerSpec spec = byte_level(bytes);
  AddedToken mask;
  mask.text = "<mask>";
  mask.id = add_piece(spec, mask.text);
  mask.strip_left = mask.strip_right = true;
  spec.added.push_back(mask);
  AddedToken word;
  word.text = "word";
  word.id = add_piece(spec, word.text);
  word.single_word = true;
  spec.added.push_back(word);
  return spec;
}

TokenizerSpec wordpiece_tokenizer() {
  TokenizerSpec spec;
  spec.model = TokenizerModel::wordpiece;
  for (const char* special : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}) {
    add_special(spec, special);
  }
  for (char c = 'a'; c <= 'z'; ++c) {
    (void)add_piece(spec, std::string(1, c));
    (void)add_piece(spec, std::string("##") + c);
  }
  for (const char* piece : {".", ",", "!", "?", "-", "#", "the", "##ing", "elephant"}) {
    (void)add_piece(spec, piece);
  }
  spec.unknown = 1;
  spec.unknown_text = "[UNK]";
  spec.prefix = {2};
  spec.suffix = {3};
  spec.special_in_text = true;
  for (const char* kind : {"bert_clean", "bert_chinese", "nfd", "strip_accents", "lowercase"}) {
    spec.normalizers.push_back({kind, "", "", false, false});
  }
  spec.pre_tokenizers.push_back({"bert", "", "", false, false});
  return spec;
}

SmallModel small_model(const std::string& architecture, int width) {
  SmallModel model;
  const bool encoder = architecture == "bert";
  model.tokenizer = encoder ? wordpiece_tokenizer() : letters();
  const std::string size = std::to_string(width);
  const auto vocab = static_cast<std::int64_t>(model.tokenizer.pieces.size());
  model.metadata = models::Metadata({{"attn.architecture", architecture},
                                     {"attn.hidden_size", size},
                                     {"attn.intermediate_size", size},
                                     {"attn.num_hidden_layers", "1"},
                                     {"attn.num_attention_heads", "2"},
                                     {"attn.max_position_embeddings", "16"},
                                     {"attn.vocab_size", std::to_string(vocab)}});
  models::Shapes shapes;
  if (encoder) {
    model.metadata.set("attn.layer_norm_eps", "1e-12");
    model.metadata.set("attn.hidden_act", "gelu");
    shapes["embeddings.word_embeddings.weight"] = {vocab, width};
    shapes["embeddings.token_type_embeddings.weight"] = {2, width};
  } else {
    model.metadata.set("attn.num_key_value_heads", "1");
    model.metadata.set("attn.rms_norm_eps", "1e-05");
    model.metadata.set("attn.rope_theta", "10000.0");
    model.metadata.set("attn.rope_layout", "half");
    model.metadata.set("attn.hidden_act", "silu");
    shapes["model.embed_tokens.weight"] = {vocab, width};
  }
  std::uint32_t seed = 1;
  for (const models::WeightSpec& spec :
       models::find_architecture(architecture, true).weights(model.metadata, shapes)) {
    std::size_t count = 1;
    for (const std::int64_t dim : spec.shape) count *= static_cast<std::size_t>(dim);
    model.tensors.push_back({spec.name, spec.shape, random_values<float>(count, seed++, -0.5, 1)});
  }
  return model;
}

std::string model_bin(const SmallModel& model) {
  const TemporaryFolder folder;
  models::write_model(folder / "model.bin", model.metadata, entries_of(model), &model.tokenizer);
  return read_file(folder / "model.bin");
}

std::string safetensors_file(const SmallModel& model) {
  const TemporaryFolder folder;
  runtime::write_safetensors(folder / "model.safetensors", {{"format", "pt"}}, entries_of(model));
  return read_file(folder / "model.safetensors");
}

std::string config_json(const SmallModel& model) {
  const models::Metadata& from = model.metadata;
  Json config;
  for (const auto& [key, value] : from.all()) {
    const std::string name = key.substr(std::string_view("attn.").size());
    if (name == "architecture") {
      config["model_type"] = value;
    } else if (name == "hidden_act") {
      config[name] = value;
    } else if (name != "rope_layout") {
      config[name] = Json::parse(value);
    }
  }
  if (from.text("attn.architecture") == "bert") config["type_vocab_size"] = 2;
  return config.dump();
}

std::string tokenizer_json(const TokenizerSpec& spec) {
  const bool wordpiece = spec.model == TokenizerModel::wordpiece;
  Json vocab = Json::object(), merges = Json::array(), added = Json::array();
  for (std::size_t i = 0; i < spec.pieces.size(); ++i) vocab[spec.pieces[i]] = i;
  for (const auto& [left, right] : spec.merges) {
    merges.push_back({spec.pieces[static_cast<std::size_t>(left)],
                      spec.pieces[static_cast<std::size_t>(right)]});
  }
  for (const AddedToken& token : spec.added) {
    added.push_back({{"id", token.id},
                     {"content", token.text},
                     {"special", token.special},
                     {"lstrip", token.strip_left},
                     {"rstrip", token.strip_right},
                     {"single_word", token.single_word}});
  }
  Json root{{"added_tokens", added}};
  if (wordpiece) {
    root["model"] = {{"type", "WordPiece"}, {"unk_token", "[UNK]"}, {"vocab", vocab}};
    root["normalizer"] = {{"type", "BertNormalizer"}};
    root["pre_tokenizer"] = {{"type", "BertPreTokenizer"}};
    root["post_processor"] = {
        {"type", "BertProcessing"}, {"cls", {"[CLS]", 2}}, {"sep", {"[SEP]", 3}}};
  } else {
    root["model"] = {{"type", "BPE"}, {"unk_token", "<unk>"}, {"vocab", vocab}, {"merges", merges}};
    root["pre_tokenizer"] = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
    root["decoder"] = {{"type", "ByteLevel"}};
  }
  return root.dump();
}

}  // namespace attn::test
