#pragma once

// The public interface of attn: open or create an attention model, run it on named inputs, look at
// its attention, train it, save it. Everything throws attn::Error and nothing else. A Model is used
// by one thread at a time; two models in two threads never meet.

#include "attn/error.hpp"
#include "attn/export.h"
#include "attn/host.hpp"
#include "attn/text.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace attn {

/// Dimensions, outermost first.
using Dims = std::vector<std::int64_t>;

/// An input of a run: row-major values that the caller keeps alive during the call. Numbers as
/// float, token ids as int32.
struct Input {
  std::string_view name;
  Dims shape;
  std::variant<std::span<const float>, std::span<const std::int32_t>> values;
};

/// An output of a run: row-major, valid until the model runs or trains again, or is destroyed.
struct Output {
  std::string name;
  Dims shape;
  std::span<const float> values;
};

/// What a model takes or gives. A dimension that may be any number is −1; an input that may come
/// with or without a batch is listed without.
struct PortInfo {
  std::string name;
  Dims shape;
  bool token_ids = false;
};

/// How exactly products are computed. Attention that is handed out comes from scores in f32
/// whatever this says.
enum class Precision {
  automatic,  ///< by the weights' type: f32 for f32, bf16 for 16-bit and quantized weights
  f32,        ///< f32 products and sums, whatever the weights' type
  bf16,       ///< products of numbers rounded to bfloat16, summed in f32
};

/// An adapter of low-rank factors (LoRA, Hu et al. 2021) in a folder as PEFT writes it:
/// adapter_config.json and adapter_model.safetensors.
struct Adapter {
  std::filesystem::path folder;
  double scale = 1;  ///< times the adapter's own
};

struct Options {
  /// 1..1024; 0: the processors that affinity and the control group allow. The bits of a result do
  /// not depend on it.
  int threads = 0;
  /// scalar, avx2, avx512 or amx; empty: the environment's ATTN_ISA, else the best this CPU has.
  std::string isa;
  /// Check the checksum and refuse NaN and infinite weights when opening.
  bool verify = false;
  /// Time every op; see Model::profile().
  bool profile = false;
  Precision precision = Precision::automatic;
  /// Added to the model's projections, all of them at once; the weights stay as they are.
  std::vector<Adapter> adapters = {};
  /// The host's threads; `threads` then says into how many tasks a region of work is cut at most.
  ParallelFor parallel_for = nullptr;
  Allocator allocator = {};
  Log log = nullptr;
  /// Ends what is computed with this model: run, train, embed, attention, tuners, and generators
  /// that have no token of their own. Opening and saving it are done to the end.
  std::optional<CancelToken> cancel = {};
};

/// One op of the graph as it ran: shape of its inputs, implementation, calls and seconds.
struct OpProfile {
  std::string op, shape, implementation;
  std::int64_t calls = 0;
  double seconds = 0;
};

/// What `attn-run --info` tells.
struct ModelInfo {
  struct Tensor {
    std::string name, dtype;
    Dims shape;
  };
  struct Node {
    std::string op, inputs, outputs, implementation;
  };
  std::string architecture;
  std::map<std::string, std::string> parameters;  ///< metadata, bulk left out
  std::int64_t parameter_count = 0;
  std::vector<Tensor> tensors;
  std::vector<Node> graph;
  /// Bytes, for the sample input (or one token where there is none).
  struct Memory {
    std::size_t weights = 0, arena = 0, results_unshared = 0, scratch_unshared = 0, states = 0;
    int results_in_place = 0;
  } memory;
  std::string isa, isa_reason;
  int threads = 1;
};

/// How training goes, told after the forward pass of every epoch.
struct EpochReport {
  int epoch = 0;  ///< from 0
  int epochs = 0;
  double loss = 0;                           ///< before this epoch's update
  std::span<const float> attention_weights;  ///< [tokens], before this epoch's update
};

/// The size-loss task: teach the last word's query to look at the words that speak of size.
/// loss = mean(1 − aᵢ over size words) + mean(aⱼ over the others).
struct SizeLossTask {
  std::string sentence;                 ///< empty: the model's own
  std::vector<std::string> size_words;  ///< empty: the model's own
};

struct TrainOptions {
  int epochs = 200;
  double learning_rate = 0.001;  ///< of Adam
  /// Called once an epoch; returning false ends the training after that epoch's update.
  std::function<bool(const EpochReport&)> on_epoch;
};

struct TrainResult {
  std::vector<std::string> tokens;
  std::vector<bool> is_size_word;  ///< by token
  std::vector<double> losses;      ///< one an epoch
  std::vector<float> attention_weights_before, attention_weights_after;
  double combined_size_weight = 0;  ///< Σ of the size words' weights, after
  bool stopped = false;             ///< on_epoch asked to stop
};

/// A model that was moved from may be destroyed or assigned to; all else throws Error(usage).
class ATTN_API Model {
 public:
  /// Opens a model: a model.bin (docs/model-format.md), a GGUF file, or a folder in the Hugging
  /// Face layout, told apart by content. Weights are mapped, not copied. Throws Error(io) if a file
  /// cannot be read, Error(invalid) if it is not a model this library runs or an adapter does not
  /// fit it, Error(usage) for options.
  [[nodiscard]] static Model open(const std::filesystem::path& path, const Options& options = {});

  /// The same from memory, which outlives the model; `name` stands in messages.
  [[nodiscard]] static Model from_memory(std::span<const std::byte> bytes, const std::string& name,
                                         const Options& options = {});
  static Model from_memory(std::vector<std::byte>&& bytes, const std::string& name,
                           const Options& options = {}) = delete;  // it would not outlive the model

  /// A new model with random weights: projections uniform in ±1/√(their input size), embeddings
  /// N(0, 1). The same seed gives the same weights everywhere. Parameters by architecture:
  ///   attention_mechanism   input_dim, attention_units
  ///   self_attention        embedding_size (0: no projections); optional attn.scale
  ///   multi_head_attention  embedding_size, num_heads; optional attn.scale
  ///   size_loss_attention   sentence, size_words (comma-separated), embedding_dim; optional
  ///   attn.scale
  /// Throws Error(usage) for an unknown architecture or parameter, or a value out of range.
  [[nodiscard]] static Model create(std::string_view architecture,
                                    const std::map<std::string, std::string>& parameters,
                                    std::uint64_t seed, const Options& options = {});

  /// The architectures there are.
  [[nodiscard]] static std::vector<std::string> architectures();

  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;
  ~Model();

  [[nodiscard]] const std::string& architecture() const;
  [[nodiscard]] const std::map<std::string, std::string>& metadata() const;
  [[nodiscard]] std::vector<PortInfo> inputs() const;
  [[nodiscard]] std::vector<PortInfo> outputs() const;

  /// Runs the model and gives its outputs in the architecture's order. Memory is planned for the
  /// largest shapes seen; repeated runs within them allocate nothing of size. Throws Error(usage)
  /// for an input that is missing, unknown, given twice or of another type, Error(invalid) for a
  /// shape or id that does not fit or a dimension of 0, Error(memory) if there is too little,
  /// Error(cancelled).
  std::span<const Output> run(std::span<const Input> inputs);
  std::span<const Output> run(std::initializer_list<Input> inputs) {
    return run(std::span(inputs.begin(), inputs.size()));
  }

  /// For a model with a vocabulary: its words, and ids for a sentence (what stands between blanks).
  /// Throws Error(invalid) naming a word that the vocabulary lacks, or for an empty sentence.
  [[nodiscard]] const std::vector<std::string>& vocabulary() const;
  [[nodiscard]] std::vector<std::int32_t> encode(std::string_view sentence) const;
  [[nodiscard]] static std::vector<std::string> words(std::string_view sentence);
  /// The sentence and the size words that the model carries; empty where it has none.
  [[nodiscard]] const std::string& sentence() const;
  [[nodiscard]] const std::vector<std::string>& size_words() const;

  /// What the model can do with text; everything absent for the teaching architectures.
  [[nodiscard]] const TextInfo& text() const;

  /// Token ids of a text (UTF-8; bytes that are not are kept where the tokenizer can). Never
  /// truncated unless asked. Throws Error(usage) if the model has no tokenizer, Error(invalid) for
  /// 2³¹ bytes or more. Several threads may call these four on one model at the same time.
  [[nodiscard]] std::vector<std::int32_t> tokenize(std::string_view text,
                                                   const TokenizeOptions& options = {}) const;
  /// The text of the tokens, special ones and ids that the tokenizer does not have left out, bytes
  /// that are not UTF-8 as U+FFFD.
  [[nodiscard]] std::string detokenize(std::span<const std::int32_t> tokens) const;
  /// One token as a label: " elephant"; a special one by its name. Without a tokenizer its number.
  [[nodiscard]] std::string token_text(std::int32_t token) const;
  /// The conversation as the model's chat template has it, followed by the beginning of an answer.
  /// Special tokens in the messages stay literal. Throws Error(usage) if the model has no template,
  /// Error(invalid) naming what in the template is not understood or what it raises.
  [[nodiscard]] std::vector<std::int32_t> tokenize_chat(
      std::span<const ChatMessage> conversation) const;

  /// Embeddings of texts given as tokens, by an encoder: pooled and normalised as the model says,
  /// or the L2-normalised mean where it does not. Nothing is padded; memory is bounded, however
  /// many there are. Throws Error(usage) for another kind of model, Error(invalid) for an empty or
  /// too long text or an unknown id, Error(cancelled).
  [[nodiscard]] Embeddings embed(std::span<const std::vector<std::int32_t>> texts,
                                 const OnProgress& progress = {});

  /// Where the tokens look, in the chosen layers (empty: all), of a language model or an encoder.
  /// Throws Error(usage) for another kind of model, a layer unknown or twice, Error(invalid) for
  /// too many tokens or an unknown id, Error(memory) if the maps would not fit, Error(cancelled).
  [[nodiscard]] AttentionMaps attention(std::span<const std::int32_t> tokens,
                                        std::span<const int> layers = {},
                                        const OnProgress& progress = {});

  /// Trains the weights in place with Adam (its moments start anew). Throws Error(usage) for
  /// options out of range, Error(invalid) for an empty sentence, an unknown size word, or a
  /// sentence without size words or without others, Error(numerical) if the loss becomes NaN or
  /// infinite, Error(cancelled). After an error, on_epoch's own included, the model is the one
  /// before the call.
  TrainResult train(const SizeLossTask& task, const TrainOptions& options = {});

  /// Writes a model.bin, atomically: the file is the old one or the new one, never a part. Throws
  /// Error(io), Error(usage) for a model with adapters, which convert() merges.
  void save(const std::filesystem::path& path) const;

  [[nodiscard]] ModelInfo info() const;
  /// What run() and embed() took since opening or the last training, op by op in the order of
  /// running; the same op on the same shapes stands once. Empty unless Options::profile.
  [[nodiscard]] std::vector<OpProfile> profile() const;

 private:
  friend class Generator;
  friend class Batch;  // of generate_batch()
  friend class Tuner;
  class Impl;
  explicit Model(std::unique_ptr<Impl> impl);
  [[nodiscard]] Impl& self() const;
  std::unique_ptr<Impl> impl_;
};

}  // namespace attn
