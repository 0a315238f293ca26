#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace attn::models {

/// The factors beside one projection W [out, in], in the order of rows that Hugging Face's models
/// have (see rope_rows.hpp).
struct AdapterModule {
  std::string name;  ///< "model.layers.0.self_attn.q_proj", "encoder.layer.0.attention.self.query"
  std::int64_t rank = 0, in = 0, out = 0;
  std::vector<float> a;  ///< [rank, in]
  std::vector<float> b;  ///< [out, rank]
  bool operator==(const AdapterModule&) const = default;
};

/// An adapter as a folder in PEFT's layout holds it.
struct AdapterFile {
  int rank = 0;             ///< of modules that adapter_config.json does not name, 1 to 1024
  double alpha = 0;         ///< finite
  double dropout = 0;       ///< in [0, 1), while training
  bool use_rslora = false;  ///< alpha is divided by √rank (Kalajdzievski 2023)
  std::vector<std::string> targets;    ///< target_modules: names that those of modules end in
  std::string base;                    ///< name of the model it was trained for; may be empty
  std::vector<AdapterModule> modules;  ///< ascending by name
  bool operator==(const AdapterFile&) const = default;

  /// What B A of a module is multiplied with: alpha / rank of the module.
  [[nodiscard]] double scale(const AdapterModule& module) const;
};

/// The largest rank that is read.
inline constexpr std::int64_t most_rank = 1024;

/// The files of an adapter's folder.
inline constexpr const char* adapter_config_name = "adapter_config.json";
inline constexpr const char* adapter_weights_name = "adapter_model.safetensors";

/// Reads adapter_config.json and adapter_model.safetensors (F64, F32, F16 or BF16, read into F32).
/// Throws Error(io) for what cannot be read, Error(invalid) naming file and field or tensor for
/// what is damaged, not finite, or not done here: docs/adapters.md has the list.
[[nodiscard]] AdapterFile read_adapter(const std::filesystem::path& folder);

/// Writes both files, each atomically, the weights first, as F32; the folder is made if it is
/// missing. Python's peft loads them. Throws Error(numerical) naming the first module that is not
/// finite, before anything is written, Error(io).
void write_adapter(const std::filesystem::path& folder, const AdapterFile& adapter);

}  // namespace attn::models
