#pragma once

#include "attn/tune.h"
#include "attn/tune.hpp"
#include "attn/tune_run.hpp"
#include "bindings/c/handles.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

struct attn_examples {
  static constexpr const char* name = "attn_examples";
  static constexpr std::uint64_t kind = 0x71F2E85D4C0A9B36;
  attn::c::Mark mark{kind, this};
  std::vector<attn::TuneExample> all;
};

struct attn_tuner {
  static constexpr const char* name = "attn_tuner";
  static constexpr std::uint64_t kind = 0xB8036D9AE1C5742F;
  attn_tuner(std::shared_ptr<attn::Model> from, const attn::TuneOptions& options)
      : model(std::move(from)), tuner(*model, options) {}

  attn::c::Mark mark{kind, this};
  std::shared_ptr<attn::Model> model;
  attn::Tuner tuner;
  attn::TuneResult last;
  std::string checkpoint;  // last's, as the caller gets it
};
