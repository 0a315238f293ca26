#pragma once

#include "attn/error.hpp"

#include <new>
#include <stdexcept>
#include <string>

namespace attn::models {

/// Error(memory) that is thrown without asking for memory.
[[noreturn]] void throw_out_of_memory();

/// Runs the body of a public function. What the library throws is attn::Error and nothing else:
/// memory that the standard library could not get becomes one.
template <class Body>
auto errors_of_ours(Body&& body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    throw_out_of_memory();
  } catch (const std::length_error&) {
    throw Error(ErrorKind::memory, "not enough memory: more elements than can be counted");
  }
}

/// Adds what is being read to the message of an error inside it.
template <class Body>
auto naming(const std::string& what, Body&& body) {
  try {
    return body();
  } catch (const Error& error) {
    throw Error(error.kind(), what + ": " + error.what());
  }
}

}  // namespace attn::models
