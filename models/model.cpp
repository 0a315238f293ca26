#include "models/lora/apply.hpp"
#include "models/model_impl.hpp"
#include "models/size_loss_task.hpp"
#include "models/source/source.hpp"
#include "models/source/write_model.hpp"
#include "models/text/unicode.hpp"
#include "runtime/formats/text.hpp"

#include <cmath>

namespace attn {

using models::Architecture;
using models::errors_of_ours;
using models::Metadata;
using models::naming;
using models::Runner;
using models::Weights;
using models::WeightSpec;

namespace {

void check(const Options& options) {
  if (options.threads < 0 || options.threads > 1024) {
    throw Error(ErrorKind::usage, "threads: " + std::to_string(options.threads) +
                                      " is not in 1..1024 (0: as many as allowed)");
  }
  const Allocator& allocator = options.allocator;
  if (static_cast<bool>(allocator.allocate) != static_cast<bool>(allocator.release)) {
    throw Error(ErrorKind::usage, "allocator: has one of allocate and release, and not the other");
  }
}

}  // namespace

Model::Model(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;
Model::~Model() = default;

Model::Impl& Model::self() const {
  if (!impl_) throw Error(ErrorKind::usage, "this model was moved from");
  return *impl_;
}

std::unique_ptr<Model::Impl> Model::Impl::of(models::Source source, const Options& options,
                                             kernels::IsaChoice choice) {
  std::unique_ptr<Impl> impl = naming(source.name, [&] {
    const Architecture& kind =
        models::find_architecture(source.metadata.text("attn.architecture"), true);
    models::Shapes shapes;
    for (const runtime::TensorEntry& entry : source.tensors) shapes[entry.name] = entry.shape;
    std::vector<WeightSpec> specs = kind.weights(source.metadata, shapes);
    Weights weights = Weights::from_source(source, specs);
    for (WeightSpec& spec : specs) {
      const Weights::Tensor& tensor = weights.all().find(spec.name)->second;
      spec.dtype = tensor.dtype;
      spec.layout = tensor.layout;
    }
    std::shared_ptr<const models::Tokenizer> tokenizer;
    if (source.tokenizer) {
      tokenizer = std::make_shared<models::Tokenizer>(std::move(*source.tokenizer), "tokenizer");
    }
    auto made = std::make_unique<Impl>(kind, std::move(source.metadata), std::move(specs),
                                       std::move(weights), options, std::move(choice));
    made->take_text(std::move(tokenizer));
    made->opened_from = source.name;
    return made;
  });
  for (models::LoadedAdapter& adapter :
       models::load_adapters(options.adapters, *impl->architecture, impl->metadata, impl->specs)) {
    models::add_adapter(std::move(adapter), impl->specs, impl->weights);
  }
  impl->tell(LogLevel::info, [&] {
    return impl->opened_from + ": " + impl->name + ", " + std::to_string(impl->weights.elements()) +
           " parameters in " + std::to_string(impl->weights.bytes()) + " bytes; " +
           std::string(kernels::isa_name(impl->isa.isa)) + ", " + impl->isa.why + "; " +
           std::to_string(impl->workers->size()) + " threads";
  });
  return impl;
}

namespace {

// Whatever is wrong with the parameters of a new model is the caller's doing.
models::Created created_by(const Architecture& kind, const Metadata& parameters) {
  try {
    return kind.create(parameters);
  } catch (const Error& error) {
    throw Error(ErrorKind::usage, error.what());
  }
}

}  // namespace

Model Model::open(const std::filesystem::path& path, const Options& options) {
  return errors_of_ours([&] {
    check(options);
    kernels::IsaChoice isa = kernels::choose_isa(options.isa);
    return Model(Impl::of(models::open_source(path, options.verify), options, std::move(isa)));
  });
}

Model Model::from_memory(std::span<const std::byte> bytes, const std::string& name,
                         const Options& options) {
  return errors_of_ours([&] {
    check(options);
    kernels::IsaChoice isa = kernels::choose_isa(options.isa);
    const std::string called = runtime::path_text(name);
    return Model(Impl::of(models::source_from_memory(bytes, called, options.verify), options,
                          std::move(isa)));
  });
}

Model Model::create(std::string_view architecture,
                    const std::map<std::string, std::string>& parameters, std::uint64_t seed,
                    const Options& options) {
  return errors_of_ours([&] {
    check(options);
    kernels::IsaChoice isa = kernels::choose_isa(options.isa);
    const Architecture& kind = models::find_architecture(architecture, false);
    if (kind.create == nullptr) {
      throw Error(ErrorKind::usage,
                  "a " + std::string(kind.name) + " model is opened, not created");
    }
    if (!options.adapters.empty()) {
      throw Error(ErrorKind::usage, "adapters are for models that are opened, not created");
    }
    for (const auto& [key, value] : parameters) {
      if (models::valid_utf8(key) == key && models::valid_utf8(value) == value) continue;
      throw Error(ErrorKind::usage, "parameter " + runtime::quote(key) + " is no UTF-8");
    }
    models::Created created = created_by(kind, Metadata::parameters(parameters));
    Weights weights = Weights::random(created.weights, seed);
    return Model(std::make_unique<Impl>(kind, std::move(created.metadata),
                                        std::move(created.weights), std::move(weights), options,
                                        std::move(isa)));
  });
}

std::vector<std::string> Model::architectures() {
  return errors_of_ours([] {
    std::vector<std::string> names;
    for (const Architecture* each : models::architectures()) names.emplace_back(each->name);
    return names;
  });
}

namespace {

// As PortInfo has them.
Dims dims_of(const runtime::Shape& shape) {
  Dims dims;
  for (const runtime::Dim dim : shape.dims()) dims.push_back(dim.symbolic() ? -1 : dim.extent);
  return dims;
}

}  // namespace

const std::string& Model::architecture() const { return self().name; }

const std::map<std::string, std::string>& Model::metadata() const { return self().metadata.all(); }

std::vector<PortInfo> Model::inputs() const {
  return errors_of_ours([&] {
    const Runner& runner = self().runner(false);
    std::vector<PortInfo> ports;
    for (const runtime::ValueId id : runner.inputs()) {
      const runtime::Value& value = runner.graph().value(id);
      PortInfo& port = ports.emplace_back();
      port.name = value.name;
      port.token_ids = value.dtype == runtime::DType::i32;
      port.shape = dims_of(value.shape);
    }
    return ports;
  });
}

std::vector<PortInfo> Model::outputs() const {
  return errors_of_ours([&] {
    const Runner& runner = self().runner(false);
    std::vector<PortInfo> ports;
    for (const runtime::Output& output : runner.graph().outputs()) {
      PortInfo& port = ports.emplace_back();
      port.name = output.name;
      port.shape = dims_of(runner.graph().value(output.value).shape);
    }
    return ports;
  });
}

std::span<const Output> Model::run(std::span<const Input> inputs) {
  Impl& impl = self();
  return errors_of_ours([&] { return impl.runner_for(inputs).run(inputs); });
}

const std::vector<std::string>& Model::vocabulary() const { return self().vocabulary.words(); }

std::vector<std::int32_t> Model::encode(std::string_view sentence) const {
  return errors_of_ours([&] {
    if (self().vocabulary.words().empty()) {
      throw Error(ErrorKind::usage, "a " + self().name + " model has no vocabulary");
    }
    return self().vocabulary.encode(sentence);
  });
}

std::vector<std::string> Model::words(std::string_view sentence) {
  return errors_of_ours([&] { return models::split_words(sentence); });
}

const std::string& Model::sentence() const { return self().sentence; }
const std::vector<std::string>& Model::size_words() const { return self().size_words; }

TrainResult Model::train(const SizeLossTask& task, const TrainOptions& options) {
  Impl& impl = self();
  return errors_of_ours([&] {
    if (impl.architecture->name != "size_loss_attention") {
      throw Error(ErrorKind::usage,
                  "the size-loss task trains a size_loss_attention model, not " + impl.name);
    }
    if (options.epochs < 0) {
      throw Error(ErrorKind::usage, "epochs: " + std::to_string(options.epochs) + " is below 0");
    }
    if (!std::isfinite(options.learning_rate) || options.learning_rate <= 0) {
      throw Error(ErrorKind::usage, "learning rate: " + std::to_string(options.learning_rate) +
                                        " is not a number above 0");
    }
    const std::string& sentence = task.sentence.empty() ? impl.sentence : task.sentence;
    const auto& size_words = task.size_words.empty() ? impl.size_words : task.size_words;
    const models::SizeLossData data =
        models::prepare_size_loss(impl.vocabulary, sentence, size_words);

    Weights trained = impl.weights.writable_copy();
    TrainResult result = models::train_size_loss(impl.metadata, impl.specs, trained, data, options,
                                                 impl.session_options);
    Metadata metadata = impl.metadata;
    metadata.set("attn.sentence", models::to_json(sentence));
    metadata.set("attn.size_words", models::to_json(size_words));
    std::string learned = sentence;
    std::vector<std::string> learned_words = size_words;
    // those there are hold the old weights
    auto packs = std::make_shared<runtime::Packs>(impl.session_options.allocator);
    // from here on nothing throws: the model is the old one or the new one
    for (std::unique_ptr<Runner>& runner : impl.runners) runner.reset();
    impl.session_options.packs = std::move(packs);
    impl.weights = std::move(trained);
    impl.metadata = std::move(metadata);
    impl.sentence = std::move(learned);
    impl.size_words = std::move(learned_words);
    return result;
  });
}

void Model::save(const std::filesystem::path& path) const {
  const Impl& impl = self();
  errors_of_ours([&] {
    std::vector<runtime::TensorEntry> tensors;
    for (const WeightSpec& spec : impl.specs) {
      if (spec.lora) {
        throw Error(
            ErrorKind::usage,
            "a model is not saved with adapters beside it: attn-convert --lora merges them");
      }
      const Weights::Tensor& tensor = impl.weights.all().find(spec.name)->second;
      const auto* const data = static_cast<const std::byte*>(tensor.data);
      tensors.push_back(
          {spec.name, tensor.dtype, tensor.shape, {data, tensor.bytes()}, tensor.layout});
    }
    models::write_model(path, impl.metadata, tensors,
                        impl.tokenizer ? &impl.tokenizer->spec() : nullptr);
    impl.tell(LogLevel::info, [&] { return runtime::path_text(path) + ": written"; });
  });
}

}  // namespace attn
