#include "runtime/ops/projections.hpp"

#include "kernels/matmul/projections.hpp"
#include "runtime/op.hpp"
#include "runtime/ops/defs.hpp"
#include "runtime/ops/tiled_weight.hpp"

namespace attn::runtime {
namespace {

constexpr std::size_t first_weight = 2, inputs_each = 3;

class ProjectionsKernel final : public Kernel {
 public:
  explicit ProjectionsKernel(const BindContext& c)
      : isa_(c.isa),
        attributes_(c.attributes<ProjectionsAttributes>()),
        packs_(c.packs),
        weights_(attributes_.each.size()),
        each_(attributes_.each.size()) {
    for (std::size_t i = 0; i < weights_.size(); ++i) {
      layouts_.push_back(c.layout(first_weight + i * inputs_each));
    }
  }

  [[nodiscard]] std::size_t scratch_bytes(const Operands& largest, int workers) const override {
    const TensorView& x = largest.inputs[0];
    return kernels::projections_scratch_bytes(isa_, workers, x.rows(), x.cols(), attributes_.gated);
  }

  void prepare(const Operands& o) override {
    const TensorView& x = o.inputs[0];
    for (std::size_t i = 0; i < each_.size(); ++i) {
      const std::size_t at = first_weight + i * inputs_each;
      const TensorView &w = o.inputs[at], &bias = o.inputs[at + 1], &add = o.inputs[at + 2];
      weights_[i].prepare(*packs_, w, layouts_[i]);
      kernels::Projection& one = each_[i];
      one.weights = weights_[i].stored();
      one.n = weights_[i].rows();
      one.alpha = static_cast<float>(attributes_.each[i].alpha);
      one.activation = attributes_.each[i].activation;
      one.bias = bias.as<const float>();
      one.add = add.as<const float>();
      one.stride_add = one.stride_c = one.n;
      one.c = i < o.outputs.size() ? o.outputs[i].as<float>() : nullptr;
    }
    all_.m = x.rows();
    all_.k = x.cols();
    all_.a = {x.as<const float>(), x.stride(-2), x.stride(-1)};
    if (attributes_.norm_eps) all_.norm_eps = static_cast<float>(*attributes_.norm_eps);
    all_.gamma = o.inputs[1].as<const float>();
    all_.each = each_;
    all_.gated = attributes_.gated;
    all_.scratch = o.scratch;
  }

  void run(kernels::Workers& workers) override {
    for (const TiledWeight& weight : weights_) weight.ensure(workers);
    kernels::project(isa_, workers, all_);
  }

  [[nodiscard]] std::string note() const override {
    std::string text = attributes_.norm_eps ? "rms_norm, " : "";
    text += attributes_.gated ? "gate and up" : std::to_string(each_.size()) + " tiled";
    if (each_.front().add != nullptr) text += ", add";
    return text;
  }

 private:
  kernels::Isa isa_;
  ProjectionsAttributes attributes_;
  std::shared_ptr<Packs> packs_;
  std::vector<WeightLayout> layouts_;
  std::vector<TiledWeight> weights_;
  std::vector<kernels::Projection> each_;
  kernels::Projections all_;
};

std::unique_ptr<Kernel> bind(const BindContext& context) {
  return std::make_unique<ProjectionsKernel>(context);
}

}  // namespace

const OpDef projections_op{.name = "projections", .bind = bind};

}  // namespace attn::runtime
