// What a host brings of its own into a model.

#include "kernels/workers_host.hpp"
#include "models/model_impl.hpp"

namespace attn {

void Model::Impl::bring(const Options& options) {
  log = options.log;
  const int allowed = kernels::default_threads();
  const int threads = options.threads == 0 ? allowed : options.threads;
  workers = options.parallel_for ? kernels::make_host_workers(threads, options.parallel_for)
                                 : kernels::make_workers(threads);
  session_options.workers = workers.get();
  if (!options.parallel_for && threads > allowed) {
    tell(LogLevel::warning, [&] {
      return std::to_string(threads) + " threads share " + std::to_string(allowed) +
             " processor cores: " + std::to_string(allowed) + " would be faster";
    });
  }
  if (options.allocator.allocate) {
    session_options.allocator = std::make_shared<const runtime::Allocator>(
        runtime::Allocator{options.allocator.allocate, options.allocator.release});
  }
  if (options.cancel) session_options.cancel = options.cancel->flag();
}

}  // namespace attn
