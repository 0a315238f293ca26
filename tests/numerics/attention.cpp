#include "kernels/attention/attention.hpp"

#include "kernels/attention/problem.hpp"
#include "numerics/figures.hpp"

#include <fmt/format.h>

namespace attn::numerics {
namespace {

struct Shape {
  index_t batch, heads, kv_heads, q_len, kv_len, head_dim, value_dim;
};

// NMSE of the output against the definition in float64, worst of the shapes.
void figure(const char* what, double bound, bool bf16, const std::vector<Shape>& shapes,
            const Effort& effort, const Report& report) {
  const auto levels = kernels::supported_isas();
  std::vector<Largest> worst(levels.size());
  for (const Shape& s : shapes) {
    for (int options = 0; options < 4; ++options) {
      for (std::uint32_t turn = 0; turn < effort.turns; ++turn) {
        test::Problem<float> problem{s.batch,  s.heads,    s.kv_heads, s.q_len,
                                     s.kv_len, s.head_dim, s.value_dim};
        problem.causal = (options & 1) != 0;
        problem.masked = (options & 2) != 0;
        problem.scale = 0.125;  // of a float, too
        problem.fill(100 + 20 * turn);
        const test::Problem<double> exact = test::defined(problem.as<double>());
        for (std::size_t i = 0; i < levels.size(); ++i) {
          test::Problem<float> got = problem;
          kernels::AttentionArgs<float> args = got.args();
          args.bf16 = bf16;
          if (bf16) args.log_sum_exp = nullptr;  // only forward passes are rounded
          test::Problem<float>::run(levels[i], kernels::serial_workers(), args);
          worst[i].meet(test::nmse(got.out, exact.out), [&] {
            return fmt::format("{} queries, {} keys, {} dimensions{}{}", s.q_len, s.kv_len,
                               s.head_dim, problem.causal ? ", causal" : "",
                               problem.masked ? ", masked" : "");
          });
        }
      }
    }
  }
  for (std::size_t i = 0; i < levels.size(); ++i) {
    report({what, std::string(isa_name(levels[i])), "NMSE", bound, worst[i].value, worst[i].where});
  }
}

}  // namespace

void attention_figures(const Effort& effort, const Report& report) {
  const std::vector<Shape> few{{1, 1, 1, 1, 1, 1, 1},      {2, 4, 2, 1, 37, 33, 20},
                               {1, 3, 3, 8, 130, 64, 64},  {1, 2, 1, 5, 300, 3, 200},
                               {1, 6, 3, 4, 1000, 64, 64}, {1, 3, 1, 1, 2048, 64, 64}};
  const std::vector<Shape> many{{1, 9, 3, 100, 100, 64, 64}, {2, 6, 2, 70, 300, 32, 33},
                                {1, 2, 1, 67, 200, 128, 65}, {1, 1, 1, 300, 270, 33, 16},
                                {1, 2, 2, 40, 17, 200, 1},   {1, 2, 1, 64, 1024, 64, 64}};
  figure("attention, up to 8 queries", 1e-10, false, few, effort, report);
  figure("attention, more", 1e-10, false, many, effort, report);
  figure("attention, bfloat16", 1e-4, true, many, effort, report);
}

}  // namespace attn::numerics
