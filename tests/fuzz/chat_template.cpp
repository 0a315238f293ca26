// Chat templates, which are programs of strangers: they end soon, and within their limits.

#include "models/text/chat_template.hpp"

#include "fuzz/targets.hpp"
#include "runtime/formats/json.hpp"
#include "support/small_models.hpp"

#include <fstream>

namespace attn::fuzz {

bool run_chat_template(std::string_view input) {
  const auto parts = parts_of(input, 2);
  const std::string content(parts.size() > 1 ? parts[1] : "hello");
  return accepts([&] {
    const models::ChatTemplate chat(std::string(parts[0]), "input");
    const std::vector<ChatMessage> messages{
        {"system", "You help."}, {"user", content}, {"assistant", "a\nb"}, {"user", "more"}};
    const std::map<std::string, std::string> tokens{{"bos_token", "<s>"}, {"eos_token", "</s>"}};
    const std::string first = chat.render(messages, true, tokens);
    expect(chat.render(messages, true, tokens) == first, "a template gives the same text twice");
    (void)chat.render({}, false, tokens);
  });
}

std::vector<std::string> chat_template_seeds() {
  std::vector<std::string> seeds;
  std::ifstream file(std::string(ATTN_TEST_DATA) + "/chat/cases.json");
  for (const runtime::Json& each : runtime::Json::parse(file)) {
    const auto source = each["template"].get<std::string>();
    // those that refuse our conversation are finds for the mutator, no good inputs
    if (source.size() <= find_target("chat_template").longest && run_chat_template(source)) {
      seeds.push_back(source);
    }
  }
  expect(seeds.size() > 50, "most of the templates are good inputs");
  seeds.push_back(joined({test::byte_tokenizer().chat_template, "<|im_end|>\n\xff"}));
  return seeds;
}

}  // namespace attn::fuzz
