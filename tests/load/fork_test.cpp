// What a child of fork() may do with its parent's models, whose threads it does not have.

#include "attn/attn.hpp"
#include "attn/generator.hpp"
#include "support/references.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <csignal>
#include <optional>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace attn;
using namespace attn::test;
using namespace std::chrono_literals;

// ThreadSanitizer takes a process with threads that forks for a mistake
#if !defined(ATTN_SANITIZED)

namespace {

// The child's exit code, or nothing if it did not come to an end.
template <class Body>
std::optional<int> in_child(Body&& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      ::_exit(body());
    } catch (...) {
      ::_exit(2);  // and not on with the parent's tests
    }
  }
  for (int i = 0; i < 1000; ++i) {
    int status = 0;
    if (::waitpid(child, &status, WNOHANG) == child)
      return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    std::this_thread::sleep_for(10ms);
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  return std::nullopt;
}

}  // namespace

TEST_CASE("a child of fork() uses and frees its parent's models", "[load]") {
  Options options;
  options.threads = 3;
  auto model = std::make_unique<Model>(Model::open(data_path("tiny-llama"), options));
  auto generator = std::make_unique<Generator>(*model, GeneratorOptions{.context = 32});
  const GenerateOptions eight{.max_tokens = 8, .sampling = {.temperature = 0}};
  const std::vector<std::int32_t> expected = generator->generate({{5, 6, 7}}, eight).tokens;
  CHECK(in_child([&] {
          generator.reset();
          model.reset();
          return 7;
        }) == 7);
  CHECK(in_child([&] {
          const bool same = generator->generate({{5, 6, 7}}, eight).tokens == expected;
          generator.reset();
          model.reset();
          return same ? 7 : 1;
        }) == 7);
  CHECK(generator->generate({{5, 6, 7}}, eight).tokens == expected);
}

#endif
