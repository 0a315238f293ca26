#include "attn/convert.hpp"

#include "models/lora/merge.hpp"
#include "models/model_impl.hpp"
#include "models/source/source.hpp"
#include "models/source/write_model.hpp"
#include "runtime/formats/text.hpp"
#include "runtime/stored.hpp"
#include "runtime/tiled.hpp"

#include <algorithm>
#include <cmath>

namespace attn {
namespace {

using models::Source;
using models::Storage;
using models::WeightSpec;
using runtime::DType;
using runtime::TensorEntry;
using runtime::WeightLayout;

class Converter {
 public:
  Converter(Source source, std::optional<DType> type, const ConvertOptions& options)
      : source_(std::move(source)), type_(type), options_(options) {}

  Converted write(const std::filesystem::path& target) {
    pick();
    for (std::size_t i = 0; i < picked_.size(); ++i) {
      done_ += picked_[i].data.size();
      unpack(i);
      recode(i);
      pack(i);
      if (options_.on_progress) {
        options_.on_progress(static_cast<std::int64_t>(done_),
                             static_cast<std::int64_t>(result_.bytes_before));
      }
    }
    if (result_.packed > 0) source_.metadata.set(models::packed_for_key, options_.pack);
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
    merge_.emplace(models::load_adapters(options_.adapters, kind, source_.metadata, specs));
    for (const WeightSpec& spec : specs) {
      const auto entry = std::find_if(source_.tensors.begin(), source_.tensors.end(),
                                      [&](const TensorEntry& e) { return e.name == spec.name; });
      result_.bytes_before += entry->data.size();
      picked_.push_back(*entry);
      storages_.push_back(spec.storage);
    }
    result_.tensors = static_cast<std::int64_t>(picked_.size());
    made_.resize(picked_.size());
    if (options_.pack.empty()) return;
    runtime::Graph graph;
    kind.build(graph, source_.metadata, specs, false);
    multiplied_ = runtime::multiplied_weights(graph);
  }

  void take(std::size_t i, std::vector<std::byte> bytes) {
    made_[i] = std::move(bytes);
    picked_[i].data = made_[i];
  }

  // All that follows works on rows.
  void unpack(std::size_t i) {
    TensorEntry& entry = picked_[i];
    if (entry.layout == WeightLayout::rows) return;
    take(i, runtime::to_rows(entry.dtype, entry.shape, entry.data));
    entry.layout = WeightLayout::rows;
  }

  void pack(std::size_t i) {
    TensorEntry& entry = picked_[i];
    if (!multiplied_.contains(entry.name) || !runtime::tiled_size(entry.dtype, entry.shape)) return;
    take(i, runtime::to_tiles(entry.dtype, entry.shape, entry.data));
    entry.layout = WeightLayout::tiles;
    ++result_.packed;
  }

  void recode(std::size_t i) {
    TensorEntry& entry = picked_[i];
    const bool merged = merge_->changes(entry.name);
    const DType type = type_of(entry, storages_[i], merged);
    if (type == entry.dtype && !merged) return;
    take(i, encoded(entry, type));
    if (merged) ++result_.merged;
    if (type != entry.dtype) ++result_.requantized;
    entry.dtype = type;
  }

  // The type that the tensor is to have.
  DType type_of(const TensorEntry& entry, Storage storage, bool merged) {
    if (!type_ || storage == Storage::f32) {
      // the finest of block formats, whose steps lose less than a small sum brings
      return merged && runtime::dtype_block(entry.dtype) > 1 ? DType::q8_0 : entry.dtype;
    }
    const DType type = storage == Storage::stored ? *type_ : DType::f32;
    if (!entry.shape.empty() && entry.shape.back() % runtime::dtype_block(type) == 0) return type;
    result_.as_f16.push_back(entry.name);
    return DType::f16;
  }

  [[nodiscard]] std::vector<std::byte> encoded(const TensorEntry& entry, DType type) const {
    const auto from = *runtime::weight_type(entry.dtype), to = *runtime::weight_type(type);
    const std::int64_t cols = entry.shape.back();
    std::int64_t elements = 1;
    for (const std::int64_t dim : entry.shape) elements *= dim;
    std::vector<std::byte> bytes(runtime::dtype_bytes(type, elements));
    std::vector<float> row(static_cast<std::size_t>(cols)), back(row.size());
    for (std::int64_t at = 0; at < elements; at += cols) {
      kernels::dequantize(kernels::Isa::scalar, from, cols,
                          entry.data.data() + kernels::row_bytes(from, at), row.data());
      merge_->add_to(entry.name, at / cols, row);
      const auto bad =
          std::find_if(row.begin(), row.end(), [](float w) { return !std::isfinite(w); });
      if (bad != row.end()) {
        throw Error(ErrorKind::invalid, source_.name + ": tensor '" + entry.name + "', element " +
                                            std::to_string(at + (bad - row.begin())) +
                                            " is not finite and cannot be stored anew");
      }
      std::byte* const stored = bytes.data() + kernels::row_bytes(to, at);
      kernels::quantize(to, cols, row.data(), stored);
      kernels::dequantize(kernels::Isa::scalar, to, cols, stored, back.data());
      require_fits(entry.name, type, row, back);
    }
    return bytes;
  }

  // The type, or the scale of its blocks, may hold less than a weight or the sum with factors has.
  void require_fits(const std::string& name, DType type, const std::vector<float>& row,
                    const std::vector<float>& back) const {
    const auto bad =
        std::find_if_not(back.begin(), back.end(), [](float w) { return std::isfinite(w); });
    if (bad == back.end()) return;
    const float value = row[static_cast<std::size_t>(bad - back.begin())];
    throw Error(ErrorKind::numerical, source_.name + ": tensor '" + name + "' would have " +
                                          std::to_string(value) + ", which " +
                                          std::string(runtime::dtype_name(type)) + " cannot hold");
  }

  Source source_;
  std::optional<DType> type_;
  const ConvertOptions& options_;
  std::vector<TensorEntry> picked_;
  std::vector<Storage> storages_;
  std::vector<std::vector<std::byte>> made_;       // by picked_: what is not a view of the source
  std::set<std::string, std::less<>> multiplied_;  // empty where nothing is packed
  std::optional<models::Merge> merge_;             // once the architecture is known
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
    if (!options.pack.empty()) {
      models::check_packed_for(options.pack, ErrorKind::usage, "pack: ");
    }
    return Converter(models::open_source(source, /*verify=*/false), type, options).write(target);
  });
}

}  // namespace attn
