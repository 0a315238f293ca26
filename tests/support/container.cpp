// container IN OUT: reads a container and writes it anew, for tests in other languages.

#include "attn/error.hpp"
#include "runtime/formats/safetensors_writer.hpp"

#include <cstdio>

int main(int count, char** arguments) {
  if (count != 3) return 2;
  try {
    const auto file = attn::runtime::Safetensors::open(arguments[1]);
    file.verify();
    attn::runtime::write_safetensors(arguments[2], file.metadata(), file.tensors());
  } catch (const attn::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.exit_code();
  }
  return 0;
}
