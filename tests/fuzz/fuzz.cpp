// libFuzzer's door to all targets: fuzz --target=NAME [LIBFUZZER OPTIONS] [CORPUS] (libFuzzer
// leaves options with two dashes to others).

#include "fuzz/targets.hpp"

#include <cstdint>

namespace {

const attn::fuzz::Target*& chosen() {
  static const attn::fuzz::Target* target = nullptr;
  return target;
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* count, char*** arguments) {
  constexpr std::string_view option = "--target=";
  for (int i = 1; i < *count; ++i) {
    const std::string_view argument = (*arguments)[i];
    if (argument.starts_with(option)) {
      chosen() = &attn::fuzz::find_target(argument.substr(option.size()));
    }
  }
  if (chosen() == nullptr) (void)attn::fuzz::find_target("");
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  (void)chosen()->run({reinterpret_cast<const char*>(data), size});
  return 0;
}
