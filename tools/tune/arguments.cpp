#include "tools/tune/arguments.hpp"

namespace attn::tools {
namespace {

/// Declares the options of one group.
class Group {
 public:
  Group(CLI::App& app, const char* name) : app_(app), name_(name) {}
  CLI::Option* option(const char* names, std::optional<std::string>& value, const char* type,
                      const std::string& help) {
    return app_.add_option(names, value, help)->type_name(type)->group(name_);
  }
  CLI::Option* flag(const char* names, bool& value, const char* help) {
    return app_.add_flag(names, value, help)->group(name_);
  }

 private:
  CLI::App& app_;
  const char* name_;
};

void declare_common(CLI::App& app, Arguments& a) {
  Group group(app, "Options");
  auto* model = group.option("-m,--model,MODEL", a.model, "FILE",
                             "The model to train: a model.bin, a GGUF file or a folder in the "
                             "Hugging Face layout; without one a new teaching model is made");
  group.option("--task", a.task, "NAME",
               "What to learn: lm (the next token), size-loss (to look at the size words) or "
               "similarity (which texts are alike)");
  group.option(
      "-s,--sentence", a.sentence, "TEXT",
      "size-loss: the words, blanks between them; without it a teaching model's own, or: " +
          std::string(default_sentence));
  group.option("--size-words", a.size_words, "A,B,C",
               "size-loss: the words that speak of size, commas between them; without it the "
               "sentence's own, or: " +
                   std::string(default_size_words));
  auto* epochs = group.option("-e,--epochs", a.epochs, "N",
                              "How often to read all data (1); of a teaching model, how often to "
                              "update (200)");
  group.option("--lr", a.rate, "X", "Learning rate (0.0001; of a teaching model 0.001)");
  group.option("--seed", a.seed, "N",
               "Of everything random (0); the same one gives the same model everywhere");
  group.option("-t,--threads", a.threads, "N",
               "1 to 1024; without it the processors that this process may use");
  group.option("-o,--output", a.output, "PATH",
               "Write the trained model here: with --lora a folder in PEFT's layout, otherwise a "
               "model.bin");
  group.option("--plot", a.plot, "FILE", "Draw how the loss went into FILE.png or .svg");
  group.flag("--json", a.json, "Print JSON with every digit instead of text");
  auto* dim = group.option("--embedding-dim", a.embedding_dim, "N",
                           "Length of a new teaching model's word vectors (4)");
  model->excludes(dim);
  epochs->excludes(group.option("--steps", a.steps, "N", "How many updates, instead of --epochs"));
}

void declare_method(CLI::App& app, Arguments& a) {
  Group group(app, "Language models and encoders: what is trained");
  auto* lora = group.flag("--lora", a.lora, "Low-rank factors beside projections (the default)");
  auto* full = group.flag("--full", a.full, "All weights, as f32");
  full->excludes(lora);
  for (CLI::Option* option :
       {group.option("--rank", a.rank, "N", "Rank of the factors (8)"),
        group.option("--alpha", a.alpha, "X", "What is added is times alpha / rank (16)"),
        group.option("--dropout", a.dropout, "X",
                     "Chance that a factor's input is left out while training (0)"),
        group.option("--targets", a.targets, "A,B,C",
                     "Ends of the projections' names: q_proj,v_proj or 14.self_attn.q_proj (those "
                     "of attention: queries, keys, values, output)"),
        group.option("--adapter", a.adapter, "DIR",
                     "Go on from this adapter; its rank, alpha and targets are taken")}) {
    full->excludes(option);
  }
}

void declare_training(CLI::App& app, Arguments& a) {
  Group group(app, "Language models and encoders: training");
  group.option(
      "--data", a.data, "FILE",
      "lm: a text, or JSON Lines of {\"text\"}, {\"messages\"} or {\"tokens\"}; size-loss: "
      "a sentence a line; similarity: two texts a line, a tab between them, or "
      "{\"a\", \"b\", \"score\"}");
  group.option("-b,--batch-size", a.batch, "N", "Examples that are computed together (4)");
  group.option("--accumulate", a.accumulate, "N", "Batches an update (1)");
  group.option("-c,--context", a.context, "N",
               "Tokens of an example at most (512, or the model's if that is less)");
  group.option("--weight-decay", a.weight_decay, "X", "Of AdamW (0.01)");
  group.option("--schedule", a.schedule, "NAME",
               "constant, or cosine: the rate falls to 0 (constant)");
  group.option("--warmup", a.warmup, "N", "Updates in which the rate rises (0)");
  group.option("--clip", a.clip, "X", "Norm that the gradients may have; 0: any (0)");
  group.flag("--no-shuffle", a.no_shuffle, "Read the data in its order");
  group.option("--precision", a.precision, "NAME",
               "auto (by the weights' type), f32 (exact) or bf16 (products of numbers rounded to "
               "bfloat16)");
  group.flag("--checkpoint-activations", a.checkpoint_activations,
             "Less memory, a third more work, the same numbers");
  group.option("--memory-limit", a.memory_limit, "SIZE",
               "Refuse to begin what would take more memory: 800M, 2G");
  group.option("--log", a.log, "FILE", "Write a JSON object for every update and evaluation");

  Group checks(app, "Language models and encoders: evaluation and checkpoints");
  auto* held_out =
      checks.option("--eval", a.evaluation, "FILE", "Evaluate on this data before and after");
  held_out->excludes(
      checks.option("--eval-split", a.evaluation_share, "X",
                    "Evaluate on a share of the data, which is not trained on: 0.1"));
  checks.option("--eval-every", a.evaluate_every, "N", "And every N updates");
  checks.option("--patience", a.patience, "N", "End after N evaluations without a better loss");
  checks.option("--checkpoint-every", a.checkpoint_every, "N",
                "Write a checkpoint into OUT.checkpoints every N updates, and on Ctrl-C");
  checks.flag("--resume", a.resume, "Go on from the newest checkpoint");

  Group attention(app, "Language models: size-loss");
  attention.option("--layers", a.layers, "LIST", "Layers that learn to look: 14 or 0,3-5 (all)");
  attention.option("--heads", a.heads, "LIST", "And their heads (all)");
  attention.option("--attention-weight", a.attention_weight, "W",
                   "Learn the next token as well: language loss + W times size loss");
  attention.option("--page", a.page, "FILE",
                   "Draw where the tokens look into FILE-before.html and FILE-after.html");
}

}  // namespace

void declare(CLI::App& app, Arguments& arguments) {
  declare_common(app, arguments);
  declare_method(app, arguments);
  declare_training(app, arguments);
  app.footer(
      "Exit codes: 0 done, 2 wrong use, 3 invalid model or data, 4 input or output failed,\n"
      "            5 not enough memory, 6 numerical failure, 130 interrupted\n\n"
      "Examples:\n"
      "  attn-tune --task size-loss -o elephant.bin --plot elephant.png && attn-run elephant.bin\n"
      "  attn-tune smollm2.gguf --task lm --data notes.txt --steps 200 -o notes-adapter\n"
      "  attn-tune smollm2.gguf --task size-loss --layers 14 --heads 0,3 --steps 100 -o looks\n"
      "  attn-tune minilm --task similarity --data pairs.tsv --full -o minilm.bin");
}

std::string given_of_text_models(const Arguments& a) {
  return given_of({{"--data", a.data.has_value()},
                   {"--lora", a.lora},
                   {"--full", a.full},
                   {"--rank", a.rank.has_value()},
                   {"--alpha", a.alpha.has_value()},
                   {"--dropout", a.dropout.has_value()},
                   {"--targets", a.targets.has_value()},
                   {"--adapter", a.adapter.has_value()},
                   {"--batch-size", a.batch.has_value()},
                   {"--accumulate", a.accumulate.has_value()},
                   {"--context", a.context.has_value()},
                   {"--steps", a.steps.has_value()},
                   {"--weight-decay", a.weight_decay.has_value()},
                   {"--schedule", a.schedule.has_value()},
                   {"--warmup", a.warmup.has_value()},
                   {"--clip", a.clip.has_value()},
                   {"--no-shuffle", a.no_shuffle},
                   {"--precision", a.precision.has_value()},
                   {"--checkpoint-activations", a.checkpoint_activations},
                   {"--memory-limit", a.memory_limit.has_value()},
                   {"--log", a.log.has_value()},
                   {"--eval", a.evaluation.has_value()},
                   {"--eval-split", a.evaluation_share.has_value()},
                   {"--eval-every", a.evaluate_every.has_value()},
                   {"--patience", a.patience.has_value()},
                   {"--checkpoint-every", a.checkpoint_every.has_value()},
                   {"--resume", a.resume},
                   {"--layers", a.layers.has_value()},
                   {"--heads", a.heads.has_value()},
                   {"--attention-weight", a.attention_weight.has_value()},
                   {"--page", a.page.has_value()}});
}

}  // namespace attn::tools
