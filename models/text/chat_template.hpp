#pragma once

#include "attn/text.hpp"

#include <map>
#include <memory>
#include <span>
#include <string>

namespace attn::models {

/// A chat template: Jinja as transformers runs it (trim_blocks, lstrip_blocks, raise_exception,
/// tojson). What of Jinja is not done here is an error that names it, and so is a template that
/// takes too long, too much memory or too deep a stack. There is no strftime_now: a template that
/// asks whether it is defined takes its fixed date, so that the same conversation gives the same
/// text every day. Immutable; any number of threads may use it.
class ChatTemplate {
 public:
  /// Throws Error(invalid) naming `name`, the line and what is not understood.
  ChatTemplate(const std::string& source, std::string name);
  ~ChatTemplate();

  /// The conversation as text, with the beginning of an answer where asked for. `tokens`:
  /// bos_token, eos_token, … Throws Error(invalid) for what the template raises or does not do.
  [[nodiscard]] std::string render(std::span<const ChatMessage> messages,
                                   bool add_generation_prompt,
                                   const std::map<std::string, std::string>& tokens) const;

 private:
  struct Parsed;
  std::string name_;
  std::unique_ptr<const Parsed> parsed_;
};

}  // namespace attn::models
