// A teaching model on tensors.

#include "tools/common/interrupt.hpp"
#include "tools/common/terminal.hpp"
#include "tools/run/modes.hpp"
#include "tools/run/report.hpp"

#include <optional>
#include <vector>

namespace attn::tools {
namespace {

void draw(const std::string& path, const Run& run) {
  const std::optional<AttentionPicture> picture = attention_picture(run);
  if (!picture) {
    throw Error(ErrorKind::usage,
                "--attention: " + run.model.architecture() + " hands out no attention weights");
  }
  const HoldInterrupts hold;
  write_heatmap(path, *picture);
  HoldInterrupts::check();
}

}  // namespace

void run_tensors(const Arguments& arguments, Opened& opened, Out& out) {
  Model& model = opened.model;
  const Terminal terminal = standard_output_terminal();
  const Feed feed = feed_for(model, opened.name, arguments.input, arguments.sentence);
  const Run run{model, opened.name, feed, run_on(model, feed)};
  if (arguments.picture) draw(*arguments.picture, run);
  std::optional<std::vector<OpProfile>> profile;
  if (arguments.profile) profile = model.profile();
  if (arguments.json) {
    out.print(json_text(run, profile));
    return;
  }
  out.print(human_text(run, terminal));
  if (profile) out.print(profile_text(*profile, model.info().isa, terminal));
}

}  // namespace attn::tools
