#pragma once

// The values of nlohmann-json, made so that destroying one asks for no memory.
//
// Its destructor moves all elements onto a std::vector of values first, lest deep values use up the
// stack. Where that vector gets no memory, an exception leaves a destructor and the process ends.
// How deep values are is bounded here (JsonLimits, and the templates' own limit), so theirs may be
// destroyed one inside the other.
//
// Two things more to know where memory may be short: a list in braces that becomes an object, as in
// Json{{"key", 1}}, leaks it where a member gets no memory, and a null that becomes an object by
// json["key"] is broken where the object gets none. So objects begin as Json::object(), and members
// are assigned. tests/faults/ finds what forgets it.

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace attn::runtime {

/// std::allocator under a name of ours: arrays of values are other vectors than the destructor's.
template <class T>
class JsonAllocator : public std::allocator<T> {
 public:
  JsonAllocator() = default;
  template <class U>
  JsonAllocator(const JsonAllocator<U>& /*other*/) noexcept {}  // NOLINT: allocators convert
};

using Json = nlohmann::basic_json<std::map, std::vector, std::string, bool, std::int64_t,
                                  std::uint64_t, double, JsonAllocator>;
/// The same with an object's members in the order in which they were made.
using OrderedJson = nlohmann::basic_json<nlohmann::ordered_map, std::vector, std::string, bool,
                                         std::int64_t, std::uint64_t, double, JsonAllocator>;

/// Where the destructor puts the elements: each is destroyed at once, so it is always empty.
template <class Value>
class DestroyedAtOnce {
 public:
  using value_type = Value;

  void reserve(std::size_t /*count*/) noexcept {}
  void push_back(Value&& value) noexcept { const Value gone(std::move(value)); }
  [[nodiscard]] bool empty() const noexcept { return true; }
  [[nodiscard]] Value& back() noexcept { __builtin_unreachable(); }
  void pop_back() noexcept {}
};

}  // namespace attn::runtime

// NOLINTBEGIN(cert-dcl58-cpp): of types of ours
template <>
class std::vector<attn::runtime::Json>
    : public attn::runtime::DestroyedAtOnce<attn::runtime::Json> {};
template <>
class std::vector<attn::runtime::OrderedJson>
    : public attn::runtime::DestroyedAtOnce<attn::runtime::OrderedJson> {};
// NOLINTEND(cert-dcl58-cpp)
