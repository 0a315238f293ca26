// Stored weights against decoders written a second time, in double and one weight at a time.

#include "kernels/quant/quant.hpp"

#include "support/numbers.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

using namespace attn::kernels;

namespace {

using Bytes = std::vector<std::uint8_t>;

double half(const std::uint8_t* p) {
  const int bits = p[0] | p[1] << 8, exponent = bits >> 10 & 31, fraction = bits & 1023;
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (exponent == 31) return fraction != 0 ? NAN : sign * INFINITY;
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(1024 + fraction, exponent - 25);
}

// Sub-block j's scale and minimum: the first four in the low six bits of bytes 0–3 and 4–7; of the
// others the low four bits in the halves of bytes 8–11, the high two atop the first ones.
int packed_scale(const std::uint8_t* s, int j) {
  return j < 4 ? s[j] % 64 : s[j + 4] % 16 + s[j - 4] / 64 * 16;
}
int packed_min(const std::uint8_t* s, int j) {
  return j < 4 ? s[j + 4] % 64 : s[j + 4] / 16 + s[j] / 64 * 16;
}

// Weight i of a block.
double weight(WeightType type, const std::uint8_t* b, int i) {
  const auto nibble = [&](const std::uint8_t* q) { return i < 16 ? q[i] % 16 : q[i - 16] / 16; };
  const auto fifth = [&](const std::uint8_t* h) { return (h[i / 8] >> i % 8 & 1) * 16; };
  switch (type) {
    case WeightType::f32: {
      float value = 0;
      std::memcpy(&value, b, sizeof value);
      return value;
    }
    case WeightType::f16: return half(b);
    case WeightType::bf16: {
      const std::uint32_t bits = static_cast<std::uint32_t>(b[0] | b[1] << 8) << 16;
      return std::bit_cast<float>(bits);
    }
    case WeightType::q8_0: return half(b) * static_cast<std::int8_t>(b[2 + i]);
    case WeightType::q4_0: return half(b) * (nibble(b + 2) - 8);
    case WeightType::q4_1: return half(b) * nibble(b + 4) + half(b + 2);
    case WeightType::q5_0: return half(b) * (nibble(b + 6) + fifth(b + 2) - 16);
    case WeightType::q5_1: return half(b) * (nibble(b + 8) + fifth(b + 4)) + half(b + 2);
    case WeightType::q4_k:
    case WeightType::q5_k: {
      const bool five = type == WeightType::q5_k;
      const int sub = i / 32, at = i % 32;
      const std::uint8_t* const q = b + (five ? 48 : 16) + sub / 2 * 32;
      int step = sub % 2 == 0 ? q[at] % 16 : q[at] / 16;
      if (five) step += (b[16 + at] >> sub & 1) * 16;
      return half(b) * packed_scale(b + 4, sub) * step - half(b + 2) * packed_min(b + 4, sub);
    }
    case WeightType::q6_k: {
      const int part = i / 128, at = i % 128, quarter = at / 32, place = at % 32;
      const std::uint8_t low = b[part * 64 + quarter % 2 * 32 + place];
      const int high = b[128 + part * 32 + place] >> 2 * quarter & 3;
      const int step = (quarter < 2 ? low % 16 : low / 16) + high * 16;
      return half(b + 208) * static_cast<std::int8_t>(b[192 + i / 16]) * (step - 32);
    }
  }
  return 0;
}

// Random blocks whose scales are finite.
Bytes random_blocks(WeightType type, int count, std::uint32_t seed) {
  std::mt19937 bits(seed);
  Bytes bytes(static_cast<std::size_t>(count * block_bytes(type)));
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(bits());
  for (int i = 0; i < count; ++i) {
    std::uint8_t* const b = bytes.data() + i * block_bytes(type);
    std::vector<int> halves;  // the high bytes of scales
    if (type == WeightType::q6_k) halves = {209};
    if (type >= WeightType::q8_0 && type != WeightType::q6_k) halves = {1};
    if (type == WeightType::q4_1 || type == WeightType::q5_1 || type == WeightType::q4_k ||
        type == WeightType::q5_k) {
      halves = {1, 3};
    }
    if (type == WeightType::f32) halves = {3};
    if (type == WeightType::f16 || type == WeightType::bf16) halves = {1};
    for (const int at : halves) b[at] &= 0xBF;  // an exponent below the largest
  }
  return bytes;
}

}  // namespace

TEST_CASE("every block format is decoded as it is written, at every level with the same bits",
          "[quant][isa]") {
  for (const WeightType type : all_weight_types) {
    const int blocks = block_weights(type) == 1 ? 1003 : 41;
    const Bytes bytes = random_blocks(type, blocks, 7);
    const auto n = static_cast<std::size_t>(blocks * block_weights(type));
    std::vector<float> scalar(n);
    dequantize(Isa::scalar, type, static_cast<index_t>(n), bytes.data(), scalar.data());
    for (std::size_t i = 0; i < n; ++i) {
      const auto block = static_cast<index_t>(i) / block_weights(type);
      const double exact = weight(type, bytes.data() + block * block_bytes(type),
                                  static_cast<int>(static_cast<index_t>(i) % block_weights(type)));
      INFO("type " << static_cast<int>(type) << " weight " << i);
      // the product is exact but for q6_k's, and then one rounding
      CHECK(std::fabs(static_cast<double>(scalar[i]) - exact) <=
            std::ldexp(std::fabs(exact), -24) + 1e-45);
    }
    for (const Isa isa : supported_isas()) {
      Bytes shifted(bytes.size() + 1);  // no alignment is needed
      std::copy(bytes.begin(), bytes.end(), shifted.begin() + 1);
      std::vector<float> vector(n);
      dequantize(isa, type, static_cast<index_t>(n), shifted.data() + 1, vector.data());
      CHECK(std::memcmp(vector.data(), scalar.data(), n * sizeof(float)) == 0);
      dequantize(isa, type, 0, nullptr, nullptr);
    }
  }
}

TEST_CASE("all halves become the floats that they are", "[quant][isa]") {
  Bytes bytes;
  for (int i = 0; i < 65536; ++i) {
    bytes.push_back(static_cast<std::uint8_t>(i % 256));
    bytes.push_back(static_cast<std::uint8_t>(i / 256));
  }
  for (const Isa isa : supported_isas()) {
    std::vector<float> values(65536);
    dequantize(isa, WeightType::f16, 65536, bytes.data(), values.data());
    bool same = true;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double exact = half(bytes.data() + 2 * i);
      same = same && (std::isnan(exact) ? std::isnan(values[i])
                                        : static_cast<double>(values[i]) == exact &&
                                              std::signbit(values[i]) == std::signbit(exact));
    }
    CHECK(same);
  }
}

TEST_CASE("a half or bfloat16 is the nearest one, ties to even", "[quant]") {
  std::mt19937 bits(3);
  for (const WeightType type : {WeightType::f16, WeightType::bf16}) {
    Bytes stored(2), other(2);
    for (int i = 0; i < 200000; ++i) {
      const auto x = std::bit_cast<float>(static_cast<std::uint32_t>(bits()));
      quantize(type, 1, &x, stored.data());
      const double got = weight(type, stored.data(), 0);
      if (std::isnan(x)) {
        CHECK(std::isnan(got));
        continue;
      }
      // no neighbour is nearer
      for (const int step : {-1, 1}) {
        const int code = (stored[0] | stored[1] << 8) + step;
        other = {static_cast<std::uint8_t>(code), static_cast<std::uint8_t>(code >> 8)};
        const double neighbour = weight(type, other.data(), 0);
        if (std::isnan(neighbour) || std::isinf(neighbour) || std::isinf(got)) continue;
        const double here = std::fabs(got - static_cast<double>(x));
        const double there = std::fabs(neighbour - static_cast<double>(x));
        REQUIRE((here < there || (here == there && stored[0] % 2 == 0)));
      }
    }
    const float largest = 3e38F;
    quantize(type, 1, &largest, stored.data());
    CHECK(std::isinf(weight(type, stored.data(), 0)) == (type == WeightType::f16));
  }
}

TEST_CASE("quantized weights are within half a step, and again the same", "[quant]") {
  constexpr index_t n = 32 * 200;
  const std::vector<float> x = attn::test::random_values<float>(n, 5);
  for (const WeightType type : {WeightType::q8_0, WeightType::q4_0, WeightType::q4_1}) {
    REQUIRE(can_quantize(type));
    Bytes bytes(static_cast<std::size_t>(row_bytes(type, n))), again(bytes.size());
    quantize(type, n, x.data(), bytes.data());
    std::vector<float> y(n);
    dequantize(Isa::scalar, type, n, bytes.data(), y.data());
    for (std::size_t block = 0; block < n / 32; ++block) {
      const auto begin = x.begin() + static_cast<std::ptrdiff_t>(block * 32);
      const auto [low, high] = std::minmax_element(begin, begin + 32);
      const float extreme = std::max(std::fabs(*low), std::fabs(*high));
      float step = extreme / 127;
      if (type == WeightType::q4_0) step = extreme / 8;
      if (type == WeightType::q4_1) step = (*high - *low) / 15;
      for (std::size_t i = block * 32; i < block * 32 + 32; ++i) {
        // the scale is rounded to a half; q4_0 has one step less on the one side
        const float bound =
            type == WeightType::q4_0 ? step * 1.01F : step * 0.51F + extreme * 1e-3F;
        CHECK(std::fabs(x[i] - y[i]) <= bound);
      }
    }
    quantize(type, n, y.data(), again.data());
    std::vector<float> z(n);
    dequantize(Isa::scalar, type, n, again.data(), z.data());
    for (std::size_t i = 0; i < z.size(); ++i) CHECK(std::fabs(z[i] - y[i]) <= 2e-3F);
    const std::vector<float> zeros(32);
    quantize(type, 32, zeros.data(), bytes.data());
    dequantize(Isa::scalar, type, 32, bytes.data(), y.data());
    CHECK(std::all_of(y.begin(), y.begin() + 32, [](float v) { return v == 0; }));
  }
  CHECK_FALSE(can_quantize(WeightType::q6_k));
}
