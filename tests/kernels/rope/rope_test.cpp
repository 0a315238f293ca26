#include "kernels/rope/rope.hpp"

#include "support/numbers.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <cstring>
#include <vector>

using namespace attn::kernels;
using attn::test::random_values;

namespace {

struct Case {
  index_t tokens, heads, head_dim, rotary;
  RopeLayout layout;
};

std::vector<double> frequencies_of(index_t rotary) {
  std::vector<double> frequencies;
  for (index_t i = 0; i < rotary; i += 2) {
    frequencies.push_back(std::pow(10000.0, -static_cast<double>(i) / static_cast<double>(rotary)));
  }
  return frequencies;
}

std::vector<float> turned(const Case& c, const std::vector<float>& x, index_t stride,
                          const std::vector<float>& table, bool inverse, Isa isa,
                          Workers& workers) {
  std::vector<float> y(static_cast<std::size_t>(c.tokens * c.heads * c.head_dim), NAN);
  RopeArgs<float> args;
  args.tokens = c.tokens;
  args.heads = c.heads;
  args.head_dim = c.head_dim;
  args.rotary = c.rotary;
  args.layout = c.layout;
  args.inverse = inverse;
  args.x = x.data();
  args.stride = stride;
  args.table = table.data();
  args.y = y.data();
  rope(isa, workers, args);
  return y;
}

}  // namespace

TEST_CASE("rope turns pairs by exact angles, far from the beginning too", "[rope][isa]") {
  const std::vector<std::int32_t> positions{0, 1, 2, 17, 4095, 100000, 3};
  for (const RopeLayout layout : {RopeLayout::half, RopeLayout::interleaved}) {
    for (const Case& c : {Case{7, 3, 64, 64, layout}, Case{7, 2, 20, 12, layout},
                          Case{7, 1, 2, 2, layout}, Case{1, 5, 70, 70, layout}}) {
      const std::vector<double> frequencies = frequencies_of(c.rotary);
      std::vector<float> table(static_cast<std::size_t>(c.tokens * 2 * c.rotary));
      rope_table(c.tokens, positions.data(), frequencies, layout, table.data());
      const index_t width = c.heads * c.head_dim, stride = width + 5;
      const std::vector<float> x = random_values(static_cast<std::size_t>(c.tokens * stride), 3);
      for (const Isa isa : supported_isas()) {
        INFO(isa_name(isa) << " head_dim " << c.head_dim << " rotary " << c.rotary);
        const std::vector<float> y = turned(c, x, stride, table, false, isa, serial_workers());
        for (index_t t = 0; t < c.tokens; ++t) {
          for (index_t h = 0; h < c.heads; ++h) {
            const float* const from = x.data() + t * stride + h * c.head_dim;
            const float* const to = y.data() + t * width + h * c.head_dim;
            for (index_t p = 0; p < c.rotary / 2; ++p) {
              const bool half = layout == RopeLayout::half;
              const index_t i = half ? p : 2 * p, j = half ? p + c.rotary / 2 : 2 * p + 1;
              const double angle =
                  positions[static_cast<std::size_t>(t)] * frequencies[static_cast<std::size_t>(p)];
              const double a = from[i], b = from[j];
              const double size = std::fabs(a) + std::fabs(b);
              // a rounding of the table's cosine and sine, of each product and of the sum
              const double bound = 3 * 0x1p-24 * size;
              CHECK(std::fabs(to[i] - (a * std::cos(angle) - b * std::sin(angle))) <= bound);
              CHECK(std::fabs(to[j] - (b * std::cos(angle) + a * std::sin(angle))) <= bound);
            }
            for (index_t i = c.rotary; i < c.head_dim; ++i) CHECK(to[i] == from[i]);
          }
        }
        const std::vector<float> back = turned(c, y, width, table, true, isa, serial_workers());
        for (index_t t = 0; t < c.tokens; ++t) {
          for (index_t i = 0; i < width; ++i) {
            CHECK(std::fabs(back[static_cast<std::size_t>(t * width + i)] -
                            x[static_cast<std::size_t>(t * stride + i)]) <= 1e-6F);
          }
        }
        std::vector<float> in_place = y;  // contiguous: it may stand in its own memory
        RopeArgs<float> args;
        args.tokens = c.tokens;
        args.heads = c.heads;
        args.head_dim = c.head_dim;
        args.rotary = c.rotary;
        args.layout = layout;
        args.inverse = true;
        args.x = in_place.data();
        args.stride = width;
        args.table = table.data();
        args.y = in_place.data();
        rope(isa, serial_workers(), args);
        CHECK(in_place == back);
        for (const int threads : {2, 3}) {
          CHECK(turned(c, x, stride, table, false, isa, *make_thread_workers(threads)) == y);
        }
      }
    }
  }
}
