// What a checkpoint stands on, and that none is written which could not be read.

#include "models/training/checkpoint.hpp"

#include "models/training/tiny.hpp"
#include "support/files.hpp"
#include "support/models.hpp"

#include <catch2/catch.hpp>

#include <limits>
#include <string>

using namespace attn;
using namespace attn::models;
using test::TinyModel;

namespace {

TuneOptions options_of(Precision precision = Precision::automatic) {
  TuneOptions options;
  options.context = 16;
  options.precision = precision;
  return options;
}

// One in the folder, and what a trainer of something else says to it.
class Written {
 public:
  explicit Written(const TuneOptions& options) {
    write_checkpoint(folder_ / "one", Trainer(model_.at(kernels::Isa::scalar), options), {});
  }
  void goes_on_with(const TuneOptions& options) {
    Trainer trainer(model_.at(kernels::Isa::scalar), options);
    CHECK_NOTHROW(read_checkpoint(folder_ / "one", trainer));
  }
  void refuses(TrainedModel other, const TuneOptions& options, const std::string& message) {
    Trainer trainer(std::move(other), options);
    test::require_error(ErrorKind::invalid, {message},
                        [&] { (void)read_checkpoint(folder_ / "one", trainer); });
  }
  TinyModel& model() { return model_; }

 private:
  TinyModel model_{"tiny-llama"};
  test::TemporaryFolder folder_;
};

}  // namespace

TEST_CASE("a checkpoint is tied to what the bits of a step depend on", "[training]") {
  Written written(options_of());
  written.goes_on_with(options_of(Precision::f32));  // which is what automatic came to
  TuneOptions recomputing = options_of();
  recomputing.checkpoint_activations = true;
  written.goes_on_with(recomputing);
  TinyModel& model = written.model();
  if (kernels::supported_isas().size() > 1) {
    written.refuses(model.at(kernels::supported_isas().back()), options_of(), "level scalar");
  }
  written.refuses(model.at(kernels::Isa::scalar), options_of(Precision::bf16), "precision f32");
  TinyModel other("tiny-llama");
  other.source.metadata.set("attn.sliding_window", "100");
  written.refuses(other.at(kernels::Isa::scalar), options_of(), "another model");

  Written rounded(options_of(Precision::bf16));
  recomputing.precision = Precision::bf16;
  rounded.refuses(rounded.model().at(kernels::Isa::scalar), recomputing, "another tuning");
}

TEST_CASE("moments that are no numbers are not written", "[training]") {
  const test::TemporaryFolder folder;
  TinyModel model("tiny-llama");
  for (Numbers Parameter::*const moment : {&Parameter::m, &Parameter::v}) {
    Trainer trainer(model.at(kernels::Isa::scalar), options_of());
    Parameter& parameter = trainer.parameters().all()[1];
    reinterpret_cast<float*>((parameter.*moment).data())[2] =
        std::numeric_limits<float>::infinity();
    const std::string name = (moment == &Parameter::m ? "m." : "v.") + parameter.name;
    test::require_error(ErrorKind::numerical, {"not written", name},
                        [&] { write_checkpoint(folder / "one", trainer, {}); });
    CHECK(!std::filesystem::exists(folder / "one"));
  }
}

TEST_CASE("a checkpoint counts steps as far as an update can", "[training]") {
  const test::TemporaryFolder folder;
  TinyModel model("tiny-llama");
  Trainer trainer(model.at(kernels::Isa::scalar), options_of());
  trainer.set_steps(std::numeric_limits<std::int32_t>::max() - 1);
  write_checkpoint(folder / "last", trainer, {});
  (void)read_checkpoint(folder / "last", trainer);
  for (const std::int64_t steps : {std::int64_t{1} << 31, std::int64_t{1} << 40}) {
    trainer.set_steps(steps - 1);
    write_checkpoint(folder / "later", trainer, {});
    test::require_error(ErrorKind::invalid, {"attn.checkpoint.step", std::to_string(steps - 1)},
                        [&] { (void)read_checkpoint(folder / "later", trainer); });
  }
}

TEST_CASE("errors about checkpoints are one line, whatever the file is called", "[training]") {
  const test::TemporaryFolder folder;
  TinyModel model("tiny-llama");
  const std::filesystem::path file = folder / "a\nb";
  Trainer trainer(model.at(kernels::Isa::scalar), options_of());
  write_checkpoint(file, trainer, {});
  TuneOptions others = options_of();
  others.learning_rate = 0.5;
  Trainer other(model.at(kernels::Isa::scalar), others);
  const auto read = [&] { (void)read_checkpoint(file, other); };
  CHECK(test::failure_of(read).kind == ErrorKind::invalid);
  Parameter& parameter = trainer.parameters().all()[0];
  reinterpret_cast<float*>(parameter.m.data())[0] = std::numeric_limits<float>::infinity();
  const auto write = [&] { write_checkpoint(file, trainer, {}); };
  CHECK(test::failure_of(write).kind == ErrorKind::numerical);
  reinterpret_cast<float*>(parameter.value.data())[0] = std::numeric_limits<float>::infinity();
  const auto require = [&] { trainer.parameters().require_finite(file); };
  CHECK(test::failure_of(require).kind == ErrorKind::numerical);
}
