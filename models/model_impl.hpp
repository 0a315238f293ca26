#pragma once

// What stands behind attn::Model, for the files that implement the facade.

#include "attn/attn.hpp"
#include "kernels/isa.hpp"
#include "kernels/workers.hpp"
#include "models/architecture.hpp"
#include "models/errors.hpp"
#include "models/language/encoder.hpp"
#include "models/metadata.hpp"
#include "models/runner.hpp"
#include "models/source/source.hpp"
#include "models/text/tokenizer.hpp"
#include "models/weights.hpp"
#include "models/words.hpp"

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace attn {

class ATTN_LOCAL Model::Impl {
 public:
  Impl(const models::Architecture& kind, models::Metadata meta,
       std::vector<models::WeightSpec> weight_specs, models::Weights own, const Options& options,
       kernels::IsaChoice choice)
      : architecture(&kind),
        name(kind.name),
        metadata(std::move(meta)),
        specs(std::move(weight_specs)),
        weights(std::move(own)),
        isa(std::move(choice)) {
    session_options.isa = isa.isa;
    session_options.profile = options.profile;
    session_options.precision = static_cast<runtime::Precision>(options.precision);
    bring(options);
    session_options.packs = std::make_shared<runtime::Packs>(session_options.allocator);
    weights.tell_mapped(*session_options.packs);
    metadata.set("attn.architecture", name);
    if (metadata.has("attn.vocab")) {
      vocabulary = models::Vocabulary(metadata.strings("attn.vocab"));
    }
    if (metadata.has("attn.size_words")) size_words = metadata.strings("attn.size_words");
    sentence = metadata.sentence("attn.sentence");
  }

  /// The model of a source. Throws Error(invalid) naming it for what it is not.
  static std::unique_ptr<Impl> of(models::Source source, const Options& options,
                                  kernels::IsaChoice choice);

  /// Threads, memory, log and cancel token, the host's where it brings them.
  void bring(const Options& options);

  /// A line for the host; `line()` makes it, where somebody listens.
  template <class Line>
  void tell(LogLevel level, Line&& line) const {
    if (log) log(level, std::string(line()));
  }

  /// session_options under another token, if there is one.
  [[nodiscard]] runtime::SessionOptions sessions_under(
      const std::optional<CancelToken>& cancel) const {
    runtime::SessionOptions options = session_options;
    if (cancel) options.cancel = cancel->flag();
    return options;
  }

  models::Runner& runner(bool batched) {
    std::unique_ptr<models::Runner>& which = runners[batched ? 1 : 0];
    if (!which) {
      which = std::make_unique<models::Runner>(*architecture, metadata, specs, weights, batched,
                                               session_options);
    }
    return *which;
  }

  // One dimension more than the architecture's input has says that there is a batch.
  bool batched(std::size_t rank) {
    if (!architecture->batches) return false;
    const models::Runner& plain = runner(false);
    return rank == plain.graph().value(plain.inputs()[0]).shape.dims().size() + 1;
  }

  models::Runner& runner_for(std::span<const Input> inputs) {
    return runner(!inputs.empty() && batched(inputs[0].shape.size()));
  }

  models::Encoder& encoder_of_texts() {
    if (!encoder) {
      encoder = std::make_unique<models::Encoder>(metadata, specs, weights, session_options);
    }
    return *encoder;
  }

  /// Takes the tokenizer, and finds out what the model can do with text. Throws Error(invalid)
  /// where they do not fit each other.
  void take_text(std::shared_ptr<const models::Tokenizer> own);

  [[nodiscard]] Dims sample_shape() const;

  const models::Architecture* architecture;
  std::string name;
  std::string opened_from;  // path or name of its source; empty for a new model
  models::Metadata metadata;
  std::vector<models::WeightSpec> specs;
  models::Weights weights;
  kernels::IsaChoice isa;
  Log log;
  std::unique_ptr<kernels::Workers> workers;
  runtime::SessionOptions session_options;
  std::array<std::unique_ptr<models::Runner>, 2> runners;
  models::Vocabulary vocabulary;
  std::shared_ptr<const models::Tokenizer> tokenizer;
  TextInfo text;
  std::unique_ptr<models::Encoder> encoder;  // made when it is first asked for
  std::vector<std::string> size_words;
  std::string sentence;
};

}  // namespace attn
