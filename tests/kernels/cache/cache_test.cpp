// What a KV cache keeps of a number.

#include "kernels/cache/cache.hpp"

#include "support/numbers.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

using namespace attn::kernels;
using namespace attn::test;

namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr float inf = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

// Stored one byte into a buffer that ends with them.
Bytes stored(Isa isa, WeightType type, const std::vector<float>& x) {
  const auto n = static_cast<index_t>(x.size());
  Bytes bytes(static_cast<std::size_t>(row_bytes(type, n)) + 1, 0xee);
  store_in_cache(isa, type, n, x.data(), bytes.data() + 1);
  CHECK(bytes[0] == 0xee);
  return {bytes.begin() + 1, bytes.end()};
}

std::vector<float> kept(Isa isa, WeightType type, const std::vector<float>& x) {
  std::vector<float> numbers(x.size());
  dequantize(Isa::scalar, type, std::ssize(x), stored(isa, type, x).data(), numbers.data());
  return numbers;
}

// Numbers of all sizes from 2^-40 to 2^20, a factor of 4 from block to block.
std::vector<float> of_all_sizes() {
  std::vector<float> x = random_values(31 * 32, 5);
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = std::ldexp(x[i], static_cast<int>(i / 32) * 2 - 40);
  }
  return x;
}

}  // namespace

TEST_CASE("a bf16 cache keeps the nearest bfloat16, of ties the even one", "[cache][isa]") {
  for (const Isa isa : supported_isas()) {
    INFO(isa_name(isa));
    const std::vector<float> x = of_all_sizes(), y = kept(isa, WeightType::bf16, x);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double error = std::fabs(static_cast<double>(x[i]) - static_cast<double>(y[i]));
      CHECK(error <= std::ldexp(std::fabs(static_cast<double>(x[i])), -8));  // half of 2^-7
    }
    const float step = 0x1p-7F;  // of numbers from 1 to 2
    CHECK(kept(isa, WeightType::bf16,
               {0, 1 + step / 2, 1 + 3 * step / 2, -1 - step / 2, 0x1.fffp0F, inf, -inf,
                std::numeric_limits<float>::max(), 0x1p-149F}) ==
          std::vector<float>{0, 1, 1 + 2 * step, -1, 2, inf, -inf, inf, 0});
    for (const std::uint32_t bits : {0x7f800001U, 0x7fffffffU, 0xff800001U}) {
      CHECK(std::isnan(kept(isa, WeightType::bf16, {std::bit_cast<float>(bits)})[0]));
    }
  }
}

TEST_CASE("a q8_0 cache keeps the nearest steps of a block's scale", "[cache][isa]") {
  for (const Isa isa : supported_isas()) {
    INFO(isa_name(isa));
    const std::vector<float> x = of_all_sizes(), y = kept(isa, WeightType::q8_0, x);
    const Bytes bytes = stored(isa, WeightType::q8_0, x);
    for (std::size_t block = 0; block < x.size() / 32; ++block) {
      INFO("block " << block);
      const auto first = x.begin() + static_cast<std::ptrdiff_t>(block * 32);
      double largest = 0;
      std::for_each(first, first + 32, [&](float value) {
        largest = std::max(largest, std::fabs(static_cast<double>(value)));
      });
      float scale = 0;
      dequantize(Isa::scalar, WeightType::f16, 1, bytes.data() + block * 34, &scale);
      // a half has 11 bits, or counts in 2^-24
      CHECK(std::fabs(static_cast<double>(scale) - largest / 127) <=
            std::max(largest / 127 * 0x1p-11, 0x1p-25) * (1 + 1e-6));
      // in steps; the product with the inverse rounds twice, by 127 * 2^-23 together
      const double half_step = static_cast<double>(scale) * (0.5 + 1.6e-5);
      const double beyond = scale < 0x1p-14F ? 127 * 0x1p-25 : 0;
      for (std::size_t i = block * 32; i < block * 32 + 32; ++i) {
        CHECK(std::fabs(static_cast<double>(x[i]) - static_cast<double>(y[i])) <=
              half_step + beyond);
      }
    }
  }
}

TEST_CASE("a q8_0 block beyond what a scale can be is NaN, and no other", "[cache][isa]") {
  for (const Isa isa : supported_isas()) {
    INFO(isa_name(isa));
    for (const std::size_t at : {0U, 7U, 31U}) {
      for (const float bad : {not_a_number, inf, -inf, 127 * 65504.5F}) {
        std::vector<float> x = random_values(96, 3);
        x[32 + at] = bad;
        const std::vector<float> y = kept(isa, WeightType::q8_0, x);
        for (std::size_t i = 0; i < 96; ++i) CHECK(std::isnan(y[i]) == (i / 32 == 1));
      }
    }
    std::vector<float> most(32, 127 * 65504.0F);
    CHECK(kept(isa, WeightType::q8_0, most) == most);
    CHECK(kept(isa, WeightType::q8_0, std::vector<float>(32)) == std::vector<float>(32));
  }
}

TEST_CASE("a cache holds the same bits at every level, for any length", "[cache][isa]") {
  for (const WeightType type : {WeightType::f32, WeightType::bf16, WeightType::q8_0}) {
    for (const std::size_t n : {0U, 1U, 7U, 8U, 15U, 17U, 31U, 32U, 992U}) {
      if (n % static_cast<std::size_t>(block_weights(type)) != 0) continue;
      std::vector<float> x = of_all_sizes();
      x.resize(n);
      const Bytes exact = stored(Isa::scalar, type, x);
      for (const Isa isa : supported_isas()) {
        INFO(isa_name(isa) << ", " << n << " numbers");
        CHECK(stored(isa, type, x) == exact);
      }
    }
  }
  CHECK(cache_type(WeightType::q8_0));
  CHECK_FALSE(cache_type(WeightType::q4_0));
}
