#include "models/model_impl.hpp"
#include "models/training/run_loop.hpp"

namespace attn {

TuneResult tune(Tuner& tuner, std::span<const TuneExample> train,
                std::span<const TuneExample> held_out, const TuneRunOptions& options) {
  return models::errors_of_ours(
      [&] { return models::RunLoop<Tuner>(tuner, train, held_out, options).run(); });
}

}  // namespace attn
