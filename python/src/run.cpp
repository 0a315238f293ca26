// Model.run(): arrays that numpy has as float32 or int32 in row-major order are read where they
// are; others are converted first. Outputs are copies, for the model's own memory is used again by
// its next run.

#include "python/src/bindings.hpp"

#include <cstring>
#include <vector>

namespace attn::python {
namespace {

/// The memory of a Python object, for as long as this lives. With the GIL.
class Buffer {
 public:
  Buffer() = default;
  ~Buffer() { release(); }
  Buffer(Buffer&& other) noexcept : view_(std::exchange(other.view_, Py_buffer{})) {}
  Buffer& operator=(Buffer&&) = delete;

  /// In place of what it was. False if the object has no such memory.
  [[nodiscard]] bool take(nb::handle object, int flags) {
    release();
    if (PyObject_GetBuffer(object.ptr(), &view_, flags) == 0) return true;
    PyErr_Clear();
    view_ = {};
    return false;
  }
  /// One letter of Python's struct module; 0 for anything longer.
  [[nodiscard]] char format() const {
    const char* const text = view_.format;
    return text != nullptr && text[0] != 0 && text[1] == 0 ? text[0] : char{0};
  }
  [[nodiscard]] const Py_buffer& view() const { return view_; }

 private:
  void release() {
    if (view_.obj != nullptr) PyBuffer_Release(&view_);
  }

  Py_buffer view_{};
};

template <class T>
std::span<const T> values_of(const Py_buffer& view) {
  return {static_cast<const T*>(view.buf), static_cast<std::size_t>(view.len) / sizeof(T)};
}

/// An input, and what it stands on.
struct Given {
  Input input;
  Buffer buffer;
};

Given given(const std::vector<PortInfo>& ports, nb::handle name, nb::handle value) {
  Given result;
  result.input.name = text_view(name, "the name of an input");
  bool ids = false;
  for (const PortInfo& port : ports)
    ids = ids || (port.token_ids && port.name == result.input.name);

  constexpr int flags = PyBUF_C_CONTIGUOUS | PyBUF_FORMAT;
  const char wanted = ids ? 'i' : 'f';
  if (!result.buffer.take(value, flags) || result.buffer.format() != wanted) {
    const nb::object convert =
        nb::module_::import_("attn._values").attr(ids ? "token_ids" : "numbers");
    const nb::object array = python_code([&] { return convert(name, value); });
    if (!result.buffer.take(array, flags)) throw nb::type_error("numpy gave no memory");
  }
  const Py_buffer& view = result.buffer.view();
  result.input.shape.assign(view.shape, view.shape + view.ndim);
  if (ids) {
    result.input.values = values_of<std::int32_t>(view);
  } else {
    result.input.values = values_of<float>(view);
  }
  return result;
}

nb::object copied(const Output& output, const Numpy& numpy) {
  const auto rank = static_cast<Py_ssize_t>(output.shape.size());
  nb::object shape = nb::steal(PyTuple_New(rank));
  if (!shape.is_valid()) throw nb::python_error();
  for (Py_ssize_t d = 0; d < rank; ++d) {
    PyTuple_SET_ITEM(shape.ptr(), d,
                     PyLong_FromLongLong(output.shape[static_cast<std::size_t>(d)]));
  }
  nb::object array = numpy.empty(shape, numpy.float32);
  Buffer memory;
  if (!memory.take(array, PyBUF_WRITABLE)) throw nb::type_error("numpy gave no memory");
  std::memcpy(memory.view().buf, output.values.data(), output.values.size_bytes());
  return array;
}

nb::dict run(const PythonModel& self, const nb::object& inputs) {
  const std::shared_ptr<Shared> shared = self.shared();
  const Turn::Held held(shared->turn);
  if (shared->inputs.empty()) shared->inputs = shared->model.inputs();
  // names are borrowed, and other threads may change the caller's dict meanwhile
  const nb::dict mine = dict_of(inputs, "inputs");
  std::vector<Given> all;
  all.reserve(mine.size());
  for (const auto& [name, value] : mine) all.push_back(given(shared->inputs, name, value));
  std::vector<Input> list;
  list.reserve(all.size());
  for (const Given& each : all) list.push_back(each.input);
  std::span<const Output> outputs;
  {
    const Released release;
    outputs = shared->model.run(list);
  }
  nb::dict result;
  for (const Output& output : outputs) {
    result[nb::str(output.name.data(), output.name.size())] = copied(output, shared->numpy);
  }
  return result;
}

}  // namespace

void bind_run(nb::class_<PythonModel>& model) {
  model.def("run", &run, nb::arg("inputs"),
            nb::sig("def run(self, inputs: collections.abc.Mapping[str, numpy.typing.ArrayLike]) "
                    "-> dict[str, numpy.typing.NDArray[numpy.float32]]"),
            "Runs the model once and gives its outputs by name. float32 and int32 arrays in "
            "row-major order are not copied; other numbers are converted. The arrays that come "
            "back are the caller's. Raises UsageError for an input that is missing, unknown or of "
            "another type, InvalidError for a shape or id that does not fit.");
}

}  // namespace attn::python
