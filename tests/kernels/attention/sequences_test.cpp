// Attention within windows, and over sequences packed one after the other.

#include "kernels/attention/attention.hpp"
#include "support/numbers.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <vector>

using namespace attn::kernels;
using attn::test::random_values;

namespace {

struct Data {
  index_t rows, heads, kv_heads, dim;
  std::vector<float> q, k, v;

  Data(index_t q_rows, index_t kv_rows, index_t h, index_t kv, index_t d)
      : rows(q_rows),
        heads(h),
        kv_heads(kv),
        dim(d),
        q(random_values(static_cast<std::size_t>(q_rows * h * d), 1)),
        k(random_values(static_cast<std::size_t>(kv_rows * kv * d), 2)),
        v(random_values(static_cast<std::size_t>(kv_rows * kv * d), 3)) {}

  [[nodiscard]] AttentionArgs<float> args(std::vector<float>& out, index_t kv_rows) const {
    AttentionArgs<float> a;
    a.heads = heads;
    a.kv_heads = kv_heads;
    a.q_len = rows;
    a.kv_len = kv_rows;
    a.head_dim = a.value_dim = dim;
    a.scale = 0.3F;
    a.q = {q.data(), 0, dim, heads * dim};
    a.k = {k.data(), 0, dim, kv_heads * dim};
    a.v = {v.data(), 0, dim, kv_heads * dim};
    out.assign(q.size(), NAN);
    a.out = {out.data(), 0, dim, heads * dim};
    return a;
  }

  // Query i of head h over the keys [first, end), in float64.
  void check(const std::vector<float>& out, index_t i, index_t h, index_t first,
             index_t end) const {
    const index_t kv = h / (heads / kv_heads);
    std::vector<double> p, sum(static_cast<std::size_t>(dim));
    double total = 0;
    for (index_t j = first; j < end; ++j) {
      double score = 0;
      for (index_t d = 0; d < dim; ++d) {
        score += static_cast<double>(q[static_cast<std::size_t>((i * heads + h) * dim + d)]) *
                 static_cast<double>(k[static_cast<std::size_t>((j * kv_heads + kv) * dim + d)]);
      }
      p.push_back(std::exp(static_cast<double>(0.3F) * score));
      total += p.back();
    }
    for (index_t d = 0; d < dim; ++d) {
      double value = 0;
      for (index_t j = first; j < end; ++j) {
        value += p[static_cast<std::size_t>(j - first)] / total *
                 static_cast<double>(v[static_cast<std::size_t>((j * kv_heads + kv) * dim + d)]);
      }
      const auto got =
          static_cast<double>(out[static_cast<std::size_t>((i * heads + h) * dim + d)]);
      CHECK(std::fabs(got - value) <= 2e-6);
    }
  }
};

std::vector<float> scratch_for(Isa isa, int workers, const AttentionArgs<float>& a) {
  return std::vector<float>(attention_scratch_bytes(isa, workers, 1, a.heads, a.kv_heads, a.q_len,
                                                    a.kv_len, a.head_dim, a.value_dim) /
                                sizeof(float) +
                            16);
}

void* aligned(std::vector<float>& memory) {
  const auto at = reinterpret_cast<std::uintptr_t>(memory.data());
  return reinterpret_cast<void*>((at + 63) / 64 * 64);
}

}  // namespace

TEST_CASE("within a sliding window a query sees the last keys alone", "[attention][isa]") {
  struct Case {
    index_t q_len, kv_len, window;
  };
  for (const Isa isa : supported_isas()) {
    for (const auto& [q_len, kv_len, window] :
         {Case{1, 40, 7}, Case{5, 40, 7}, Case{40, 40, 7}, Case{40, 40, 1}, Case{20, 50, 300},
          Case{12, 30, 30}, Case{12, 30, 29}, Case{5, 900, 600}, Case{1, 900, 257}}) {
      INFO(isa_name(isa) << " " << q_len << " of " << kv_len << " within " << window);
      const Data data(q_len, kv_len, 4, 2, 16);
      std::vector<float> out, weights(static_cast<std::size_t>(4 * q_len * kv_len), NAN);
      AttentionArgs<float> a = data.args(out, kv_len);
      a.causal = true;
      a.window = window;
      a.weights = weights.data();
      std::vector<float> memory = scratch_for(isa, 1, a);
      a.scratch = aligned(memory);
      attention(isa, serial_workers(), a);
      const std::vector<float> with_weights = out;
      a.weights = nullptr;
      attention(isa, serial_workers(), a);
      for (index_t h = 0; h < 4; ++h) {
        for (index_t i = 0; i < q_len; ++i) {
          const index_t end = i + kv_len - q_len + 1, first = std::max<index_t>(0, end - window);
          data.check(out, i, h, first, end);
          data.check(with_weights, i, h, first, end);
          double sum = 0;
          for (index_t j = 0; j < kv_len; ++j) {
            const float weight = weights[static_cast<std::size_t>((h * q_len + i) * kv_len + j)];
            if (j < first || j >= end) CHECK(weight == 0);
            sum += static_cast<double>(weight);
          }
          CHECK(std::fabs(sum - 1) <= 1e-5);
        }
      }
    }
  }
}

TEST_CASE("a query's bits are its own, at the beginning of its window and behind it",
          "[attention][isa]") {
  for (const Isa isa : supported_isas()) {
    INFO(isa_name(isa));
    const Data data(8, 604, 4, 2, 16);
    std::vector<float> together, alone;
    AttentionArgs<float> a = data.args(together, 604);
    a.causal = true;
    a.window = 600;
    std::vector<float> memory = scratch_for(isa, 1, a);
    a.scratch = aligned(memory);
    attention(isa, serial_workers(), a);
    for (index_t i = 0; i < 8; ++i) {  // sees 597 + i keys, if they are no more than 600
      AttentionArgs<float> one = data.args(alone, 597 + i);
      one.causal = true;
      one.window = 600;
      one.scratch = aligned(memory);
      one.q_len = 1;
      one.q.data += i * one.q.row_stride;
      attention(isa, serial_workers(), one);
      CHECK(std::equal(alone.begin(), alone.begin() + 4 * 16,
                       together.begin() + static_cast<std::ptrdiff_t>(i * 4 * 16)));
    }
  }
}

TEST_CASE("packed sequences see themselves alone, on any number of threads", "[attention][isa]") {
  const std::vector<std::int32_t> starts{0, 3, 3, 4, 20, 33, 340, 348};
  for (const Isa isa : supported_isas()) {
    for (const bool causal : {false, true}) {
      INFO(isa_name(isa) << " causal " << causal);
      const Data data(348, 348, 6, 3, 24);
      std::vector<float> out;
      AttentionArgs<float> a = data.args(out, 348);
      a.causal = causal;
      std::vector<float> memory = scratch_for(isa, 3, a);
      a.scratch = aligned(memory);
      const auto count = static_cast<index_t>(starts.size()) - 1;
      attention_sequences(isa, serial_workers(), a, count, starts.data());
      for (index_t s = 0; s < count; ++s) {
        const index_t first = starts[static_cast<std::size_t>(s)];
        const index_t last = starts[static_cast<std::size_t>(s) + 1];
        for (index_t i = first; i < last; i += 1 + (last - first) / 9) {
          for (index_t h = 0; h < 6; ++h) data.check(out, i, h, first, causal ? i + 1 : last);
        }
      }
      const std::vector<float> serial = out;
      for (const int threads : {2, 3}) {
        std::fill(out.begin(), out.end(), NAN);
        attention_sequences(isa, *make_thread_workers(threads), a, count, starts.data());
        CHECK(out == serial);
      }
    }
  }
}
