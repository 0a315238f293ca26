#pragma once

#include "attn/attn.hpp"
#include "attn/error.hpp"
#include "runtime/formats/json.hpp"

#include <catch2/catch.hpp>

#include <cstddef>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace attn::test {

using Json = runtime::Json;

/// PyTorch's values for the teaching architectures.
const Json& seeds();

/// The shape of a nested list.
inline Dims shape_of(const Json& list) {
  Dims shape;
  for (const Json* at = &list; at->is_array(); at = &at->front()) {
    shape.push_back(static_cast<std::int64_t>(at->size()));
  }
  return shape;
}

/// The numbers of a nested list, row-major.
inline std::vector<double> numbers(const Json& list) {
  if (!list.is_array()) return {list.get<double>()};
  std::vector<double> all;
  for (const Json& each : list) {
    const std::vector<double> some = numbers(each);
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

inline std::vector<float> floats(const Json& list) {
  const std::vector<double> all = numbers(list);
  return {all.begin(), all.end()};
}

/// A model.bin in memory, written here from the format's description and not by our writer.
inline std::vector<std::byte> model_file(const std::map<std::string, std::string>& metadata,
                                         const std::map<std::string, Json>& tensors) {
  Json header;
  header["__metadata__"] = metadata;
  std::vector<float> data;
  for (const auto& [name, values] : tensors) {
    const std::vector<float> some = floats(values);
    const std::size_t begin = data.size() * sizeof(float);
    data.insert(data.end(), some.begin(), some.end());
    header[name] = {{"dtype", "F32"},
                    {"shape", shape_of(values)},
                    {"data_offsets", {begin, data.size() * sizeof(float)}}};
  }
  std::string text = header.dump();
  text.resize((text.size() + 8 + 63) / 64 * 64 - 8, ' ');
  const std::uint64_t length = text.size();
  std::vector<std::byte> file(8 + text.size() + data.size() * sizeof(float));
  std::memcpy(file.data(), &length, 8);
  std::memcpy(file.data() + 8, text.data(), text.size());
  if (!data.empty()) {
    std::memcpy(file.data() + 8 + text.size(), data.data(), data.size() * sizeof(float));
  }
  return file;
}

/// The size-loss model of seeds.json with these weights ("initial" or "final").
inline std::vector<std::byte> size_loss_file(const Json& weights) {
  const Json& seed = seeds()["size_loss_attention"];
  std::map<std::string, Json> tensors;
  for (const char* name : {"embedding.weight", "W_q.weight", "W_k.weight", "W_v.weight"}) {
    tensors[name] = weights[name];
  }
  return model_file({{"attn.architecture", "size_loss_attention"},
                     {"attn.vocab", seed["vocab"].dump()},
                     {"attn.size_words", seed["size_words"].dump()},
                     {"attn.sentence", seed["sentence"].dump()}},
                    tensors);
}

/// What a call throws.
struct Failure {
  ErrorKind kind;
  std::string message;
};

/// Of a call that throws an error of ours, whose message is one line.
template <class Body>
Failure failure_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    const std::string message = error.what();
    CHECK(message.find('\n') == std::string::npos);
    return {error.kind(), message};
  }
  FAIL("nothing was thrown");
  return {};
}

}  // namespace attn::test
