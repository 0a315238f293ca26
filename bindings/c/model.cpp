#include "bindings/c/handles.hpp"
#include "bindings/c/host.hpp"
#include "bindings/c/structs.hpp"

#include <map>

using namespace attn::c;

attn_status attn_model_open(const char* path, const attn_model_options* options, attn_model** model,
                            attn_error* error) {
  return call(error, [&] {
    attn_model*& to = required(model, "model");
    to = new attn_model(attn::Model::open(text(path, "path"), model_options(options)));
  });
}

attn_status attn_model_open_memory(const void* bytes, size_t size, const char* name,
                                   const attn_model_options* options, attn_model** model,
                                   attn_error* error) {
  return call(error, [&] {
    attn_model*& to = required(model, "model");
    const auto file = array(static_cast<const std::byte*>(bytes), size, "bytes");
    to = new attn_model(
        attn::Model::from_memory(file, std::string(text(name, "name")), model_options(options)));
  });
}

attn_status attn_model_create(const char* architecture, const attn_parameter* parameters,
                              size_t count, uint64_t seed, const attn_model_options* options,
                              attn_model** model, attn_error* error) {
  return call(error, [&] {
    attn_model*& to = required(model, "model");
    std::map<std::string, std::string> all;
    const auto given = array(parameters, count, "parameters");
    for (const attn_parameter& each : given) {
      const std::string_view key = text(each.key, "parameter: key");
      const std::string_view value = text(each.value, "parameter: value");
      if (all.emplace(key, value).second) continue;
      throw attn::Error(attn::ErrorKind::usage, "parameters[" +
                                                    std::to_string(&each - given.data()) +
                                                    "]: its key is one of those before");
    }
    to = new attn_model(
        attn::Model::create(text(architecture, "architecture"), all, seed, model_options(options)));
  });
}

attn_status attn_model_free(attn_model* model) { return free_handle(model); }

attn_status attn_model_save(const attn_model* model, const char* path, attn_error* error) {
  return call(error, [&] { live(model).model->save(text(path, "path")); });
}

namespace {

const attn_model::Info& info_of(attn_model& handle) {
  if (!handle.info) {
    const attn::Model& model = *handle.model;
    handle.info = std::make_unique<const attn_model::Info>(
        attn_model::Info{model.info(), model.inputs(), model.outputs()});
  }
  return *handle.info;
}

}  // namespace

attn_status attn_model_get_info(attn_model* model, attn_model_info* info, attn_error* error) {
  return call(error, [&] {
    const attn_model::Info& known = info_of(live(model));
    const attn::TextInfo& text = model->model->text();
    attn_model_info all{};
    all.architecture = known.of_run.architecture.c_str();
    all.isa = known.of_run.isa.c_str();
    all.isa_reason = known.of_run.isa_reason.c_str();
    all.threads = known.of_run.threads;
    all.parameters = known.of_run.parameter_count;
    all.weight_bytes = known.of_run.memory.weights;
    all.inputs = known.inputs.size();
    all.outputs = known.outputs.size();
    all.generates = text.generates ? 1 : 0;
    all.embeds = text.embeds ? 1 : 0;
    all.tokenizes = text.tokenizes ? 1 : 0;
    all.chats = text.chats ? 1 : 0;
    all.vocab_size = text.vocab_size;
    all.trained_context = text.trained_context;
    all.layers = text.layers;
    all.heads = text.heads;
    all.embedding_width = text.embeds ? known.outputs.front().shape.back() : 0;
    all.begin_token = text.begin_token.value_or(-1);
    all.end_tokens = text.end_tokens.data();
    all.end_token_count = text.end_tokens.size();
    give(all, info, "attn_model_info");
  });
}

attn_status attn_model_metadata(const attn_model* model, const char* key, const char** value,
                                attn_error* error) {
  return call(error, [&] {
    const char*& to = required(value, "value");
    const std::map<std::string, std::string>& all = live(model).model->metadata();
    const auto found = all.find(std::string(text(key, "key")));
    to = found == all.end() ? nullptr : found->second.c_str();
  });
}

attn_status attn_model_port(attn_model* model, attn_direction direction, size_t index,
                            attn_port* port, attn_error* error) {
  return call(error, [&] {
    const attn_model::Info& known = info_of(live(model));
    enum class Direction { input, output };
    const bool in = one_of(direction, Direction::output, "direction") == Direction::input;
    const std::vector<attn::PortInfo>& ports = in ? known.inputs : known.outputs;
    if (index >= ports.size()) {
      throw attn::Error(
          attn::ErrorKind::usage,
          "port: " + std::to_string(index) + " is not below " + std::to_string(ports.size()));
    }
    const attn::PortInfo& found = ports[index];
    attn_port all{};
    all.name = found.name.c_str();
    all.type = found.token_ids ? ATTN_I32 : ATTN_F32;
    all.rank = static_cast<int>(found.shape.size());
    all.shape = found.shape.data();
    give(all, port, "attn_port");
  });
}

namespace {

// The elements of a shape; 0 for one that Model::run() refuses before it looks at the values.
std::size_t elements_of(std::span<const std::int64_t> shape) {
  std::size_t elements = 1;
  for (const std::int64_t dim : shape) {
    if (dim < 1 || __builtin_mul_overflow(elements, static_cast<std::size_t>(dim), &elements)) {
      return 0;
    }
  }
  return elements;
}

template <class T>
std::span<const T> values_of(const attn_input& given, std::size_t elements) {
  // an address space ends there, and so does a span
  if (elements > std::size_t(PTRDIFF_MAX) / sizeof(T)) return {};
  return array(static_cast<const T*>(given.data), elements, "input: data");
}

void take(const attn_input& given, attn::Input& to) {
  enum class Type { f32, i32 };
  if (given.rank < 0) {
    throw attn::Error(attn::ErrorKind::usage,
                      "input: rank: " + std::to_string(given.rank) + " is below 0");
  }
  const auto shape = array(given.shape, static_cast<std::size_t>(given.rank), "input: shape");
  to.name = text(given.name, "input: name");
  to.shape.assign(shape.begin(), shape.end());
  const std::size_t elements = elements_of(shape);
  if (one_of(given.type, Type::i32, "input: type") == Type::f32) {
    to.values = values_of<float>(given, elements);
  } else {
    to.values = values_of<std::int32_t>(given, elements);
  }
}

}  // namespace

attn_status attn_model_run(attn_model* model, const attn_input* inputs, size_t input_count,
                           const attn_output** outputs, size_t* output_count, attn_error* error) {
  return call(error, [&] {
    attn_model& handle = live(model);
    const std::span<const attn_input> given = array(inputs, input_count, "inputs");
    const attn_output*& to = required(outputs, "outputs");
    std::size_t& count = required(output_count, "output_count");
    handle.inputs.resize(given.size());
    for (std::size_t i = 0; i < given.size(); ++i) take(given[i], handle.inputs[i]);
    const std::span<const attn::Output> results = handle.model->run(handle.inputs);
    handle.outputs.resize(results.size());
    for (std::size_t i = 0; i < results.size(); ++i) {
      const attn::Output& from = results[i];
      handle.outputs[i] = {from.name.c_str(), static_cast<int>(from.shape.size()),
                           from.shape.data(), from.values.data()};
    }
    to = handle.outputs.data();
    count = results.size();
  });
}
