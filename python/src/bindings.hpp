#pragma once

// What the files of the extension module share.

#include "attn/attn.hpp"
#include "python/src/generators.hpp"
#include "python/src/turn.hpp"

#include <array>
#include <filesystem>
#include <memory>
#include <nanobind/nanobind.h>
// every file that takes or gives adapters needs these
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace attn::python {

namespace nb = nanobind;

/// How arrays are made: found once, because a run of a small model takes no longer than finding it.
struct Numpy {
  nb::object empty, float32;
  Numpy() {
    const nb::module_ numpy = nb::module_::import_("numpy");
    empty = numpy.attr("empty");
    float32 = numpy.attr("dtype")("float32");
  }
};

/// A model with what its calls from Python share. Made and destroyed with the GIL.
struct Shared {
  explicit Shared(Model opened) : model(std::move(opened)) {}
  Model model;
  Turn turn;
  Generators generators;         // destroyed before the model that they read
  std::vector<PortInfo> inputs;  // of run(); empty before the first
  Numpy numpy;
};

/// attn.Model. Answers that are still being generated keep the model alive after close().
class PythonModel {
 public:
  explicit PythonModel(Model model) : shared_(std::make_shared<Shared>(std::move(model))) {}

  /// Throws Error(usage) after close().
  [[nodiscard]] const std::shared_ptr<Shared>& shared() const {
    if (!shared_) throw Error(ErrorKind::usage, "this model is closed");
    return shared_;
  }
  [[nodiscard]] Model& model() const { return shared()->model; }
  void close() { shared_.reset(); }
  [[nodiscard]] bool closed() const { return !shared_; }

 private:
  std::shared_ptr<Shared> shared_;
};

/// Does `work` without the GIL, when the model is free. Called with the GIL.
template <class Work>
auto in_turn(const PythonModel& model, Work&& work) {
  const std::shared_ptr<Shared> shared = model.shared();
  const Turn::Held held(shared->turn);
  const Released release;
  return work(shared->model);
}

/// The value that a name stands for. Throws Error(usage) naming the others.
template <class T, std::size_t N>
T chosen(const char* option, std::string_view name,
         const std::array<std::pair<const char*, T>, N>& choices) {
  std::string known;
  for (const auto& [each, value] : choices) {
    if (name == each) return value;
    known += (known.empty() ? "" : ", ") + std::string(each);
  }
  throw Error(ErrorKind::usage,
              std::string(option) + ": '" + std::string(name) + "' is not one of " + known);
}

inline constexpr std::array<std::pair<const char*, Precision>, 3> precisions{
    {{"automatic", Precision::automatic}, {"f32", Precision::f32}, {"bf16", Precision::bf16}}};

/// A folder of an adapter, or one with a scale.
using AdapterArgument =
    std::variant<std::filesystem::path, std::pair<std::filesystem::path, double>>;
[[nodiscard]] std::vector<Adapter> adapters_of(const std::vector<AdapterArgument>& given);

/// A str's UTF-8, which lives as long as the str. Throws TypeError naming `what` for another type,
/// UnicodeEncodeError for lone surrogates.
[[nodiscard]] std::string_view text_view(nb::handle text, const char* what);

/// What an iterable gives. Throws TypeError for another type.
[[nodiscard]] nb::list list_of(nb::handle iterable);

/// A dict of its own with what a mapping holds. Throws TypeError naming `what` for another type.
[[nodiscard]] nb::dict dict_of(nb::handle mapping, const char* what);

/// The token ids of a text, of a sequence of ids, or of a conversation. Throws TypeError for what
/// is none of them. Lets the GIL go meanwhile: the caller keeps the model.
[[nodiscard]] std::vector<std::int32_t> prompt_tokens(const Model& model, nb::handle prompt);

void bind_errors();
void bind_plain_data(nb::module_& module);
void bind_answer(nb::module_& module);
void bind_generate(nb::class_<PythonModel>& model);
void bind_run(nb::class_<PythonModel>& model);
void bind_text(nb::class_<PythonModel>& model);
void bind_training(nb::class_<PythonModel>& model);
void bind_model(nb::module_& module);
void bind_convert(nb::module_& module);

}  // namespace attn::python
