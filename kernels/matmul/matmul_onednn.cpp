// The row `onednn`: everything that knows oneDNN (https://uxlfoundation.github.io/oneDNN), whose
// second and third API differ.

#include "kernels/matmul/matmul_levels.hpp"

#include <algorithm>

#ifdef ATTN_ONEDNN

#include <oneapi/dnnl/dnnl.hpp>

#include <atomic>
#include <new>
#if DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_OMP
#include <omp.h>
#endif

namespace attn::kernels {
namespace {

// The tiles of C that are handed to oneDNN one by one: some 2 ms where k is 1024.
constexpr index_t tile_rows = 256, tile_columns = 1024;

// While it lives, oneDNN uses the caller's thread alone: its blocking may follow the thread count.
class OneThread {
 public:
#if DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_OMP
  OneThread() : threads_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(threads_); }

 private:
  const int threads_;

 public:
#else
  OneThread() = default;
  ~OneThread() = default;
#endif
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;
};

const char* declines(const MatmulProblem& p, Isa isa) {
  if (p.stored) return "stored weights";
  if (p.f64) return "float only";
  if (isa == Isa::scalar || isa != supported_isas().back()) return "chooses its level itself";
  if (p.m <= 8) return "a row alone may get other bits than among others";
  if (p.k == 0) return "k is 0";
  return nullptr;
}

std::size_t tile_bytes(const MatmulProblem& p) {
  const index_t elements = std::min(p.m, tile_rows) * std::min(p.n, tile_columns);
  return static_cast<std::size_t>(round_up(elements * static_cast<index_t>(sizeof(float)), 64));
}

std::size_t scratch_bytes(const MatmulProblem& p, Isa, int workers) {
  return tile_bytes(p) * static_cast<std::size_t>(workers);
}

std::size_t packed_bytes(const MatmulProblem&, Isa) { return 0; }
void pack(const MatmulProblem&, Isa, const MatrixView<float>&, void*) {}

// c [m, n] = a · b. oneDNN itself keeps what it has generated, by shape, and shares it safely
// between threads: making the same primitive again takes some microseconds.
void product(index_t m, index_t n, index_t k, const MatrixView<float>& a,
             const MatrixView<float>& b, float* c, index_t c_row) {
  using dnnl::memory;
  const OneThread one;
  const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(cpu);
  const auto f32 = memory::data_type::f32;
  const memory::desc of_a({m, k}, f32, memory::dims{a.row_stride, a.col_stride});
  const memory::desc of_b({k, n}, f32, memory::dims{b.row_stride, b.col_stride});
  const memory::desc of_c({m, n}, f32, memory::dims{c_row, 1});
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::matmul::primitive_desc how(cpu, of_a, of_b, of_c);
#else
  const dnnl::matmul::primitive_desc how(dnnl::matmul::desc(of_a, of_b, of_c), cpu);
#endif
  const auto view = [&](const memory::desc& of, const float* data) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): it has no word for read-only memory
    return memory(of, cpu, const_cast<float*>(data));
  };
  dnnl::matmul(how).execute(stream, {{DNNL_ARG_SRC, view(of_a, a.data)},
                                     {DNNL_ARG_WEIGHTS, view(of_b, b.data)},
                                     {DNNL_ARG_DST, view(of_c, c)}});
  stream.wait();
}

// False for want of memory: the reference, which needs none, would give other bits.
bool tile(Isa isa, const MatmulArgs<float>& p, float* own) noexcept {
  float* const sums = p.accumulate ? own : p.c;
  const index_t sums_row = p.accumulate ? p.n : p.stride_c;
  try {
    product(p.m, p.n, p.k, p.a, p.b, sums, sums_row);
  } catch (const dnnl::error& refusal) {
    if (refusal.status == dnnl_out_of_memory) return false;
    scalar::matmul(serial_workers(), p);
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  } catch (...) {  // nothing may leave a parallel region
    scalar::matmul(serial_workers(), p);
    return true;
  }
  for (index_t i = 0; i < p.m; ++i) {
    float* const row = sums + i * sums_row;
    for (index_t j = 0; j < p.n; ++j) {
      row[j] = row[j] * p.alpha + (p.bias != nullptr ? p.bias[j] : 0.0F);
    }
  }
  if (p.activation) matmul_activate(isa, *p.activation, p.m, p.n, sums, sums_row);
  if (p.accumulate) {
    for (index_t i = 0; i < p.m; ++i) {
      for (index_t j = 0; j < p.n; ++j) p.c[i * p.stride_c + j] += sums[i * sums_row + j];
    }
  }
  return true;
}

void run(Isa isa, Workers& workers, const MatmulArgs<float>& p) {
  if (p.m <= 0 || p.n <= 0 || p.batch <= 0) return;
  const index_t down = ceil_div(p.m, tile_rows), across = ceil_div(p.n, tile_columns);
  const auto own_bytes = tile_bytes({p.m, p.n, p.k});
  std::atomic<bool> had_memory{true};
  parallel_for(workers, p.batch * down * across, [&](index_t chunk, int worker) {
    const index_t i = chunk / across % down * tile_rows, j = chunk % across * tile_columns;
    const index_t entry = chunk / across / down;
    MatmulArgs<float> part = p;
    part.m = std::min(tile_rows, p.m - i);
    part.n = std::min(tile_columns, p.n - j);
    part.batch = 1;
    part.a.data += entry * p.batch_stride_a + i * p.a.row_stride;
    part.b.data += entry * p.batch_stride_b + j * p.b.col_stride;
    part.c += entry * p.batch_stride_c + i * p.stride_c + j;
    if (p.bias != nullptr) part.bias += j;
    auto* const own = static_cast<char*>(p.scratch) + own_bytes * static_cast<std::size_t>(worker);
    if (!tile(isa, part, reinterpret_cast<float*>(own))) had_memory.store(false);
  });
  if (!had_memory) throw std::bad_alloc();
}

}  // namespace

const MatmulImpl matmul_onednn{"onednn", declines, scratch_bytes, packed_bytes, pack, run};

}  // namespace attn::kernels

#else

namespace attn::kernels {

const MatmulImpl matmul_onednn{
    "onednn",
    [](const MatmulProblem&, Isa) -> const char* { return "not in this build"; },
    [](const MatmulProblem&, Isa, int) -> std::size_t { return 0; },
    [](const MatmulProblem&, Isa) -> std::size_t { return 0; },
    [](const MatmulProblem&, Isa, const MatrixView<float>&, void*) {},
    [](Isa, Workers& workers, const MatmulArgs<float>& args) { scalar::matmul(workers, args); }};

}  // namespace attn::kernels

#endif
