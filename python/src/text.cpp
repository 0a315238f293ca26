// Texts, tokens, embeddings, attention.

#include "python/src/bindings.hpp"

#include <initializer_list>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>
#include <optional>
#include <variant>
#include <vector>

namespace attn::python {
namespace {

using Tokens = std::vector<std::int32_t>;

std::string field(nb::handle message, const char* name) {
  if (PyMapping_Check(message.ptr()) == 0) {
    throw nb::type_error("a message of a conversation is {\"role\": ..., \"content\": ...}");
  }
  const nb::str key(name);
  const nb::object value =
      python_code([&] { return nb::steal(PyObject_GetItem(message.ptr(), key.ptr())); });
  if (!value.is_valid()) throw nb::python_error();
  return std::string(text_view(value, name));
}

/// An array that takes the numbers over, without a copy.
nb::object array_of(std::vector<float>&& values, std::initializer_list<std::size_t> shape) {
  auto kept = std::make_unique<std::vector<float>>(std::move(values));
  float* const data = kept->data();
  const nb::capsule owner(kept.get(),
                          [](void* all) noexcept { delete static_cast<std::vector<float>*>(all); });
  (void)kept.release();
  return nb::cast(nb::ndarray<nb::numpy, float>(data, shape.size(), shape.begin(), owner));
}

nb::object embed(const PythonModel& self, const nb::object& texts, bool truncate) {
  // copies: a list may change while nobody holds the GIL
  std::vector<std::variant<std::string, Tokens>> given;
  const auto add = [&](nb::handle text) {
    Tokens tokens;
    if (PyUnicode_Check(text.ptr())) {
      given.emplace_back(std::string(text_view(text, "texts")));
    } else if (python_code([&] { return nb::try_cast(text, tokens); })) {
      given.emplace_back(std::move(tokens));
    } else {
      throw nb::type_error("texts: a str, or a sequence of str or of token ids");
    }
  };
  if (PyUnicode_Check(texts.ptr())) {
    add(texts);
  } else {
    for (const nb::handle text : list_of(texts)) add(text);
  }
  Embeddings result = in_turn(self, [&](Model& model) {
    std::vector<Tokens> tokens;
    tokens.reserve(given.size());
    Signals signals;
    for (auto& each : given) {
      signals.check();
      if (const auto* const text = std::get_if<std::string>(&each)) {
        tokens.push_back(model.tokenize(*text, {.truncate = truncate}));
      } else {
        tokens.push_back(std::move(std::get<Tokens>(each)));
      }
    }
    return model.embed(tokens, [&](std::int64_t, std::int64_t) { signals.check(); });
  });
  return array_of(std::move(result.values), {given.size(), static_cast<std::size_t>(result.width)});
}

nb::object attention(const PythonModel& self, const nb::object& text,
                     const std::optional<std::vector<int>>& layers) {
  const std::shared_ptr<Shared> shared = self.shared();
  const Tokens tokens = prompt_tokens(shared->model, text);
  std::vector<std::string> labels;
  AttentionMaps maps = in_turn(self, [&](Model& model) {
    for (const std::int32_t token : tokens) labels.push_back(model.token_text(token));
    Signals signals;
    return model.attention(tokens, layers.value_or(std::vector<int>{}),
                           [&](std::int64_t, std::int64_t) { signals.check(); });
  });
  const std::size_t count = maps.tokens.size();
  const nb::object weights =
      array_of(std::move(maps.weights),
               {maps.layers.size(), static_cast<std::size_t>(maps.heads), count, count});
  return nb::module_::import_("attn.attention")
      .attr("Attention")(weights, labels, nb::arg("tokens") = maps.tokens,
                         nb::arg("layers") = maps.layers);
}

Tokens tokenize(const PythonModel& self, const nb::str& string, bool add_special,
                bool parse_special, bool truncate) {
  const std::shared_ptr<Shared> shared = self.shared();
  const std::string_view text = text_view(string, "text");
  const Released release;
  return shared->model.tokenize(text, {add_special, parse_special, truncate});
}

}  // namespace

std::string_view text_view(nb::handle text, const char* what) {
  if (PyUnicode_Check(text.ptr()) == 0) {
    throw nb::type_error(
        (std::string(what) + ": a str, not " + Py_TYPE(text.ptr())->tp_name).c_str());
  }
  Py_ssize_t length = 0;
  const char* const data = PyUnicode_AsUTF8AndSize(text.ptr(), &length);
  if (data == nullptr) throw nb::python_error();
  return {data, static_cast<std::size_t>(length)};
}

nb::list list_of(nb::handle iterable) {
  const auto all =
      python_code([&] { return nb::steal<nb::list>(PySequence_List(iterable.ptr())); });
  if (!all.is_valid()) throw nb::python_error();
  return all;
}

nb::dict dict_of(nb::handle mapping, const char* what) {
  nb::dict all;
  if (PyDict_Check(mapping.ptr()) == 0 && PyObject_HasAttrString(mapping.ptr(), "keys") == 0) {
    throw nb::type_error(
        (std::string(what) + ": a mapping, not " + Py_TYPE(mapping.ptr())->tp_name).c_str());
  }
  const int failed = python_code([&] { return PyDict_Update(all.ptr(), mapping.ptr()); });
  if (failed != 0) throw nb::python_error();
  return all;
}

std::vector<std::int32_t> prompt_tokens(const Model& model, nb::handle prompt) {
  if (PyUnicode_Check(prompt.ptr())) {
    const std::string_view text = text_view(prompt, "prompt");
    const Released release;
    return model.tokenize(text, {.truncate = true});
  }
  Tokens tokens;
  if (python_code([&] { return nb::try_cast(prompt, tokens); })) return tokens;
  if (PySequence_Check(prompt.ptr()) == 0) {
    throw nb::type_error("a str, a sequence of token ids, or a sequence of messages");
  }
  std::vector<ChatMessage> conversation;
  for (const nb::handle message : list_of(prompt)) {
    conversation.push_back({field(message, "role"), field(message, "content")});
  }
  const Released release;
  return model.tokenize_chat(conversation);
}

void bind_text(nb::class_<PythonModel>& model) {
  model
      .def("tokenize", &tokenize, nb::arg("text"), nb::kw_only(), nb::arg("add_special") = true,
           nb::arg("parse_special") = false, nb::arg("truncate") = false,
           "Token ids of a text. add_special: with what the tokenizer adds itself. parse_special: "
           "special tokens spelled out in the text count as such. truncate: of an encoder, to what "
           "it was made for. Several threads may do this at a time.")
      .def(
          "detokenize",
          [](const PythonModel& self, const Tokens& tokens) {
            return self.model().detokenize(tokens);
          },
          nb::arg("tokens"),
          nb::sig("def detokenize(self, tokens: collections.abc.Sequence[int]) -> str"),
          "The text of the tokens, special ones left out.")
      .def(
          "token_text",
          [](const PythonModel& self, std::int32_t token) {
            return self.model().token_text(token);
          },
          nb::arg("token"), "One token as a label; a special one by its name.")
      .def(
          "embed", &embed, nb::arg("texts"), nb::kw_only(), nb::arg("truncate") = true,
          nb::sig("def embed(self, texts: str | collections.abc.Iterable[str | "
                  "collections.abc.Sequence[int]], *, truncate: bool = True) -> "
                  "numpy.typing.NDArray[numpy.float32]"),
          "Embeddings of texts, or of texts given as token ids, by an encoder: float32 [n, width], "
          "pooled and normalised as the model says. A single str is one row. truncate: cut texts "
          "to "
          "what the model was made for; otherwise a longer one raises InvalidError.")
      .def(
          "attention", &attention, nb::arg("text"), nb::arg("layers") = nb::none(),
          nb::sig("def attention(self, text: str | collections.abc.Sequence[int] | "
                  "collections.abc.Sequence[collections.abc.Mapping[str, str]], layers: "
                  "collections.abc.Sequence[int] | None = None) -> attn.attention.Attention"),
          "Where the tokens of a text (or of ids, or of a conversation) look, in the chosen layers "
          "or in all, of a language model or an encoder. A teaching model gives its attention in "
          "run().");
}

}  // namespace attn::python
