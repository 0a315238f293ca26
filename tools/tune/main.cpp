// attn-tune: trains a model and shows what came of it.

#include "attn/attn.hpp"
#include "tools/common/choices.hpp"
#include "tools/common/tool.hpp"
#include "tools/tune/arguments.hpp"
#include "tools/tune/plan.hpp"
#include "tools/tune/teaching.hpp"
#include "tools/tune/text_model.hpp"

#include <optional>
#include <string>

namespace {

using namespace attn;
using namespace attn::tools;

Model opened(const Arguments& arguments) {
  Options options;
  options.threads = thread_count(arguments.threads);
  options.precision = precision_choice(arguments.precision);
  return Model::open(*arguments.model, options);
}

void tune_model(const Arguments& arguments, Out& out) {
  const TuneTask task = task_of(arguments);
  if (!arguments.model) {
    if (task == TuneTask::attention) return tune_teaching_model(arguments, std::nullopt, out);
    throw Error(ErrorKind::usage, "--task " + *arguments.task + ": needs a MODEL to train");
  }
  if (task != TuneTask::attention) {  // what is wrong here is said before a file is looked for
    TunePlan plan = tune_plan(arguments);
    check_outputs(plan);
    return tune_text_model(std::move(plan), opened(arguments), out);
  }
  Model model = opened(arguments);
  if (!model.text().generates && !model.text().embeds) {
    return tune_teaching_model(arguments, std::move(model), out);
  }
  TunePlan plan = tune_plan(arguments);
  check_outputs(plan);
  tune_text_model(std::move(plan), std::move(model), out);
}

}  // namespace

int main(int argc, char** argv) {
  return run_tool("attn-tune", [&](Out& out) {
    CLI::App app(
        "Trains a model: teaching models, and language models and encoders with low-rank "
        "adapters or whole.",
        "attn-tune");
    Arguments arguments;
    declare(app, arguments);
    if (parse_arguments(app, argc, argv, out)) tune_model(arguments, out);
  });
}
