#pragma once

// The generator that an answer leaves behind, with the keys and values of what it has read: the
// next prompt is read from where it differs.

#include "attn/generator.hpp"

#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace attn::python {

class Generators {
 public:
  /// A generator, and what it was made with, a token of its own among it.
  struct Lent {
    std::unique_ptr<Generator> generator;
    GeneratorOptions options;
  };

  /// One that stands idle and was made with the same options, or a new one.
  [[nodiscard]] Lent take(const Model& model, const GeneratorOptions& options) {
    {
      const std::lock_guard lock(mutex_);
      if (idle_.generator && idle_.options.context == options.context &&
          idle_.options.kv_type == options.kv_type) {
        idle_.options.cancel->reset();
        return std::move(idle_);
      }
      idle_.generator.reset();  // its cache may be what a new one lacks memory for
    }
    Lent lent{nullptr, options};
    lent.options.cancel.emplace();
    lent.generator = std::make_unique<Generator>(model, lent.options);
    return lent;
  }

  /// Keeps the last one that was given back.
  void give(Lent lent) {
    const std::lock_guard lock(mutex_);
    idle_ = std::move(lent);
  }

 private:
  std::mutex mutex_;
  Lent idle_;
};

}  // namespace attn::python
