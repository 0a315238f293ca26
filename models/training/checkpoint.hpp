#pragma once

#include "models/training/trainer.hpp"

#include <filesystem>
#include <map>
#include <string>

namespace attn::models {

/// A checkpoint is a safetensors container: of every parameter its values ("value.NAME") and Adam's
/// moments ("m.NAME", "v.NAME"), and as metadata the steps done, the caller's notes, and what the
/// steps stand on: the base model's bytes and metadata and the options that the bits of a step
/// depend on.

/// Of the model's weights as they are stored, and of its metadata.
[[nodiscard]] std::string checksum_of(const TrainedModel& model);

/// Writes one, atomically, with a checksum. Throws Error(io); Error(numerical), naming the
/// tensor, where a number is not finite.
void write_checkpoint(const std::filesystem::path& file, const Trainer& trainer,
                      const std::map<std::string, std::string>& notes);

/// Takes values, moments and steps from one, and returns the notes. Checks everything first: on an
/// error the trainer is as it was. Throws Error(io), or Error(invalid) naming file and field.
std::map<std::string, std::string> read_checkpoint(const std::filesystem::path& file,
                                                   Trainer& trainer);

}  // namespace attn::models
