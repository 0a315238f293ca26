// The only file that mentions OpenMP.

#include "attn/error.hpp"
#include "kernels/workers.hpp"

#include <string>

#ifdef ATTN_OPENMP
#include <omp.h>

namespace attn::kernels {
namespace {

class OpenMpWorkers final : public Workers {
 public:
  explicit OpenMpWorkers(int threads) : size_(threads) {}

  [[nodiscard]] int size() const noexcept override { return size_; }

  void run(index_t chunks, Body body, void* context) noexcept override {
    // chunks are fixed by shape, so who takes which changes no bit
#pragma omp parallel for num_threads(size_) schedule(dynamic, 1)
    for (index_t chunk = 0; chunk < chunks; ++chunk) body(context, chunk, omp_get_thread_num());
  }

 private:
  const int size_;
};

}  // namespace

std::unique_ptr<Workers> make_workers(int threads) {
  if (threads < 1 || threads > 1024) {
    throw Error(ErrorKind::usage, "threads: " + std::to_string(threads) + " is not in 1..1024");
  }
  return std::make_unique<OpenMpWorkers>(threads);
}

}  // namespace attn::kernels

#else

namespace attn::kernels {

std::unique_ptr<Workers> make_workers(int threads) { return make_thread_workers(threads); }

}  // namespace attn::kernels

#endif
