#pragma once

#include "attn/error.hpp"
#include "faults/failing_memory.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace attn::test {

/// The bytes of numbers, to be appended to a result.
template <class Numbers>
[[nodiscard]] std::string bytes_in(const Numbers& numbers) {
  const auto bytes = std::as_bytes(std::span(numbers));
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// With ATTN_LONG=1 every request is let fail. Otherwise the first 40, and from there one of 20.
[[nodiscard]] inline long after(long at) {
  static const bool all = std::getenv("ATTN_LONG") != nullptr;
  constexpr long first = 40, steps = 20;
  return at + (all || at < first ? 1 : std::max(1L, at / steps));
}

/// Lets every request for memory inside `act` fail, the at-th once, and from the at-th on for good.
/// Each time `make` makes what `act` works on, `act` gives its result or throws Error(memory) and
/// nothing else (what it does itself stands under Spared), then the same object gives the result it
/// gives without any failure, and after it is gone no memory is held that was not before. `undo`,
/// where given, follows every act.
template <class Make, class Act>
void sweep(std::string_view name, Make&& make, Act&& act,
           const std::function<void()>& undo = nullptr) {
  const auto whole = [&] {
    auto object = make();
    std::string result = act(object);
    if (undo) undo();
    return result;
  };
  const std::string expected = whole();
  REQUIRE(!expected.empty());
  REQUIRE(whole() == expected);  // and what libraries keep for ever is there now
  long failures = 0, errors = 0, last = 0;
  for (const bool for_good : {false, true}) {
    for (long at = 1;; at = after(at)) {
      std::string result, again, problem;
      const long before = held_blocks();
      {
        auto object = make();
        try {
          const FailingMemory failing(at, for_good);
          result = act(object);
        } catch (const Error& error) {
          if (error.kind() != ErrorKind::memory) problem = error.what();
          ++errors;
        } catch (const std::exception& error) {
          problem = std::string("not ours: ") + error.what();
        }
        if (undo) undo();
        if (problem.empty()) again = act(object);
        if (undo) undo();
      }
      const bool same = (result.empty() || result == expected) && again == expected;
      std::string().swap(result);
      std::string().swap(again);
      const std::string said = problem;
      std::string().swap(problem);
      const long leaked = held_blocks() - before - (said.capacity() > 15 ? 1 : 0);
      if (!said.empty() || !same || leaked != 0) {
        FAIL(name << ", request " << at << (for_good ? " and all after it" : "") << ": "
                  << (same || !said.empty() ? "" : "other bits; ") << leaked << " blocks leaked; "
                  << said);
      }
      last = at;
      if (!memory_failed()) break;
      ++failures;
    }
  }
  WARN(name << ": " << failures << " failures of up to " << last << " requests, " << errors
            << " of them an error, the others done without");
  REQUIRE(errors > 0);
}

}  // namespace attn::test
