// attn.export.convert().

#include "attn/convert.hpp"

#include "python/src/bindings.hpp"

#include <filesystem>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

namespace attn::python {
namespace {

nb::dict convert_files(const std::filesystem::path& source, const std::filesystem::path& target,
                       std::string quantize, std::string pack,
                       const std::vector<AdapterArgument>& adapters) {
  Converted done;
  {
    const Released release;
    Signals signals;
    done = convert(source, target,
                   {.quantize = std::move(quantize),
                    .pack = std::move(pack),
                    .adapters = adapters_of(adapters),
                    .on_progress = [&](std::int64_t, std::int64_t) { signals.check(); }});
  }
  nb::dict result;
  result["architecture"] = done.architecture;
  result["tensors"] = done.tensors;
  result["requantized"] = done.requantized;
  result["packed"] = done.packed;
  result["merged"] = done.merged;
  result["as_f16"] = done.as_f16;
  result["bytes_before"] = done.bytes_before;
  result["bytes_after"] = done.bytes_after;
  return result;
}

}  // namespace

void bind_convert(nb::module_& module) {
  module.def(
      "convert", &convert_files, nb::arg("source"), nb::arg("target"), nb::kw_only(),
      nb::arg("quantize") = "", nb::arg("pack") = "",
      nb::arg("adapters") = std::vector<AdapterArgument>{},
      nb::sig("def convert(source: str | os.PathLike[str], target: str | os.PathLike[str], *, "
              "quantize: typing.Literal['', 'q8_0', 'q4_0', 'q4_1', 'bf16', 'f16', 'f32'] = '', "
              "pack: typing.Literal['', 'avx2', 'avx512', 'amx'] = '', adapters: "
              "collections.abc.Sequence[str | os.PathLike[str] | tuple[str | os.PathLike[str], "
              "float]] = ()) -> dict[str, typing.Any]"),
      "Packs a folder in the Hugging Face layout, a GGUF file or a model.bin into one model.bin: "
      "its "
      "tensors, tokenizer and chat template. quantize: the type that projections and embeddings "
      "get; "
      "empty for what they are. pack: in the tiles that products of this level read. adapters: "
      "merged "
      "into the weights, each alone or with a scale. Gives what was done, by name: architecture, "
      "tensors, requantized, packed, merged, as_f16 (names), bytes_before, bytes_after.");
}

}  // namespace attn::python
