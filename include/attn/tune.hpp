#pragma once

// Fine-tuning: low-rank adapters (LoRA, Hu et al. 2021) or all weights of a language model or an
// encoder, with AdamW, on this machine.

#include "attn/attn.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace attn {

/// What is learned.
enum class TuneTask {
  language,    ///< the next token
  attention,   ///< to look at chosen tokens: the size loss, alone or beside the language loss
  similarity,  ///< which texts are alike: encoders
};

/// What is trained.
enum class TuneMethod {
  lora,  ///< factors beside the weights of some projections, which stay as they are
  full,  ///< every weight, as f32
};

/// Low-rank factors beside a projection W: y = x Wᵀ + (alpha / rank) · dropout(x) Aᵀ Bᵀ.
struct LoraOptions {
  int rank = 8;        ///< 1 to 1024
  double alpha = 16;   ///< finite, above 0
  double dropout = 0;  ///< chance in [0, 1) that an element of x is 0 while training
  /// Names that Hugging Face's modules end in: "q_proj", "attention.self.query". Empty: the
  /// projections of attention (queries, keys, values, output).
  std::vector<std::string> targets;
  /// An adapter folder in PEFT's layout to go on from; its rank, alpha and targets are taken. Its
  /// dropout is not: the one above trains, and is what Tuner::save() writes.
  std::filesystem::path start;
};

/// Of TuneTask::attention: mean over the chosen heads of
///   mean(1 − aᵢ over looked-at words) + mean(aⱼ over the others),
/// a word's a being what the last token gives to its tokens together.
struct AttentionGoal {
  std::vector<int> layers;  ///< from 0; empty: all
  std::vector<int> heads;   ///< from 0; empty: all
  /// Nothing: this loss alone. Otherwise language loss + weight · this loss.
  std::optional<double> weight_beside_language;
};

enum class Schedule { constant, cosine };

/// One example. What a task does not use stays empty.
struct TuneExample {
  std::vector<std::int32_t> tokens = {};  ///< at least one
  /// language, attention: what position i is to predict, −1 for nothing; as long as tokens. Empty:
  /// the token after it, and nothing for the last.
  std::vector<std::int32_t> targets = {};
  /// attention: the word each token belongs to, from 0 and rising, −1 for none (a special token,
  /// which counts as another word of its own, be it inside of one); and the words
  /// that are to be looked at.
  std::vector<std::int32_t> words = {};
  std::vector<std::int32_t> look_at = {};
  /// similarity: the other text, and how alike they are, in [−1, 1]. NaN: a pair without a score,
  /// for which the others of the batch are the wrong answers (all of a batch, or none). The last
  /// one is left out where it would be alone in its batch.
  std::vector<std::int32_t> other = {};
  double score = std::numeric_limits<double>::quiet_NaN();
  /// What errors call it: "data.jsonl:3". May be empty.
  std::string name = {};
};

struct TuneOptions {
  TuneTask task = TuneTask::language;
  TuneMethod method = TuneMethod::lora;
  LoraOptions lora = {};
  AttentionGoal attention = {};
  int context = 512;       ///< tokens of an example at most
  int batch_size = 4;      ///< examples that are computed together
  int accumulate = 1;      ///< batches of which an update takes the gradients
  std::int64_t steps = 0;  ///< updates that the schedule is for; 0: constant only
  double learning_rate = 1e-4;
  double weight_decay = 0.01;  ///< as torch.optim.AdamW, of everything that is trained
  bool scored = true;          ///< similarity: do pairs come with scores?
  double clip = 0;             ///< norm that all gradients together may have; 0: any
  Schedule schedule = Schedule::constant;
  std::int64_t warmup = 0;  ///< updates in which the rate rises to learning_rate
  Precision precision = Precision::automatic;
  /// Keep the activations between layers only, and compute the others again on the way back: less
  /// memory, a third more work; the same bits where products are f32.
  bool checkpoint_activations = false;
  std::uint64_t seed = 0;  ///< of new factors, dropout and order
  /// Bytes that weights, moments, gradients and activations may take together; 0: any.
  std::size_t memory_limit = 0;
};

/// What one update did.
struct TuneStep {
  std::int64_t step = 0;  ///< from 1
  double loss = 0;        ///< before the update; of attention beside language: their sum
  double language_loss = 0, attention_loss = 0;  ///< of tasks that have them
  double looked_at = 0;  ///< attention: Σ aᵢ over looked-at words, mean over chosen heads
  double rate = 0;
  std::optional<double> gradient_norm;  ///< where gradients are clipped
  std::int64_t tokens = 0;              ///< that were read
  double seconds = 0;
};

/// How a model does on examples it is not trained on.
struct TuneEvaluation {
  double loss = 0;        ///< as TuneStep::loss
  double perplexity = 0;  ///< language, attention beside language
  /// similarity: Spearman's, of cosines and scores; NaN without scores.
  double correlation = std::numeric_limits<double>::quiet_NaN();
  double language_loss = 0, attention_loss = 0, looked_at = 0;
  std::int64_t examples = 0;
};

/// Where the memory of tuning goes, in bytes.
struct TuneMemory {
  std::size_t base = 0;         ///< weights that stay as they are, packed copies of them included
  std::size_t trained = 0;      ///< f32 weights or factors
  std::size_t moments = 0;      ///< Adam's
  std::size_t gradients = 0;    ///< that are held from batch to update
  std::size_t activations = 0;  ///< inputs, results and work space of a batch
  [[nodiscard]] std::size_t total() const noexcept {
    return base + trained + moments + gradients + activations;
  }
};

/// Tunes a model step by step. The model is not changed, and outlives the tuner; between steps it
/// may run. One thread at a time but for cancel(). The same steps give the same bits whatever the
/// number of threads. One that was moved from throws Error(usage), and has nothing to cancel.
class ATTN_API Tuner {
 public:
  /// Plans everything. Throws Error(usage) for options out of range, a model that the task is not
  /// for, full tuning of one with adapters, a context above its sliding window, or a target that
  /// names no projection; Error(invalid) for an adapter that does not fit; Error(memory), saying
  /// where the memory would go, if it is more than the limit; Error(numerical), naming it, if a
  /// weight to be trained is not finite.
  Tuner(Model& model, const TuneOptions& options);
  Tuner(Tuner&&) noexcept;
  Tuner& operator=(Tuner&&) noexcept;
  ~Tuner();

  /// One update from 1 to batch_size · accumulate examples. Throws Error(invalid), naming the
  /// example, for what does not fit, nothing to predict, or a single pair without a score, before
  /// anything is computed; Error(numerical) if the loss, or the norm of gradients that are clipped
  /// or accumulated, is NaN or infinite (the tuner then may hold no usable weights);
  /// Error(cancelled), weights being as before the step. Other gradients that are no numbers show
  /// in the weights, which are checked before they are written.
  TuneStep step(std::span<const TuneExample> examples);

  /// The loss on examples, without an update. Throws as step(), and Error(memory) if what the first
  /// call adds to memory() is more than the limit leaves.
  TuneEvaluation evaluate(std::span<const TuneExample> examples);

  /// Updates so far.
  [[nodiscard]] std::int64_t steps() const;
  [[nodiscard]] std::int64_t trained_parameters() const;
  [[nodiscard]] const TuneMemory& memory() const;
  [[nodiscard]] const TuneOptions& options() const;

  /// lora: a folder in PEFT's layout. full: a model.bin. Written atomically, file by file. Throws
  /// Error(io); Error(numerical), naming it, if a weight is no longer finite, or not in the type
  /// that a file has it in.
  void save(const std::filesystem::path& path) const;

  /// Weights, moments and steps, with a checksum, atomically. `notes` comes back from resume().
  /// Throws as save().
  void save_checkpoint(const std::filesystem::path& file,
                       const std::map<std::string, std::string>& notes = {}) const;
  /// Goes on as if never stopped: the steps that follow have the bits they would have had. Throws
  /// Error(io), or Error(invalid) for a file that is damaged, no checkpoint, or one of another
  /// model or other options.
  std::map<std::string, std::string> resume(const std::filesystem::path& file);

  /// Ends a step() or evaluate() that is running, in any thread, with Error(cancelled), and every
  /// later one at once; but a step whose weights are already being updated is done whole. The
  /// model's CancelToken does the same, until it is reset. From any thread.
  void cancel() noexcept;

 private:
  class Impl;
  [[nodiscard]] Impl& self() const;
  std::unique_ptr<Impl> impl_;
};

}  // namespace attn
