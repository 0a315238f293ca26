#pragma once

#include "attn/error.hpp"
#include "kernels/isa.hpp"
#include "models/source/source.hpp"
#include "models/training/trainer.hpp"
#include "support/references.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <string>
#include <vector>

namespace attn::test {

/// A small model of tests/data/, as a trainer takes it.
struct TinyModel {
  models::Source source;
  const models::Architecture& kind;
  std::vector<models::WeightSpec> specs;
  models::Weights weights;
  std::vector<std::unique_ptr<kernels::Workers>> workers;  // of every trainer there was

  explicit TinyModel(const std::string& folder)
      : source(models::open_source(data_path(folder), false)),
        kind(models::find_architecture(source.metadata.text("attn.architecture"), true)),
        specs(specs_of()),
        weights(models::Weights::from_source(source, specs)) {}

  models::TrainedModel at(kernels::Isa isa, int threads = 2) {
    workers.push_back(kernels::make_workers(threads));
    runtime::SessionOptions session;
    session.isa = isa;
    session.workers = workers.back().get();
    return {&kind, &source.metadata, specs, &weights, session};
  }

 private:
  [[nodiscard]] std::vector<models::WeightSpec> specs_of() const {
    models::Shapes shapes;
    for (const runtime::TensorEntry& entry : source.tensors) shapes[entry.name] = entry.shape;
    return kind.weights(source.metadata, shapes);
  }
};

/// The body throws an error of that kind, whose message begins so.
template <class Body>
void check_error(Body&& body, ErrorKind kind, const std::string& message) {
  try {
    body();
    FAIL_CHECK("nothing was thrown instead of: " << message);
  } catch (const Error& error) {
    CHECK(error.kind() == kind);
    CHECK(std::string(error.what()).substr(0, message.size()) == message);
  }
}

}  // namespace attn::test
