#include "models/text/chat_template.hpp"

#include "models/text/jinja/syntax.hpp"

namespace attn::models {

struct ChatTemplate::Parsed {
  jinja::Block block;
};

ChatTemplate::ChatTemplate(const std::string& source, std::string name)
    : name_(std::move(name)), parsed_(new Parsed{jinja::parse(source, name_)}) {}

ChatTemplate::~ChatTemplate() = default;

std::string ChatTemplate::render(std::span<const ChatMessage> messages, bool add_generation_prompt,
                                 const std::map<std::string, std::string>& tokens) const {
  jinja::Value variables = jinja::Value::object();
  jinja::Value list = jinja::Value::array();
  for (const ChatMessage& message : messages) {
    jinja::Value& each = list.emplace_back(jinja::Value::object());
    each["role"] = message.role;
    each["content"] = message.content;
  }
  variables["messages"] = std::move(list);
  variables["add_generation_prompt"] = add_generation_prompt;
  variables["tools"] = nullptr;
  variables["documents"] = nullptr;
  for (const auto& [key, text] : tokens) {
    if (!text.empty()) variables[key] = text;
  }
  return jinja::render(parsed_->block, variables, name_);
}

}  // namespace attn::models
