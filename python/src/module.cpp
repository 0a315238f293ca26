// The extension module attn._attn: the C++ facade in Python's words.

#include "python/src/bindings.hpp"

#include <cstring>
#include <exception>

namespace attn::python {
namespace {

const char* name_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::usage: return "usage";
    case ErrorKind::invalid: return "invalid";
    case ErrorKind::io: return "io";
    case ErrorKind::memory: return "memory";
    case ErrorKind::numerical: return "numerical";
    case ErrorKind::cancelled: return "cancelled";
  }
  return "invalid";
}

// The classes stand in attn.errors, which is imported when the first of them is needed: while the
// package is being imported it imports this module.
void raise(const Error& error) {
  try {
    const nb::object type =
        nb::module_::import_("attn.errors").attr("of_kind")(name_of(error.kind()));
    // a path may be no UTF-8: as os.fsdecode() has it
    const nb::object message = nb::steal(PyUnicode_DecodeUTF8(
        error.what(), static_cast<Py_ssize_t>(std::strlen(error.what())), "surrogateescape"));
    if (message.is_valid()) PyErr_SetObject(type.ptr(), message.ptr());
  } catch (nb::python_error& other) {
    other.restore();
  }
}

}  // namespace

void bind_errors() {
  nb::register_exception_translator([](const std::exception_ptr& thrown, void*) {
    try {
      std::rethrow_exception(thrown);
    } catch (const Error& error) {
      raise(error);
    }
  });
}

}  // namespace attn::python

NB_MODULE(_attn, module) {
  namespace python = attn::python;
  module.attr("version") = ATTN_VERSION;
  // what a daemon thread still holds at the end is no leak, and standard error is the host's
  nanobind::set_leak_warnings(false);
  python::bind_errors();
  python::bind_plain_data(module);
  python::bind_answer(module);
  python::bind_model(module);
  python::bind_convert(module);
}
