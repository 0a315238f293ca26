#pragma once

// How a C function becomes C++: nothing is thrown across it, and what went wrong is told.

#include "attn/attn.h"
#include "attn/error.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <exception>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace attn::c {

/// What attn::Error has no kind for.
class Failure : public std::runtime_error {
 public:
  Failure(attn_status status, const std::string& message)
      : std::runtime_error(message), status_(status) {}
  [[nodiscard]] attn_status status() const noexcept { return status_; }

 private:
  attn_status status_;
};

[[nodiscard]] attn_status status_of(ErrorKind kind) noexcept;

/// Writes both into *error, the message cut to its room, and gives the status back.
attn_status tell(attn_error* error, attn_status status, std::string_view message) noexcept;

/// Runs the body of a C function.
template <class Body>
attn_status call(attn_error* error, Body&& body) noexcept {
  try {
    body();
    return tell(error, ATTN_OK, "");
  } catch (const Error& failure) {
    return tell(error, status_of(failure.kind()), failure.what());
  } catch (const Failure& failure) {
    return tell(error, failure.status(), failure.what());
  } catch (const std::bad_alloc&) {
    return tell(error, ATTN_MEMORY, "not enough memory");
  } catch (const std::exception& failure) {
    return tell(error, ATTN_UNEXPECTED, failure.what());
  } catch (...) {
    return tell(error, ATTN_UNEXPECTED, "an exception that is no std::exception");
  }
}

/// The argument, which has to be there.
template <class T>
T& required(T* argument, const char* name) {
  if (argument == nullptr) throw Error(ErrorKind::usage, std::string(name) + ": is null");
  return *argument;
}

/// An array of the caller's. Without elements it may be null.
template <class T>
std::span<T> array(T* elements, std::size_t count, const char* name) {
  if (count == 0) return {};
  return {&required(elements, name), count};
}

/// A text of the caller's that ends with a NUL.
inline std::string_view text(const char* given, const char* name) { return &required(given, name); }

/// The same, where null is an empty one.
inline std::string_view text_or_none(const char* given) { return given == nullptr ? "" : given; }

/// One of an enum's values, of which the last is named. Taken by reference, and copied: another
/// number may not be loaded as one of the enum.
template <class Enum, class Given>
Enum one_of(const Given& given, Enum last, const char* name) {
  static_assert(sizeof(Given) == sizeof(int));
  int number = 0;
  std::memcpy(&number, &given, sizeof number);
  if (number < 0 || number > static_cast<int>(last)) {
    throw Error(ErrorKind::usage, std::string(name) + ": " + std::to_string(number) +
                                      " is not in 0.." + std::to_string(static_cast<int>(last)));
  }
  return static_cast<Enum>(number);
}

/// Does the buffer have room for that many? Throws Failure(ATTN_ROOM).
void require_room(std::size_t capacity, std::size_t needed, const char* of);

/// Copies to a buffer of the caller's and says how many there are, also where there is no room.
template <class T>
void give(std::span<const T> from, T* to, std::size_t capacity, std::size_t* count,
          const char* of) {
  required(count, "count") = from.size();
  require_room(capacity, from.size(), of);
  if (!from.empty()) std::copy(from.begin(), from.end(), &required(to, of));
}

}  // namespace attn::c
