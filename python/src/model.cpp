// attn.Model: opening, closing, saving, and what it is.

#include "python/src/bindings.hpp"

#include <map>
#include <nanobind/stl/map.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <optional>

namespace attn::python {
namespace {

using Path = std::filesystem::path;

Options options_of(int threads, std::string isa, std::string_view precision, bool verify) {
  Options options;
  options.threads = threads;
  options.isa = std::move(isa);
  options.precision = chosen("precision", precision, precisions);
  options.verify = verify;
  return options;
}

PythonModel open(const Path& path, int threads, std::string isa, std::string_view precision,
                 bool verify, const std::vector<AdapterArgument>& adapters) {
  Options options = options_of(threads, std::move(isa), precision, verify);
  options.adapters = adapters_of(adapters);
  std::optional<Model> model;
  {
    const Released release;
    model.emplace(Model::open(path, options));
  }
  return PythonModel(std::move(*model));
}

PythonModel create(std::string_view architecture, const nb::object& parameters, std::uint64_t seed,
                   int threads, std::string isa, std::string_view precision) {
  std::map<std::string, std::string> texts;
  const nb::dict all = dict_of(parameters, "parameters");
  for (const auto& [name, value] : all) {
    const std::string key(text_view(name, "the name of a parameter"));
    const nb::handle object = value;
    const nb::object shown = python_code([&] { return nb::steal(PyObject_Str(object.ptr())); });
    if (!shown.is_valid()) throw nb::python_error();
    texts[key] = text_view(shown, key.c_str());
  }
  const Options options = options_of(threads, std::move(isa), precision, false);
  std::optional<Model> model;
  {
    const Released release;
    model.emplace(Model::create(architecture, texts, seed, options));
  }
  return PythonModel(std::move(*model));
}

std::string text_of(const PythonModel& self) {
  if (self.closed()) return "<attn.Model, closed>";
  return "<attn.Model " + self.model().architecture() + ">";
}

void bind_opening(nb::class_<PythonModel>& model) {
  model
      .def_static(
          "open", &open, nb::arg("path"), nb::kw_only(), nb::arg("threads") = 0,
          nb::arg("isa") = "", nb::arg("precision") = "automatic", nb::arg("verify") = false,
          nb::arg("adapters") = std::vector<AdapterArgument>{},
          nb::sig("def open(path: str | os.PathLike[str], *, threads: int = 0, isa: str = '', "
                  "precision: typing.Literal['automatic', 'f32', 'bf16'] = 'automatic', verify: "
                  "bool = False, adapters: collections.abc.Sequence[str | os.PathLike[str] | "
                  "tuple[str | os.PathLike[str], float]] = ()) -> Model"),
          "Opens a model.bin, a GGUF file, or a folder in the Hugging Face layout; weights are "
          "mapped, not read. threads: 1 to 1024, 0 for as many as the process may have. isa: "
          "scalar, avx2, avx512 or amx; empty for the best there is. precision: of products. "
          "verify: check the checksum and that all weights are finite. adapters: LoRA folders in "
          "PEFT's layout, each alone or with a scale.")
      .def_static(
          "create", &create, nb::arg("architecture"), nb::arg("parameters") = nb::dict(),
          nb::kw_only(), nb::arg("seed") = 0, nb::arg("threads") = 0, nb::arg("isa") = "",
          nb::arg("precision") = "automatic",
          nb::sig("def create(architecture: str, parameters: collections.abc.Mapping[str, object] "
                  "= {}, *, seed: int = 0, threads: int = 0, isa: str = '', precision: "
                  "typing.Literal['automatic', 'f32', 'bf16'] = 'automatic') -> Model"),
          "A teaching model with random weights, the same everywhere for the same seed: "
          "attention_mechanism (input_dim, attention_units), self_attention (embedding_size; 0: no "
          "projections), multi_head_attention (embedding_size, num_heads) or size_loss_attention "
          "(sentence, size_words separated by commas, embedding_dim); attn.scale of all but the "
          "first.")
      .def_static("architectures", &Model::architectures, "The names of all architectures.");
}

}  // namespace

std::vector<Adapter> adapters_of(const std::vector<AdapterArgument>& given) {
  std::vector<Adapter> adapters;
  for (const AdapterArgument& each : given) {
    if (const auto* const folder = std::get_if<Path>(&each)) {
      adapters.push_back({*folder, 1});
    } else {
      const auto& [with, scale] = std::get<1>(each);
      adapters.push_back({with, scale});
    }
  }
  return adapters;
}

void bind_model(nb::module_& module) {
  nb::class_<PythonModel> model(
      module, "Model",
      "An attention model: Model.open() or Model.create(). Calls that several threads make on one "
      "model take turns, but for tokenizing and generating, which go on side by side. Long calls "
      "let other Python threads run, and Ctrl-C ends them.");
  bind_opening(model);
  model
      .def(
          "save",
          [](const PythonModel& self, const Path& path) {
            in_turn(self, [&](Model& each) { each.save(path); });
          },
          nb::arg("path"), nb::sig("def save(self, path: str | os.PathLike[str]) -> None"),
          "Writes a model.bin, whole or not at all.")
      .def(
          "info",
          [](const PythonModel& self) {
            return in_turn(self, [](Model& each) { return each.info(); });
          },
          "Tensors, memory, instructions, threads.")
      .def_prop_ro("architecture",
                   [](const PythonModel& self) { return self.model().architecture(); })
      .def_prop_ro("metadata",
                   [](const PythonModel& self) {
                     return in_turn(self, [](Model& each) { return each.metadata(); });
                   })
      .def_prop_ro("text", [](const PythonModel& self) { return self.model().text(); })
      .def_prop_ro(
          "inputs",
          [](const PythonModel& self) {
            return in_turn(self, [](Model& each) { return each.inputs(); });
          },
          "What run() takes.")
      .def_prop_ro(
          "outputs",
          [](const PythonModel& self) {
            return in_turn(self, [](Model& each) { return each.outputs(); });
          },
          "What run() gives.")
      .def("close", &PythonModel::close,
           "Gives its memory back; an answer that is still being generated keeps it until it ends.")
      .def_prop_ro("closed", &PythonModel::closed)
      .def(
          "__enter__", [](nb::object self) { return self; },
          nb::sig("def __enter__(self) -> Model"))
      .def(
          "__exit__", [](PythonModel& self, const nb::args&) { self.close(); },
          nb::sig("def __exit__(self, *exception: object) -> None"))
      .def("__repr__", &text_of);
  bind_run(model);
  bind_text(model);
  bind_generate(model);
  bind_training(model);
}

}  // namespace attn::python
