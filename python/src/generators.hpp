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
  /// One that stands idle and was made with the same options, or a new one.
  [[nodiscard]] std::unique_ptr<Generator> take(const Model& model,
                                                const GeneratorOptions& options) {
    {
      const std::lock_guard lock(mutex_);
      if (idle_ && context_ == options.context && kv_type_ == options.kv_type) {
        return std::move(idle_);
      }
      idle_.reset();  // its cache may be what a new one lacks memory for
    }
    return std::make_unique<Generator>(model, options);
  }

  /// Keeps the last one that was given back.
  void give(std::unique_ptr<Generator> generator, const GeneratorOptions& options) {
    const std::lock_guard lock(mutex_);
    idle_ = std::move(generator);
    context_ = options.context;
    kv_type_ = options.kv_type;
  }

 private:
  std::mutex mutex_;
  std::unique_ptr<Generator> idle_;
  int context_ = 0;
  KvType kv_type_ = KvType::f32;
};

}  // namespace attn::python
