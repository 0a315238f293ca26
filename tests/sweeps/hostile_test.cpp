// Small files that claim much: refused at once, and before memory is taken for what they claim.

#include "attn/attn.hpp"
#include "models/text/tokenizer.hpp"
#include "support/files.hpp"
#include "support/gguf.hpp"

#include <catch2/catch.hpp>

#include <ctime>
#include <string>
#include <sys/resource.h>
#include <vector>

using namespace attn;
using namespace attn::test;

namespace {

constexpr std::uint64_t huge = std::uint64_t{1} << 60;

long peak_kilobytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

// of this thread: what the machine does beside is not its fault
double processor_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

template <class Open>
void refused_at_once(const std::string& what, Open&& open) {
  INFO(what);
  const long before = peak_kilobytes();
  const double begin = processor_seconds();
  try {
    open();
    FAIL_CHECK("it was opened");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::invalid);
  }
  CHECK(processor_seconds() - begin < 0.1);
  CHECK(peak_kilobytes() - before <= 16 * 1024);
}

std::string container(const std::string& header) {
  std::string prefix;
  for (unsigned shift = 0; shift < 64; shift += 8) {
    prefix += static_cast<char>(header.size() >> shift);
  }
  return prefix + header;
}

std::string padded(std::string bytes) {
  bytes.resize(std::max<std::size_t>(bytes.size(), 64));
  return bytes;
}

}  // namespace

TEST_CASE("a file of some 64 bytes that claims 2^60 is refused at once", "[sweep]") {
  std::string length;
  for (unsigned shift = 0; shift < 64; shift += 8) length += static_cast<char>(huge >> shift);
  const auto key = [](std::uint32_t type) { return GgufBytes().header(0, 1).key("k", type); };
  const std::vector<std::pair<std::string, std::string>> files{
      {"header length", padded(length + "{")},
      {"shape",
       container(
           R"({"w":{"dtype":"U8","shape":[4503599627370496],"data_offsets":[0,4503599627370496]}})")},
      {"two dimensions",
       container(R"({"w":{"dtype":"F32","shape":[1152921504606846976,16],"data_offsets":[0,0]}})")},
      {"GGUF tensors", padded(GgufBytes().header(huge, 0).bytes())},
      {"GGUF keys", padded(GgufBytes().header(0, huge).bytes())},
      {"GGUF key length", padded(GgufBytes().header(0, 1).u64(huge).bytes())},
      {"GGUF string", padded(key(gguf_string).u64(huge).bytes())},
      {"GGUF strings", padded(key(gguf_array).u32(gguf_string).u64(huge).bytes())},
      {"GGUF numbers", padded(key(gguf_array).u32(gguf_u64).u64(huge).bytes())},
      {"GGUF bytes", padded(key(gguf_array).u32(gguf_u8).u64(huge).bytes())},
      {"GGUF dimension", padded(GgufBytes().header(1, 0).tensor("t", {huge}, 0, 0).bytes())},
      {"GGUF offset", padded(GgufBytes().header(1, 0).tensor("t", {4}, 0, huge).bytes())}};
  const TemporaryFolder folder;
  for (const auto& [what, bytes] : files) {
    write_file(folder / "hostile", bytes);
    refused_at_once(what, [&] { (void)Model::open(folder / "hostile"); });
    refused_at_once(
        what, [&, &content = bytes] { (void)Model::from_memory(bytes_of(content), "hostile"); });
  }
}

TEST_CASE("a small file that claims a large model is refused at once", "[sweep]") {
  const auto claims = [](const std::string& layers, const std::string& width) {
    return container(R"({"__metadata__":{"attn.architecture":"llama","attn.hidden_size":")" +
                     width + R"(","attn.intermediate_size":")" + width +
                     R"(","attn.num_attention_heads":"1","attn.num_hidden_layers":")" + layers +
                     R"(","attn.max_position_embeddings":"67108864","attn.rms_norm_eps":"1e-5",)" +
                     R"("attn.rope_theta":"10000","attn.rope_layout":"half",)" +
                     R"("attn.hidden_act":"silu"},"model.embed_tokens.weight":)" +
                     R"({"dtype":"U8","shape":[1,2],"data_offsets":[0,2]}})") +
           "ab";
  };
  for (const char* layers : {"1", "4096", "2147483648", "1152921504606846976"}) {
    for (const char* width : {"2", "1048576", "1152921504606846976"}) {
      refused_at_once(std::string(layers) + " layers of " + width, [&] {
        const std::string bytes = claims(layers, width);
        (void)Model::from_memory(bytes_of(bytes), "hostile");
      });
    }
  }
}

TEST_CASE("a small vocabulary that claims large ids is refused at once", "[sweep]") {
  for (const char* id : {"67108864", "33554432", "2147483647", "1152921504606846976"}) {
    refused_at_once(id, [&] {
      models::HuggingFaceTexts texts;
      texts.name = "hostile";
      texts.tokenizer =
          R"({"model": {"type": "BPE", "merges": [], "vocab": {"a": )" + std::string(id) + "}}}";
      (void)models::tokenizer_from_huggingface(texts);
    });
  }
  refused_at_once("added tokens that each raise the limit of the next", [] {
    models::HuggingFaceTexts texts;
    texts.name = "hostile";
    texts.tokenizer =
        R"({"model": {"type": "BPE", "merges": [], "vocab": {"a": 0}}, "added_tokens": [)";
    for (std::int64_t id = 65'000; id < 1 << 26; id = 2 * id + 65'000) {
      texts.tokenizer +=
          R"({"id": )" + std::to_string(id) + R"(, "content": "t)" + std::to_string(id) + "\"}, ";
    }
    texts.tokenizer += R"({"id": 1, "content": "b"}]})";
    (void)models::tokenizer_from_huggingface(texts);
  });
}

TEST_CASE("a tokenizer whose steps multiply a text is stopped", "[sweep]") {
  std::string replaces, spaces;
  for (int i = 0; i < 60; ++i) {
    replaces += std::string(i > 0 ? "," : "") +
                R"({"type": "Replace", "pattern": {"String": "a"}, "content": "aa"})";
    spaces += std::string(i > 0 ? "," : "") +
              R"({"type": "Metaspace", "replacement": "  ", "split": false})";
  }
  const auto with = [](const std::string& steps) {
    return R"({"model": {"type": "BPE", "merges": [], "vocab": {"a": 0}}, )" + steps + "}";
  };
  for (const std::string& json :
       {with(R"("normalizer": {"type": "Sequence", "normalizers": [)" + replaces + "]}"),
        with(R"("pre_tokenizer": {"type": "Sequence", "pretokenizers": [)" + spaces + "]}")}) {
    refused_at_once(json.substr(0, 100), [&] {
      models::HuggingFaceTexts texts;
      texts.name = "hostile";
      texts.tokenizer = json;
      const models::Tokenizer tokenizer(models::tokenizer_from_huggingface(texts), "hostile");
      (void)tokenizer.encode("a a a");
    });
  }
}
