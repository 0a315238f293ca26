// Products of floats, and of floats with stored weights, as shares of their derived bounds.

#include "kernels/matmul/matmul.hpp"

#include "numerics/figures.hpp"
#include "numerics/products.hpp"
#include "support/numbers.hpp"
#include "support/stored_weights.hpp"

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <string>

namespace attn::numerics {
namespace {

struct Shape {
  index_t m, n, k;
};

std::string described(const Shape& s) { return fmt::format("{}×{}×{}", s.m, s.k, s.n); }

// Signs at random, where errors cancel; none, where magnitudes are sums; and terms that are all the
// same, so that within a binade of the sum every addition rounds the same way.
enum class Terms { random, positive, equal };
constexpr Terms all_terms[] = {Terms::random, Terms::positive, Terms::equal};

std::vector<float> terms(Terms kind, index_t count, std::uint32_t seed) {
  const auto n = static_cast<std::size_t>(count);
  switch (kind) {
    case Terms::random: return test::random_values(n, seed);
    case Terms::positive: return test::random_values(n, seed, 0, 1);
    case Terms::equal: return std::vector<float>(n, test::random_values(1, seed, 0.5, 1)[0]);
  }
  return {};
}

// alpha · A B + bias + C: three roundings more than the bare product has.
struct Epilogue {
  float alpha = 1;
  bool rest = false;  ///< bias, and what C holds
};

struct Operands {
  Shape s;
  std::vector<float> a, b, bias, c;  // a [m, k], b [n, k], c [m, n]
};

Operands operands(const Shape& s, Terms kind, std::uint32_t seed) {
  return {s, terms(kind, s.m * s.k, seed), terms(kind, s.n * s.k, seed + 1),
          terms(kind, s.n, seed + 2), terms(kind, s.m * s.n, seed + 3)};
}

kernels::MatmulProblem problem_of(const Shape& s) {
  kernels::MatmulProblem problem{s.m, s.n, s.k};
  problem.b_transposed = true;
  return problem;
}

std::vector<float> product(const kernels::MatmulImpl& row, Isa isa, const Operands& o,
                           const Epilogue& epilogue) {
  kernels::MatmulArgs<float> p;
  std::vector<float> c = o.c;
  p.m = o.s.m;
  p.n = p.stride_c = o.s.n;
  p.k = o.s.k;
  p.a = {o.a.data(), o.s.k, 1};
  p.b = {o.b.data(), 1, o.s.k};
  p.c = c.data();
  p.alpha = epilogue.alpha;
  p.accumulate = epilogue.rest;
  p.bias = epilogue.rest ? o.bias.data() : nullptr;
  const Bytes scratch(row.scratch_bytes(problem_of(o.s), isa, 1));
  p.scratch = scratch.data();
  row.run(isa, kernels::serial_workers(), p);
  return c;
}

std::vector<Exact> with_epilogue(std::vector<Exact> exact, const Operands& o,
                                 const Epilogue& epilogue) {
  for (std::size_t i = 0; i < exact.size(); ++i) {
    exact[i].sum *= static_cast<double>(epilogue.alpha);
    exact[i].magnitude *= std::fabs(static_cast<double>(epilogue.alpha));
    if (!epilogue.rest) continue;
    for (const float more : {o.bias[i % o.bias.size()], o.c[i]}) {
      exact[i].sum += static_cast<double>(more);
      exact[i].magnitude += std::fabs(static_cast<double>(more));
    }
  }
  return exact;
}

// Of every row of the table and level.
using Shares = std::map<std::pair<std::string, Isa>, Largest>;

template <class Met>
void for_rows(const Shape& s, Met met) {
  for (const Isa isa : kernels::supported_isas()) {
    for (const kernels::MatmulImpl& row : kernels::matmul_table()) {
      if (row.declines(problem_of(s), isa) == nullptr) met(row, isa);
    }
  }
}

void report_shares(const std::string& what, const char* unit, double bound, const Shares& shares,
                   const Report& report) {
  for (const auto& [of, share] : shares) {
    const auto& [name, isa] = of;
    report({what + name, std::string(isa_name(isa)), unit, bound, share.value, share.where});
  }
}

// Whole numbers whose products and sums all are floats.
Operands whole(const Shape& s) {
  Operands o = operands(s, Terms::random, 5);
  for (auto* numbers : {&o.a, &o.b, &o.bias, &o.c}) {
    for (float& x : *numbers) x = std::round(8 * x);
  }
  return o;
}

}  // namespace

void matmul_figures(const Effort& effort, const Report& report) {
  std::vector<Shape> shapes{{1, 150, 300}, {8, 16, 64},   {13, 65, 40},
                            {64, 64, 64},  {130, 40, 70}, {8, 40, 2100}};
  if (effort.turns > 1) shapes.insert(shapes.end(), {{64, 100, 4200}, {20, 40, 16384}});
  Shares bare, dressed, exact_whole;
  for (const Shape& s : shapes) {
    for (const Terms kind : all_terms) {
      for (std::uint32_t turn = 0; turn < effort.turns; ++turn) {
        const Operands o = operands(s, kind, 10 * (turn + 1));
        const std::vector<Exact> exact = exact_products(s.m, s.n, s.k, o.a, o.b);
        for (const Epilogue& epilogue : {Epilogue{}, Epilogue{-0.3F, true}}) {
          const std::vector<Exact> expected = with_epilogue(exact, o, epilogue);
          for_rows(s, [&](const kernels::MatmulImpl& row, Isa isa) {
            const index_t roundings = depth(row.name, isa, s.k) + (epilogue.rest ? 3 : 0);
            const double share =
                share_of_bound(product(row, isa, o, epilogue), expected, roundings);
            (epilogue.rest ? dressed : bare)[{row.name, isa}].meet(share,
                                                                   [&] { return described(s); });
          });
        }
      }
    }
    const Operands o = whole(s);
    const std::vector<Exact> exact = exact_products(s.m, s.n, s.k, o.a, o.b);
    for_rows(s, [&](const kernels::MatmulImpl& row, Isa isa) {
      const std::vector<float> got = product(row, isa, o, {});
      double off = 0;
      for (std::size_t i = 0; i < got.size(); ++i) {
        off = std::max(off, std::fabs(static_cast<double>(got[i]) - exact[i].sum));
      }
      exact_whole[{row.name, isa}].meet(off, [&] { return described(s); });
    });
  }
  report_shares("product, ", "of its bound", 1, bare, report);
  report_shares("product with alpha, bias and sum, ", "of its bound", 1, dressed, report);
  report_shares("product of small whole numbers, ", "absolute", 0, exact_whole, report);
}

void stored_figures(const Effort& effort, const Report& report) {
  Shares shares;
  for (const kernels::WeightType type : kernels::all_weight_types) {
    std::vector<index_t> depths{256, 512, 2560};
    if (kernels::block_weights(type) == 1) depths.insert(depths.end(), {31, 33, 100});
    for (const index_t k : depths) {
      for (std::uint32_t turn = 0; turn < effort.turns; ++turn) {
        constexpr index_t n = 37, most = 50;
        const test::StoredMatrix w = test::random_stored(type, n, k, 3 + turn);
        const auto a = terms(turn % 2 == 0 ? Terms::random : Terms::positive, most * k, 1 + turn);
        const std::vector<Exact> exact = exact_products(most, n, k, a, w.values);
        for (const Isa isa : kernels::supported_isas()) {
          for (const index_t m : {index_t{1}, index_t{3}, index_t{8}, index_t{9}, most}) {
            kernels::MatmulProblem problem{m, n, k};
            problem.stored = true;
            const kernels::MatmulImpl& row = kernels::choose_matmul(problem, isa);
            std::vector<float> c(static_cast<std::size_t>(m * n));
            kernels::MatmulArgs<float> p;
            p.m = m;
            p.n = p.stride_c = n;
            p.k = k;
            p.a = {a.data(), k, 1};
            p.stored = {w.data(), type};
            p.c = c.data();
            const Bytes scratch(row.scratch_bytes(problem, isa, 1));
            p.scratch = scratch.data();
            row.run(isa, kernels::serial_workers(), p);
            const std::vector<Exact> of_rows(exact.begin(), exact.begin() + m * n);
            const double share = share_of_bound(c, of_rows, depth(row.name, isa, k));
            shares[{row.name, isa}].meet(share, [&] {
              return fmt::format("{}, {}", type_name(type), described({m, n, k}));
            });
          }
        }
      }
    }
  }
  report_shares("product with stored weights, ", "of its bound", 1, shares, report);
}

}  // namespace attn::numerics
