#include "attn/convert.hpp"

#include "models/model_impl.hpp"
#include "models/source/source.hpp"
#include "models/source/write_model.hpp"
#include "runtime/formats/text.hpp"
#include "runtime/stored.hpp"

#include <algorithm>
#include <cmath>

namespace attn {
namespace {

using models::Source;
using models::Storage;
using models::WeightSpec;
using runtime::DType;
using runtime::TensorEntry;

class Converter {
 public:
  Converter(Source source, std::optional<DType> type, const OnProgress& progress)
      : source_(std::move(source)), type_(type), progress_(progress) {}

  Converted write(const std::filesystem::path& target) {
    pick();
    for (std::size_t i = 0; i < picked_.size(); ++i) {
      recode(picked_[i], storages_[i]);
      done_ += picked_[i].data.size();
      if (progress_) {
        progress_(static_cast<std::int64_t>(done_),
                  static_cast<std::int64_t>(result_.bytes_before));
      }
    }
    for (const TensorEntry& entry : picked_) result_.bytes_after += entry.data.size();
    models::write_model(target, source_.metadata, picked_,
                        source_.tokenizer ? &*source_.tokenizer : nullptr);
    return std::move(result_);
  }

 private:
  // The tensors of the architecture. What is missing or misshapen is said before anything is made.
  void pick() {
    const models::Architecture& kind =
        models::find_architecture(source_.metadata.text("attn.architecture"), true);
    result_.architecture = kind.name;
    models::Shapes shapes;
    for (const TensorEntry& entry : source_.tensors) shapes[entry.name] = entry.shape;
    const std::vector<WeightSpec> specs = kind.weights(source_.metadata, shapes);
    (void)models::Weights::from_source(source_, specs);
    for (const WeightSpec& spec : specs) {
      const auto entry = std::find_if(source_.tensors.begin(), source_.tensors.end(),
                                      [&](const TensorEntry& e) { return e.name == spec.name; });
      result_.bytes_before += entry->data.size();
      picked_.push_back(*entry);
      storages_.push_back(spec.storage);
    }
    result_.tensors = static_cast<std::int64_t>(picked_.size());
  }

  void recode(TensorEntry& entry, Storage storage) {
    if (!type_ || storage == Storage::f32) return;
    DType type = storage == Storage::stored ? *type_ : DType::f32;
    if (entry.shape.empty() || entry.shape.back() % runtime::dtype_block(type) != 0) {
      type = DType::f16;
      result_.as_f16.push_back(entry.name);
    }
    if (type == entry.dtype) return;
    made_.push_back(encoded(entry, type));
    entry.dtype = type;
    entry.data = made_.back();
    ++result_.requantized;
  }

  [[nodiscard]] std::vector<std::byte> encoded(const TensorEntry& entry, DType type) const {
    const auto from = *runtime::weight_type(entry.dtype), to = *runtime::weight_type(type);
    const std::int64_t cols = entry.shape.back();
    std::int64_t elements = 1;
    for (const std::int64_t dim : entry.shape) elements *= dim;
    std::vector<std::byte> bytes(runtime::dtype_bytes(type, elements));
    std::vector<float> row(static_cast<std::size_t>(cols));
    for (std::int64_t at = 0; at < elements; at += cols) {
      kernels::dequantize(kernels::Isa::scalar, from, cols,
                          entry.data.data() + kernels::row_bytes(from, at), row.data());
      const auto bad =
          std::find_if(row.begin(), row.end(), [](float w) { return !std::isfinite(w); });
      if (bad != row.end()) {
        throw Error(ErrorKind::invalid, source_.name + ": tensor '" + entry.name + "', element " +
                                            std::to_string(at + (bad - row.begin())) +
                                            " is not finite and cannot be quantized");
      }
      kernels::quantize(to, cols, row.data(), bytes.data() + kernels::row_bytes(to, at));
    }
    return bytes;
  }

  Source source_;
  std::optional<DType> type_;
  const OnProgress& progress_;
  std::vector<TensorEntry> picked_;
  std::vector<Storage> storages_;
  std::vector<std::vector<std::byte>> made_;
  std::uint64_t done_ = 0;
  Converted result_;
};

std::optional<DType> type_named(std::string name) {
  if (name.empty()) return std::nullopt;
  for (char& c : name) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  const auto type = runtime::dtype_from_name(name);
  const auto stored = type ? runtime::weight_type(*type) : std::nullopt;
  if (stored && kernels::can_quantize(*stored)) return type;
  throw Error(ErrorKind::usage,
              "quantize: " + runtime::quote(name) + " is none of q8_0, q4_0, q4_1, bf16, f16, f32");
}

}  // namespace

Converted convert(const std::filesystem::path& source, const std::filesystem::path& target,
                  const ConvertOptions& options) {
  return models::errors_of_ours([&] {
    const std::optional<DType> type = type_named(options.quantize);
    return Converter(models::open_source(source, /*verify=*/false), type, options.on_progress)
        .write(target);
  });
}

}  // namespace attn
