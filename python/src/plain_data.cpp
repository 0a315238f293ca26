// Structures that calls return, to be looked at.

#include "attn/tune_run.hpp"
#include "python/src/bindings.hpp"

#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

namespace attn::python {
namespace {

void bind_info(nb::module_& module) {
  nb::class_<PortInfo>(module, "PortInfo", "What a model takes or gives.")
      .def_ro("name", &PortInfo::name)
      .def_ro("shape", &PortInfo::shape, "-1 for a dimension that may be any number.")
      .def_ro("token_ids", &PortInfo::token_ids, "Whole numbers, not floats.")
      .def("__repr__", [](const PortInfo& port) {
        std::string shape;
        for (const std::int64_t dim : port.shape) {
          shape += (shape.empty() ? "" : ", ") + (dim < 0 ? "n" : std::to_string(dim));
        }
        return "<attn.PortInfo " + port.name + " [" + shape + "]>";
      });

  nb::class_<TextInfo>(module, "TextInfo", "What a model can do with text.")
      .def_ro("generates", &TextInfo::generates, "A language model: Model.generate().")
      .def_ro("embeds", &TextInfo::embeds, "An encoder: Model.embed().")
      .def_ro("tokenizes", &TextInfo::tokenizes, "It carries a tokenizer.")
      .def_ro("chats", &TextInfo::chats, "And a chat template.")
      .def_ro("vocab_size", &TextInfo::vocab_size)
      .def_ro("trained_context", &TextInfo::trained_context,
              "Tokens; of an encoder what it truncates text to.")
      .def_ro("begin_token", &TextInfo::begin_token)
      .def_ro("end_tokens", &TextInfo::end_tokens, "Each ends an answer.")
      .def_ro("layers", &TextInfo::layers)
      .def_ro("heads", &TextInfo::heads);

  nb::class_<ModelInfo> info(module, "ModelInfo", "What a model is made of, and what it takes.");
  nb::class_<ModelInfo::Tensor>(info, "Tensor")
      .def_ro("name", &ModelInfo::Tensor::name)
      .def_ro("dtype", &ModelInfo::Tensor::dtype)
      .def_ro("shape", &ModelInfo::Tensor::shape);
  nb::class_<ModelInfo::Memory>(info, "Memory", "Bytes, for the sample input or one token.")
      .def_ro("weights", &ModelInfo::Memory::weights)
      .def_ro("arena", &ModelInfo::Memory::arena, "Results and work space.")
      .def_ro("states", &ModelInfo::Memory::states);
  info.def_ro("architecture", &ModelInfo::architecture)
      .def_ro("parameters", &ModelInfo::parameters, "Metadata, bulk left out.")
      .def_ro("parameter_count", &ModelInfo::parameter_count)
      .def_ro("tensors", &ModelInfo::tensors)
      .def_ro("memory", &ModelInfo::memory)
      .def_ro("isa", &ModelInfo::isa, "The instructions it runs on.")
      .def_ro("isa_reason", &ModelInfo::isa_reason)
      .def_ro("threads", &ModelInfo::threads)
      .def("__repr__", [](const ModelInfo& self) {
        return "<attn.ModelInfo " + self.architecture + ", " +
               std::to_string(self.parameter_count) + " parameters, " + self.isa + ", " +
               std::to_string(self.threads) + " threads>";
      });
}

void bind_training_results(nb::module_& module) {
  nb::class_<TrainResult>(module, "TrainResult", "What Model.train() did.")
      .def_ro("tokens", &TrainResult::tokens)
      .def_ro("is_size_word", &TrainResult::is_size_word, "By token.")
      .def_ro("losses", &TrainResult::losses, "One an epoch.")
      .def_ro("attention_weights_before", &TrainResult::attention_weights_before)
      .def_ro("attention_weights_after", &TrainResult::attention_weights_after)
      .def_ro("combined_size_weight", &TrainResult::combined_size_weight,
              "Of all size words together, after.")
      .def_ro("stopped", &TrainResult::stopped, "on_epoch asked to stop.");

  nb::class_<TuneStep>(module, "TuneStep", "What one update did.")
      .def_ro("step", &TuneStep::step, "From 1.")
      .def_ro("loss", &TuneStep::loss, "Before the update.")
      .def_ro("language_loss", &TuneStep::language_loss)
      .def_ro("attention_loss", &TuneStep::attention_loss)
      .def_ro("looked_at", &TuneStep::looked_at, "Weight of the words to be looked at.")
      .def_ro("rate", &TuneStep::rate)
      .def_ro("gradient_norm", &TuneStep::gradient_norm, "Where gradients are clipped.")
      .def_ro("tokens", &TuneStep::tokens)
      .def_ro("seconds", &TuneStep::seconds);

  nb::class_<TuneEvaluation>(module, "TuneEvaluation", "How it does on held-out examples.")
      .def_ro("loss", &TuneEvaluation::loss)
      .def_ro("perplexity", &TuneEvaluation::perplexity)
      .def_ro("correlation", &TuneEvaluation::correlation, "Spearman's; NaN without scores.")
      .def_ro("language_loss", &TuneEvaluation::language_loss)
      .def_ro("attention_loss", &TuneEvaluation::attention_loss)
      .def_ro("looked_at", &TuneEvaluation::looked_at)
      .def_ro("examples", &TuneEvaluation::examples);

  nb::class_<TuneResult>(module, "TuneResult", "What Model.tune() did.")
      .def_ro("losses", &TuneResult::losses, "One an update, those before resuming included.")
      .def_prop_ro(
          "evaluations",
          [](const TuneResult& self) {
            nb::list pairs;
            for (const EvaluatedStep& each : self.evaluations) {
              pairs.append(nb::make_tuple(each.step, each.evaluation));
            }
            return pairs;
          },
          nb::sig("def evaluations(self) -> list[tuple[int, TuneEvaluation]]"),
          "With the updates before each.")
      .def_ro("steps", &TuneResult::steps, "Updates that were to be done.")
      .def_ro("resumed_from", &TuneResult::resumed_from)
      .def_ro("tokens_per_s", &TuneResult::tokens_per_s)
      .def_ro("stopped", &TuneResult::stopped, "A callback ended it.")
      .def_ro("out_of_patience", &TuneResult::out_of_patience);
}

}  // namespace

void bind_plain_data(nb::module_& module) {
  bind_info(module);
  bind_training_results(module);
}

}  // namespace attn::python
