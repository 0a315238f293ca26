#include "models/source/source.hpp"

#include "kernels/isa.hpp"
#include "runtime/formats/mapped_file.hpp"
#include "runtime/formats/text.hpp"

namespace attn::models {

namespace {

Source source_at(const std::filesystem::path& path, bool verify) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return source_of_folder(path, verify);
  auto file = runtime::MappedFile::open(path);
  std::string name = runtime::path_text(path);
  if (runtime::Gguf::begins(file.bytes())) {
    return source_of(runtime::Gguf::of(std::move(file), std::move(name)));
  }
  return source_of(runtime::Safetensors::of(std::move(file), std::move(name)), verify);
}

}  // namespace

void check_packed_for(std::string_view isa, ErrorKind kind, const std::string& where) {
  using kernels::Isa;
  for (const Isa level : {Isa::avx2, Isa::avx512, Isa::amx}) {
    if (kernels::isa_name(level) == isa) return;
  }
  throw Error(kind, where + runtime::quote(isa) + " is none of avx2, avx512, amx");
}

Source open_source(const std::filesystem::path& path, bool verify) {
  Source source = source_at(path, verify);
  source.mapped = true;
  return source;
}

Source source_from_memory(std::span<const std::byte> bytes, const std::string& name, bool verify) {
  if (runtime::Gguf::begins(bytes)) return source_of(runtime::Gguf::from_memory(bytes, name));
  return source_of(runtime::Safetensors::from_memory(bytes, name), verify);
}

}  // namespace attn::models
