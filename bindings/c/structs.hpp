#pragma once

// Structs that may grow: each side knows as much of them as it was compiled with.

#include "bindings/c/call.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>

namespace attn::c {

/// Throws Error(usage) unless it is the size of this struct, or of its beginning in an older
/// header.
template <class Struct>
void check_size(std::size_t given, const char* name) {
  if (given >= sizeof given && given <= sizeof(Struct)) return;
  throw Error(ErrorKind::usage, std::string(name) + ": struct_size is " + std::to_string(given) +
                                    ", and this library knows " + std::to_string(sizeof(Struct)));
}

/// What the caller set, over `defaults`: fields that its header did not have keep them. Null: the
/// defaults.
template <class Struct>
Struct taken(const Struct* given, Struct defaults, const char* name) {
  if (given == nullptr) return defaults;
  check_size<Struct>(given->struct_size, name);
  std::memcpy(static_cast<void*>(&defaults), given, given->struct_size);
  return defaults;
}

/// The fields that the caller's header has.
template <class Struct>
void give(Struct from, Struct* to, const char* name) {
  const std::size_t size = required(to, name).struct_size;
  check_size<Struct>(size, name);
  from.struct_size = size;
  std::memcpy(static_cast<void*>(to), &from, size);
}

/// What the caller's *_init(options, struct_size) does.
template <class Struct>
attn_status init(Struct* options, std::size_t struct_size, Struct defaults) noexcept {
  return call(nullptr, [&] {
    required(options, "options");
    check_size<Struct>(struct_size, "options");
    defaults.struct_size = struct_size;
    std::memcpy(static_cast<void*>(options), &defaults, struct_size);
  });
}

}  // namespace attn::c
