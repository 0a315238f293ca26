// test_numerics: how far the kernels are from float64, beside the bounds that their headers
// promise. By default a sample that takes seconds; --all takes every float there is.

#include "attn/error.hpp"
#include "kernels/elementwise/every_float.hpp"
#include "numerics/figures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <set>
#include <string>
#include <vector>

namespace attn::numerics {
namespace {

struct Part {
  std::string name;
  std::function<void(const Effort&, const Report&)> run;
};

std::vector<Part> parts() {
  std::vector<Part> all;
  std::set<std::string> seen;
  for (const test::UnaryBound& bound : test::unary_bounds) {
    const std::string of_bound = bound.name, name = of_bound.substr(0, of_bound.find(','));
    if (!seen.insert(name).second) continue;
    all.push_back({name, [name](const Effort& e, const Report& r) { unary_figures(name, e, r); }});
  }
  all.push_back({"slopes", slope_figures});
  all.push_back({"softmax", softmax_figures});
  all.push_back({"norms", norm_figures});
  all.push_back({"matmul", matmul_figures});
  all.push_back({"stored", stored_figures});
  all.push_back({"tiles", tile_figures});
  all.push_back({"attention", attention_figures});
  return all;
}

int wrong_use(const std::string& what) {
  std::string names;
  for (const Part& part : parts()) names += " " + part.name;
  fmt::print(stderr,
             "test_numerics: {}\n"
             "usage: test_numerics [--all] [--threads N] [PART...]\n"
             "parts:{}\n",
             what, names);
  return 2;
}

// Rounded up in the last digit that is printed: a figure is never better than it was.
std::string shown(double x) {
  if (x == 0) return "0";
  std::string text = fmt::format("{:.3g}", x);
  if (std::stod(text) < x) text = fmt::format("{:.3g}", x * 1.005);
  return text;
}

// A bar would end the cell.
std::string cell(const std::string& text) {
  std::string escaped;
  for (const char c : text) escaped += c == '|' ? "\\|" : std::string(1, c);
  return escaped;
}

int run(const std::vector<Part>& chosen, bool all, int threads) {
  const auto workers = kernels::make_workers(threads);
  // a prime, so that the sample's mantissas differ from one binade to the next
  const Effort effort{*workers, all ? 1U : 9973U, all ? 20U : 1U};
  int broken = 0, figures = 0;
  fmt::print(
      "| what | level | reached | bound | unit | where |\n"
      "| --- | --- | ---: | ---: | --- | --- |\n");
  for (const Part& part : chosen) {
    const auto begin = std::chrono::steady_clock::now();
    part.run(effort, [&](const Figure& f) {
      ++figures;
      const bool kept = f.reached <= f.bound;  // not of a NaN
      if (!kept) ++broken;
      fmt::print("| {} | {} | {}{} | {:g} | {} | {} |\n", cell(f.what), f.level, shown(f.reached),
                 kept ? "" : " **broken**", f.bound, cell(f.unit), f.where);
      std::fflush(stdout);
    });
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    fmt::print(stderr, "{}: {:.1f} s\n", part.name, took.count());
  }
  fmt::print(stderr, "{} figures of {}, {} beyond their bounds\n", figures,
             all ? "all floats" : "a sample", broken);
  return broken == 0 ? 0 : 1;
}

int main(const std::vector<std::string>& arguments) {
  bool all = false;
  int threads = kernels::default_threads();
  std::vector<Part> chosen;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "--all") {
      all = true;
    } else if (argument == "--threads") {
      if (++i == arguments.size()) return wrong_use("--threads lacks a number");
      const std::string& number = arguments[i];
      if (number.empty() || number.size() > 4 ||
          number.find_first_not_of("0123456789") != std::string::npos) {
        return wrong_use("--threads " + number + ": not a number of threads");
      }
      threads = std::stoi(number);
    } else {
      const std::vector<Part> known = parts();
      const auto part = std::find_if(known.begin(), known.end(),
                                     [&](const Part& p) { return p.name == argument; });
      if (part == known.end()) return wrong_use(argument + ": unknown");
      chosen.push_back(*part);
    }
  }
  try {
    return run(chosen.empty() ? parts() : chosen, all, threads);
  } catch (const Error& error) {  // a number of threads that there cannot be
    return wrong_use(error.what());
  }
}

}  // namespace
}  // namespace attn::numerics

int main(int argc, char** argv) { return attn::numerics::main({argv + 1, argv + argc}); }
