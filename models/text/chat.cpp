#include "models/text/chat.hpp"

#include "attn/error.hpp"
#include "models/text/chat_template.hpp"
#include "models/text/unicode.hpp"

#include <algorithm>
#include <set>

namespace attn::models {
namespace {

// While the template is rendered, a private character stands for the first one of a special token's
// text inside messages, so that afterwards no message holds a special token. One of the last plane,
// which neither messages nor template have.
class Guards {
 public:
  Guards(const TokenizerSpec& spec, std::span<const ChatMessage> messages) {
    for (const AddedToken& token : spec.added) {
      if (token.special) texts_.push_back(token.text);
    }
    std::set<std::uint32_t> taken;
    note(spec.chat_template, taken);
    for (const ChatMessage& message : messages) {
      note(message.role, taken);
      note(message.content, taken);
    }
    for (const std::uint32_t code : taken) {
      if (code >= first_ + texts_.size()) break;
      first_ = code + 1;
    }
    constexpr std::size_t last = 0x10FFFD;
    if (first_ + texts_.size() > last + 1) {
      throw Error(ErrorKind::invalid, "the messages hold too many of the private characters");
    }
  }

  [[nodiscard]] std::string guarded(const std::string& text) const {
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
      const Character c = character_at(text, at);
      const auto found =
          std::find_if(texts_.begin(), texts_.end(), [&](const std::string& special) {
            return text.compare(at, special.size(), special) == 0;
          });
      if (found == texts_.end()) {
        out.append(text, at, c.length);
      } else {
        append_utf8(out, first_ + static_cast<std::uint32_t>(found - texts_.begin()));
      }
      at += c.length;
    }
    return out;
  }

  [[nodiscard]] std::string restored(std::string_view text) const {
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
      const Character c = character_at(text, at);
      const std::size_t which = c.code - first_;
      if (c.code >= first_ && which < texts_.size()) {
        const std::string& special = texts_[which];
        out.append(special, 0, character_at(special, 0).length);
      } else {
        out.append(text.substr(at, c.length));
      }
      at += c.length;
    }
    return out;
  }

 private:
  void note(std::string_view text, std::set<std::uint32_t>& taken) const {
    for (std::size_t at = 0; at < text.size();) {
      const Character c = character_at(text, at);
      if (c.code >= first_ && c.valid()) taken.insert(c.code);
      at += c.length;
    }
  }

  std::vector<std::string> texts_;
  std::uint32_t first_ = 0x100000;
};

}  // namespace

std::vector<std::int32_t> chat_tokens(const Tokenizer& tokenizer, const std::string& name,
                                      std::span<const ChatMessage> conversation) {
  const TokenizerSpec& spec = tokenizer.spec();
  const Guards guards(spec, conversation);
  std::vector<ChatMessage> messages(conversation.begin(), conversation.end());
  for (ChatMessage& message : messages) {
    message.role = guards.guarded(message.role);
    message.content = guards.guarded(message.content);
  }
  const ChatTemplate chat(spec.chat_template, name);
  const std::string text = chat.render(messages, true,
                                       {{"bos_token", spec.begin_text},
                                        {"eos_token", spec.end_text},
                                        {"unk_token", spec.unknown_text},
                                        {"pad_token", spec.pad_text}});
  // the template's own special tokens cut the text; between them nothing counts as one
  std::vector<std::int32_t> tokens;
  std::size_t begin = 0;
  const auto add_text = [&](std::size_t end) {
    const std::string part = guards.restored(std::string_view(text).substr(begin, end - begin));
    const std::vector<std::int32_t> some = tokenizer.encode(part, {.add_special = false});
    tokens.insert(tokens.end(), some.begin(), some.end());
  };
  for (std::size_t at = 0; at < text.size(); ++at) {
    const AddedToken* longest = nullptr;
    for (const AddedToken& token : spec.added) {
      if (!token.special || text.compare(at, token.text.size(), token.text) != 0) continue;
      if (longest == nullptr || token.text.size() > longest->text.size()) longest = &token;
    }
    if (longest == nullptr) continue;
    add_text(at);
    tokens.push_back(longest->id);
    at += longest->text.size() - 1;
    begin = at + 1;
  }
  add_text(text.size());
  return tokens;
}

}  // namespace attn::models
