#include "kernels/attention/problem.hpp"

#include <catch2/catch.hpp>

using namespace attn::kernels;
using namespace attn::test;

namespace {

// The loss whose gradients the backward pass computes: ⟨dout, out⟩ + ⟨dweights, weights⟩.
double loss(const Problem<double>& p, bool use_dout, bool use_dweights) {
  const Problem<double> result = defined(p);
  double sum = 0;
  for (std::size_t i = 1; use_dout && i < p.dout.size(); ++i) sum += p.dout[i] * result.out[i];
  for (std::size_t i = 0; use_dweights && i < p.dweights.size(); ++i) {
    sum += p.dweights[i] * result.weights[i];
  }
  return sum;
}

// NOLINTNEXTLINE(performance-unnecessary-value-param): p changes, through the member pointer
void check_by_differences(Problem<double> p, std::vector<double> Problem<double>::*input,
                          const std::vector<double>& gradient, bool use_dout, bool use_dweights) {
  constexpr double step = 1e-6;
  for (std::size_t i = 1; i < gradient.size(); ++i) {
    const double x = (p.*input)[i];
    (p.*input)[i] = x + step;
    const double above = loss(p, use_dout, use_dweights);
    (p.*input)[i] = x - step;
    const double below = loss(p, use_dout, use_dweights);
    (p.*input)[i] = x;
    INFO(i);
    REQUIRE(gradient[i] == Approx((above - below) / (2 * step)).epsilon(1e-3).margin(1e-5));
  }
}

}  // namespace

TEST_CASE("attention's gradients are the central differences", "[attention][backward]") {
  for (const bool causal : {false, true}) {
    for (const int use : {1, 2, 3}) {
      Problem<double> p{2, 2, 1, 3, 4, 3, 2};
      p.causal = causal;
      p.masked = true;
      p.fill(21);
      p.run(Isa::scalar, serial_workers());
      const bool use_dout = (use & 1) != 0, use_dweights = (use & 2) != 0;
      p.run_backward(Isa::scalar, serial_workers(), use_dout, use_dweights);
      check_by_differences(p, &Problem<double>::q, p.dq, use_dout, use_dweights);
      check_by_differences(p, &Problem<double>::k, p.dk, use_dout, use_dweights);
      check_by_differences(p, &Problem<double>::v, p.dv, use_dout, use_dweights);
    }
  }
}

TEST_CASE("every level's gradients follow float64", "[attention][backward]") {
  const struct {
    index_t batch, heads, kv_heads, q_len, kv_len, head_dim, value_dim;
  } shapes[] = {{1, 1, 1, 1, 1, 1, 1},     {1, 1, 1, 13, 13, 4, 4},    {1, 1, 1, 1, 13, 4, 4},
                {2, 4, 2, 7, 70, 33, 20},  {1, 2, 1, 67, 130, 64, 65}, {1, 1, 1, 150, 129, 16, 200},
                {1, 2, 2, 40, 17, 130, 1}, {1, 3, 1, 128, 192, 64, 64}};
  for (const auto& s : shapes) {
    for (const int options : {0, 1, 2, 3, 4, 5, 8, 15}) {
      Problem<float> problem{s.batch,  s.heads,    s.kv_heads, s.q_len,
                             s.kv_len, s.head_dim, s.value_dim};
      problem.causal = (options & 1) != 0;
      problem.masked = (options & 2) != 0;
      const bool use_dweights = (options & 12) != 0, use_dout = (options & 12) != 8;
      problem.scale = 1 / std::sqrt(static_cast<double>(s.head_dim));
      problem.fill(static_cast<std::uint32_t>(31 + options));
      Problem<double> exact = problem.as<double>();
      exact.run(Isa::scalar, serial_workers());
      exact.run_backward(Isa::scalar, serial_workers(), use_dout, use_dweights);
      for (const Isa isa : supported_isas()) {
        Problem<float> p = problem;
        p.run(isa, serial_workers());
        p.run_backward(isa, serial_workers(), use_dout, use_dweights);
        INFO(isa_name(isa) << " " << s.q_len << "x" << s.kv_len << "x" << s.head_dim << "/"
                           << s.value_dim << " options " << options);
        // dS is a difference of nearly equal numbers where one weight is near 1: absolute, not
        // relative, error is what float arithmetic bounds
        REQUIRE(nmse(p.dq, exact.dq) <= 1e-10);
        REQUIRE(nmse(p.dk, exact.dk) <= 1e-10);
        REQUIRE(nmse(p.dv, exact.dv) <= 1e-10);
      }
    }
  }
}

TEST_CASE("gradients over packed sequences are those of each alone, on any number of threads",
          "[attention][backward][isa]") {
  const std::vector<std::int32_t> starts{0, 3, 3, 4, 24, 37, 204, 212};
  const auto count = static_cast<index_t>(starts.size()) - 1;
  const index_t rows = starts.back();
  for (const bool causal : {false, true}) {
    Problem<float> all{1, 6, 3, rows, rows, 24, 20};
    all.causal = causal;
    all.fill(41);
    // each sequence alone in float64, put where it stands among all
    Problem<double> exact = all.as<double>();
    for (index_t s = 0; s < count; ++s) {
      const index_t first = starts[static_cast<std::size_t>(s)];
      const index_t length = starts[static_cast<std::size_t>(s) + 1] - first;
      if (length == 0) continue;
      AttentionBackwardArgs<double> one = exact.backward_args(true, false);
      one.forward.q_len = one.forward.kv_len = length;
      const auto move = [&](auto& view) { view.data += first * view.row_stride; };
      move(one.forward.q);
      move(one.forward.k);
      move(one.forward.v);
      move(one.forward.out);
      one.forward.log_sum_exp += first * all.heads;
      move(one.dout);
      move(one.dq);
      move(one.dk);
      move(one.dv);
      attention(Isa::scalar, serial_workers(), one.forward);
      attention_backward(Isa::scalar, serial_workers(), one);
    }
    for (const Isa isa : supported_isas()) {
      INFO(isa_name(isa) << " causal " << causal);
      const auto run = [&](Workers& workers) {
        Problem<float> p = all;
        AttentionBackwardArgs<float> a = p.backward_args(true, false);
        const Scratch scratch(
            attention_scratch_bytes(isa, workers.size(), 1, 6, 3, rows, rows, 24, 20));
        a.forward.bf16 = true;  // which what is to be differentiated does not take
        a.forward.scratch = scratch.data();
        attention_sequences(isa, workers, a.forward, count, starts.data());
        const Scratch back(attention_backward_scratch_bytes(isa, workers.size(), 1, 6, 3, 167, 167,
                                                            24, 20));  // of the longest
        a.scratch = back.data();
        attention_backward_sequences(isa, workers, a, count, starts.data());
        return p;
      };
      const Problem<float> serial = run(serial_workers());
      CHECK(nmse(serial.out, exact.out) <= 1e-10);
      CHECK(nmse(serial.lse, exact.lse) <= 1e-10);
      CHECK(nmse(serial.dq, exact.dq) <= 1e-10);
      CHECK(nmse(serial.dk, exact.dk) <= 1e-10);
      CHECK(nmse(serial.dv, exact.dv) <= 1e-10);
      for (const int threads : {2, 3}) {
        const Problem<float> several = run(*make_thread_workers(threads));
        CHECK(same_bits(several.lse, serial.lse));
        CHECK(same_bits(several.dq, serial.dq));
        CHECK(same_bits(several.dk, serial.dk));
        CHECK(same_bits(several.dv, serial.dv));
      }
    }
  }
}
