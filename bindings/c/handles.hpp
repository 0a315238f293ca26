#pragma once

// What the handles are, and how one is told from what is none.

#include "attn/attn.h"
#include "attn/attn.hpp"
#include "attn/generator.hpp"
#include "bindings/c/call.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace attn::c {

/// The word that a handle carries as long as it lives: its kind and its own address, so that a copy
/// of its bytes is none.
class Mark {
 public:
  Mark(std::uint64_t kind, const void* handle) noexcept : word_(word(kind, handle)) {}
  Mark(const Mark&) = delete;
  Mark& operator=(const Mark&) = delete;
  // the compiler would leave out a write to what is destroyed
  ~Mark() { *const_cast<volatile std::uint64_t*>(&word_) = 0; }

  /// Reads the word where a handle of this kind would have it. What was freed may be looked at as
  /// well: sanitizers would call it an error, and here it is the question.
  __attribute__((noinline, no_sanitize("address", "thread"))) static bool is(
      std::uint64_t kind, const void* handle, const Mark* mark) noexcept {
    return *const_cast<const volatile std::uint64_t*>(&mark->word_) == word(kind, handle);
  }

 private:
  static std::uint64_t word(std::uint64_t kind, const void* handle) noexcept {
    return kind ^ reinterpret_cast<std::uintptr_t>(handle);
  }
  std::uint64_t word_;
};

/// The handle behind a pointer of the caller's. Throws Failure(ATTN_BAD_HANDLE).
template <class Handle>
Handle& live(Handle* handle) {
  const auto bad = [](const char* what) {
    return Failure(ATTN_BAD_HANDLE, std::string(Handle::name) + ": " + what);
  };
  if (handle == nullptr) throw bad("is null");
  const auto address = reinterpret_cast<std::uintptr_t>(handle);
  const bool aligned = address % alignof(Handle) == 0;
  if (!aligned || !Mark::is(Handle::kind, handle, &handle->mark)) {
    throw bad("was freed, or is none");
  }
  return *handle;
}

/// What every *_free does.
template <class Handle>
attn_status free_handle(Handle* handle) noexcept {
  return call(nullptr, [&] {
    if (handle != nullptr) delete &live(handle);
  });
}

}  // namespace attn::c

// Kinds are random numbers, which no memory has by chance.

struct attn_cancel {
  static constexpr const char* name = "attn_cancel";
  static constexpr std::uint64_t kind = 0x9D3C1F6A5B82E471;
  attn::c::Mark mark{kind, this};
  attn::CancelToken token;
};

struct attn_model {
  static constexpr const char* name = "attn_model";
  static constexpr std::uint64_t kind = 0x5EA7D08C3B19F264;
  explicit attn_model(attn::Model opened)
      : model(std::make_shared<attn::Model>(std::move(opened))) {}

  attn::c::Mark mark{kind, this};
  std::shared_ptr<attn::Model> model;  // with generators, tuners
  // of the last run, and kept for the next: a run allocates nothing
  std::vector<attn::Input> inputs;
  std::vector<attn_output> outputs;
  attn::TrainResult trained;  // of the last training
  // made when they are first asked for
  struct Info {
    attn::ModelInfo of_run;
    std::vector<attn::PortInfo> inputs, outputs;
  };
  std::unique_ptr<const Info> info;
};

struct attn_generator {
  static constexpr const char* name = "attn_generator";
  static constexpr std::uint64_t kind = 0xC46B90E2F7358A1D;
  attn_generator(std::shared_ptr<attn::Model> from, const attn::GeneratorOptions& options)
      : model(std::move(from)), generator(*model, options) {}

  attn::c::Mark mark{kind, this};
  std::shared_ptr<attn::Model> model;
  attn::Generator generator;
  attn::Generation last;
};
