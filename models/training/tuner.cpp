#include "attn/tune.hpp"
#include "models/lora/rope_rows.hpp"
#include "models/model_impl.hpp"
#include "models/source/write_model.hpp"
#include "models/training/checkpoint.hpp"
#include "models/training/trainer.hpp"
#include "runtime/formats/text.hpp"
#include "runtime/stored.hpp"

#include <algorithm>
#include <cmath>

namespace attn {

using models::errors_of_ours;
using models::Trainer;

class ATTN_LOCAL Tuner::Impl {
 public:
  Impl(const Model::Impl& from, const TuneOptions& options)
      : model(&from),
        trainer(
            {from.architecture, &from.metadata, from.specs, &from.weights, from.session_options},
            options) {
    model->tell(LogLevel::info, [&] {
      return "tuner: " + std::to_string(trainer.parameters().elements()) +
             " numbers are trained, in " + std::to_string(trainer.memory().total()) +
             " bytes of memory";
    });
  }

  void save_full(const std::filesystem::path& path) const;

  const Model::Impl* model;
  Trainer trainer;
};

Tuner::Tuner(Model& model, const TuneOptions& options) {
  errors_of_ours([&] { impl_ = std::make_unique<Impl>(model.self(), options); });
}

Tuner::Tuner(Tuner&&) noexcept = default;
Tuner& Tuner::operator=(Tuner&&) noexcept = default;
Tuner::~Tuner() = default;

Tuner::Impl& Tuner::self() const {
  if (!impl_) throw Error(ErrorKind::usage, "this tuner was moved from");
  return *impl_;
}

TuneStep Tuner::step(std::span<const TuneExample> examples) {
  return errors_of_ours([&] { return self().trainer.step(examples); });
}

TuneEvaluation Tuner::evaluate(std::span<const TuneExample> examples) {
  return errors_of_ours([&] { return self().trainer.evaluate(examples); });
}

std::int64_t Tuner::steps() const { return self().trainer.steps(); }

std::int64_t Tuner::trained_parameters() const {
  return static_cast<std::int64_t>(self().trainer.parameters().elements());
}

const TuneMemory& Tuner::memory() const { return self().trainer.memory(); }
const TuneOptions& Tuner::options() const { return self().trainer.options(); }

void Tuner::save_checkpoint(const std::filesystem::path& file,
                            const std::map<std::string, std::string>& notes) const {
  errors_of_ours([&] { models::write_checkpoint(file, self().trainer, notes); });
}

std::map<std::string, std::string> Tuner::resume(const std::filesystem::path& file) {
  return errors_of_ours([&] { return models::read_checkpoint(file, self().trainer); });
}

void Tuner::cancel() noexcept {
  if (impl_) impl_->trainer.cancel();
}

namespace {

// A weight may have grown beyond what its type holds.
void require_fits(const models::WeightSpec& spec, std::span<const std::byte> wide,
                  const std::vector<std::byte>& narrow, const std::filesystem::path& path) {
  const std::size_t count = wide.size() / sizeof(float);
  std::vector<float> back(count);
  kernels::dequantize(kernels::Isa::scalar, *runtime::weight_type(spec.dtype),
                      static_cast<kernels::index_t>(count), narrow.data(), back.data());
  const auto found =
      std::find_if_not(back.begin(), back.end(), [](float x) { return std::isfinite(x); });
  if (found == back.end()) return;
  const float value =
      reinterpret_cast<const float*>(wide.data())[static_cast<std::size_t>(found - back.begin())];
  throw Error(ErrorKind::numerical, runtime::path_text(path) + ": was not written: " + spec.name +
                                        " has " + std::to_string(value) + ", more than " +
                                        std::string(runtime::dtype_name(spec.dtype)) + " holds");
}

}  // namespace

// Every tensor of the model in the type it came in, where that is a type of numbers, else as F32.
void Tuner::Impl::save_full(const std::filesystem::path& path) const {
  std::vector<std::vector<std::byte>> narrowed;
  std::vector<runtime::TensorEntry> tensors;
  for (const models::WeightSpec& spec : model->specs) {
    const models::Parameter& parameter = *trainer.parameters().find(spec.name);
    std::span<const std::byte> data(parameter.value.data(), parameter.value.bytes());
    runtime::DType type = runtime::DType::f32;
    if (spec.dtype == runtime::DType::bf16 || spec.dtype == runtime::DType::f16) {
      type = spec.dtype;
      auto& rounded = narrowed.emplace_back(parameter.elements * runtime::dtype_size(type));
      kernels::quantize(*runtime::weight_type(type),
                        static_cast<kernels::index_t>(parameter.elements),
                        reinterpret_cast<const float*>(data.data()), rounded.data());
      require_fits(spec, data, rounded, path);
      data = rounded;
    }
    tensors.push_back({spec.name, type, spec.shape, data});
  }
  models::write_model(path, model->metadata, tensors,
                      model->tokenizer ? &model->tokenizer->spec() : nullptr);
}

namespace {

// The name of a model's file or folder, however its path was written.
std::string last_part(const std::filesystem::path& path) {
  const std::filesystem::path plain = path.lexically_normal();
  return (plain.has_filename() ? plain : plain.parent_path()).filename().string();
}

}  // namespace

void Tuner::save(const std::filesystem::path& path) const {
  errors_of_ours([&] {
    self().trainer.parameters().require_finite(path);
    if (self().trainer.options().method == TuneMethod::full) {
      self().save_full(path);
    } else {
      models::AdapterFile adapter = self().trainer.parameters().adapter();
      models::to_file_order(adapter, self().model->metadata, self().model->specs);
      adapter.base = last_part(self().model->opened_from);
      models::write_adapter(path, adapter);
    }
  });
}

}  // namespace attn
