#pragma once

#include "attn/attn.hpp"
#include "tools/common/terminal.hpp"
#include "tools/draw/draw.hpp"
#include "tools/run/feed.hpp"

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace attn::tools {

/// A run as it is told.
struct Run {
  const Model& model;
  const std::string& model_name;
  const Feed& feed;
  std::span<const Output> outputs;
};

/// Where the queries look, for pictures: a map a head. None if the model has no such output.
[[nodiscard]] std::optional<AttentionPicture> attention_picture(const Run& run);

/// Inputs, the words' ranking, outputs in tables and a heat map.
[[nodiscard]] std::string human_text(const Run& run, const Terminal& terminal);

/// {"outputs": {…}, "tokens": […], "profile": […]}: tokens where there are words, profile where it
/// was asked for.
[[nodiscard]] std::string json_text(const Run& run,
                                    const std::optional<std::vector<OpProfile>>& profile);

/// Op by op: shape, ISA, implementation, calls, time and its share.
[[nodiscard]] std::string profile_text(const std::vector<OpProfile>& profile,
                                       const std::string& isa, const Terminal& terminal);

/// The same as a JSON list.
[[nodiscard]] std::string profile_json(const std::vector<OpProfile>& profile,
                                       const std::string& isa);

/// What --info prints.
[[nodiscard]] std::string info_text(const Model& model, const std::string& model_name,
                                    const Terminal& terminal);
[[nodiscard]] std::string info_json(const Model& model, const std::string& model_name);

}  // namespace attn::tools
