#pragma once

// The block formats' layouts and what their bytes mean, shared by the scalar truth and the
// vectorized sources: everything is inlined, so that no symbol is shared between ISA levels.

#include "kernels/types.hpp"

#include <stdint.h>

namespace attn::kernels {

/// f16 → f32, exactly; subnormals and NaN included.
[[gnu::always_inline]] inline float half_to_float(uint16_t h) {
  const uint32_t sign = static_cast<uint32_t>(h & 0x8000U) << 16;
  const uint32_t magnitude = h & 0x7fffU;
  uint32_t bits = 0;
  if (magnitude >= 0x7c00U) {
    bits = 0x7f800000U | (magnitude & 0x3ffU) << 13;
  } else if (magnitude >= 0x400U) {
    bits = (magnitude << 13) + 0x38000000U;
  } else {  // a multiple of 2^-24
    const float value = static_cast<float>(magnitude) * 0x1p-24F;
    __builtin_memcpy(&bits, &value, sizeof bits);
  }
  bits |= sign;
  float value = 0;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}

[[gnu::always_inline]] inline float bfloat_to_float(uint16_t h) {
  const uint32_t bits = static_cast<uint32_t>(h) << 16;
  float value = 0;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}

[[gnu::always_inline]] inline uint16_t load_u16(const uint8_t* p) {
  return static_cast<uint16_t>(p[0] | p[1] << 8);
}
[[gnu::always_inline]] inline uint32_t load_u32(const uint8_t* p) {
  return static_cast<uint32_t>(p[0]) | static_cast<uint32_t>(p[1]) << 8 |
         static_cast<uint32_t>(p[2]) << 16 | static_cast<uint32_t>(p[3]) << 24;
}
[[gnu::always_inline]] inline float load_half(const uint8_t* p) {
  return half_to_float(load_u16(p));
}

/// Scale and minimum of sub-block j < 8 of q4_k and q5_k: 6 bits each, packed into 12 bytes.
struct ScaleMin {
  int scale, min;
};
[[gnu::always_inline]] inline ScaleMin scale_min(const uint8_t* s, int j) {
  if (j < 4) return {s[j] & 63, s[j + 4] & 63};
  return {(s[j + 4] & 15) | (s[j - 4] >> 6) << 4, (s[j + 4] >> 4) | (s[j] >> 6) << 4};
}

struct F32 {
  static constexpr index_t weights = 1, bytes = 4;
  [[gnu::always_inline]] static void decode(const uint8_t* b, float* to) {
    const uint32_t bits = load_u32(b);
    __builtin_memcpy(to, &bits, sizeof bits);
  }
};
struct F16 {
  static constexpr index_t weights = 1, bytes = 2;
  [[gnu::always_inline]] static void decode(const uint8_t* b, float* to) { *to = load_half(b); }
};
struct BF16 {
  static constexpr index_t weights = 1, bytes = 2;
  [[gnu::always_inline]] static void decode(const uint8_t* b, float* to) {
    *to = bfloat_to_float(load_u16(b));
  }
};
struct Q8_0 {
  static constexpr index_t weights = 32, bytes = 34;
  [[gnu::always_inline]] static void decode(const uint8_t* b, float* to) {
    const float d = load_half(b);
    for (int i = 0; i < 32; ++i) to[i] = d * static_cast<float>(static_cast<int8_t>(b[2 + i]));
  }
};
struct Q4_0 {
  static constexpr index_t weights = 32, bytes = 18;
  [[gnu::always_inline]] static void decode(const uint8_t* b, float* to) {
    const float d = load_half(b);
    for (int i = 0; i < 16; ++i) {
      to[i] = d * static_cast<float>((b[2 + i] & 15) - 8);
      to[i + 16] = d * static_cast<float>((b[2 + i] >> 4) - 8);
    }
  }
};
struct Q4_1 {
  static constexpr index_t weights = 32, bytes = 20;
  [[gnu::always_inline]] static void decode(const uint8_t* b, float* to) {
    const float d = load_half(b), m = load_half(b + 2);
    for (int i = 0; i < 16; ++i) {
      to[i] = d * static_cast<float>(b[4 + i] & 15) + m;
      to[i + 16] = d * static_cast<float>(b[4 + i] >> 4) + m;
    }
  }
};
struct Q5_0 {
  static constexpr index_t weights = 32, bytes = 22;
  [[gnu::always_inline]] static void decode(const uint8_t* b, float* to) {
    const float d = load_half(b);
    const uint32_t high = load_u32(b + 2);
    for (int i = 0; i < 16; ++i) {
      const int low = (b[6 + i] & 15) | static_cast<int>(high >> i & 1U) << 4;
      const int up = (b[6 + i] >> 4) | static_cast<int>(high >> (i + 16) & 1U) << 4;
      to[i] = d * static_cast<float>(low - 16);
      to[i + 16] = d * static_cast<float>(up - 16);
    }
  }
};
struct Q5_1 {
  static constexpr index_t weights = 32, bytes = 24;
  [[gnu::always_inline]] static void decode(const uint8_t* b, float* to) {
    const float d = load_half(b), m = load_half(b + 2);
    const uint32_t high = load_u32(b + 4);
    for (int i = 0; i < 16; ++i) {
      const int low = (b[8 + i] & 15) | static_cast<int>(high >> i & 1U) << 4;
      const int up = (b[8 + i] >> 4) | static_cast<int>(high >> (i + 16) & 1U) << 4;
      to[i] = d * static_cast<float>(low) + m;
      to[i + 16] = d * static_cast<float>(up) + m;
    }
  }
};
struct Q4_K {
  static constexpr index_t weights = 256, bytes = 144;
  [[gnu::always_inline]] static void decode(const uint8_t* b, float* to) {
    const float d = load_half(b), d_min = load_half(b + 2);
    const uint8_t* q = b + 16;
    for (int j = 0; j < 8; j += 2, q += 32, to += 64) {
      const ScaleMin one = scale_min(b + 4, j), two = scale_min(b + 4, j + 1);
      const float d1 = d * static_cast<float>(one.scale), m1 = d_min * static_cast<float>(one.min);
      const float d2 = d * static_cast<float>(two.scale), m2 = d_min * static_cast<float>(two.min);
      for (int i = 0; i < 32; ++i) {
        to[i] = d1 * static_cast<float>(q[i] & 15) - m1;
        to[i + 32] = d2 * static_cast<float>(q[i] >> 4) - m2;
      }
    }
  }
};
struct Q5_K {
  static constexpr index_t weights = 256, bytes = 176;
  [[gnu::always_inline]] static void decode(const uint8_t* b, float* to) {
    const float d = load_half(b), d_min = load_half(b + 2);
    const uint8_t* const high = b + 16;
    const uint8_t* q = b + 48;
    for (int j = 0; j < 8; j += 2, q += 32, to += 64) {
      const ScaleMin one = scale_min(b + 4, j), two = scale_min(b + 4, j + 1);
      const float d1 = d * static_cast<float>(one.scale), m1 = d_min * static_cast<float>(one.min);
      const float d2 = d * static_cast<float>(two.scale), m2 = d_min * static_cast<float>(two.min);
      for (int i = 0; i < 32; ++i) {
        const int low = (q[i] & 15) | (high[i] >> j & 1) << 4;
        const int up = (q[i] >> 4) | (high[i] >> (j + 1) & 1) << 4;
        to[i] = d1 * static_cast<float>(low) - m1;
        to[i + 32] = d2 * static_cast<float>(up) - m2;
      }
    }
  }
};
struct Q6_K {
  static constexpr index_t weights = 256, bytes = 210;
  [[gnu::always_inline]] static void decode(const uint8_t* b, float* to) {
    const float d = load_half(b + 208);
    const uint8_t *low = b, *high = b + 128;
    const uint8_t* scales = b + 192;
    for (int half = 0; half < 2; ++half, low += 64, high += 32, scales += 8, to += 128) {
      float s[8];
      for (int j = 0; j < 8; ++j) s[j] = d * static_cast<float>(static_cast<int8_t>(scales[j]));
      for (int i = 0; i < 32; ++i) {
        const int part = i / 16;
        const int q1 = (low[i] & 15) | (high[i] & 3) << 4;
        const int q2 = (low[i + 32] & 15) | (high[i] >> 2 & 3) << 4;
        const int q3 = (low[i] >> 4) | (high[i] >> 4 & 3) << 4;
        const int q4 = (low[i + 32] >> 4) | (high[i] >> 6) << 4;
        to[i] = s[part] * static_cast<float>(q1 - 32);
        to[i + 32] = s[part + 2] * static_cast<float>(q2 - 32);
        to[i + 64] = s[part + 4] * static_cast<float>(q3 - 32);
        to[i + 96] = s[part + 6] * static_cast<float>(q4 - 32);
      }
    }
  }
};

}  // namespace attn::kernels
