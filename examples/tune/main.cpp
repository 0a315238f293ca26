// Teaches a language model a text: an adapter (LoRA) beside its weights, which stay as they are.
// usage: tune MODEL TEXT ADAPTER, then attn-run MODEL --lora ADAPTER

#include <attn/tune_data.hpp>
#include <attn/tune_run.hpp>
#include <cstdio>
#include <vector>

namespace {

void teach(attn::Model& model, const char* text, const char* adapter) {
  attn::TuneOptions options;
  options.context = 64;
  options.learning_rate = 1e-3;
  const std::vector<attn::TuneExample> examples =
      attn::language_examples(model, text, {.context = options.context});

  attn::TuneRunOptions run;
  run.epochs = 5;
  run.on_step = [](const attn::TuneStep& step) {
    std::printf("step %lld: loss %.4f\n", static_cast<long long>(step.step), step.loss);
    return true;  // false would stop
  };
  options.steps = attn::tune_steps(examples.size(), options, run);
  attn::Tuner tuner(model, options);
  attn::tune(tuner, examples, {}, run);
  tuner.save(adapter);
  std::printf("%lld numbers trained\n", static_cast<long long>(tuner.trained_parameters()));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fputs("usage: tune MODEL TEXT ADAPTER\n", stderr);
    return 2;
  }
  try {
    attn::Model model = attn::Model::open(argv[1]);
    teach(model, argv[2], argv[3]);
  } catch (const attn::Error& error) {
    std::fprintf(stderr, "tune: %s\n", error.what());
    return error.exit_code();
  }
}
