#include "runtime/dtype.hpp"

#include <array>

namespace attn::runtime {
namespace {

struct Row {
  DType dtype;
  std::size_t size;
  std::string_view name;
};

constexpr std::array<Row, 10> rows{{{DType::f64, 8, "F64"},
                                    {DType::f32, 4, "F32"},
                                    {DType::f16, 2, "F16"},
                                    {DType::bf16, 2, "BF16"},
                                    {DType::i64, 8, "I64"},
                                    {DType::i32, 4, "I32"},
                                    {DType::i16, 2, "I16"},
                                    {DType::i8, 1, "I8"},
                                    {DType::u8, 1, "U8"},
                                    {DType::boolean, 1, "BOOL"}}};

}  // namespace

std::size_t dtype_size(DType dtype) noexcept { return rows[static_cast<std::size_t>(dtype)].size; }

std::string_view dtype_name(DType dtype) noexcept {
  return rows[static_cast<std::size_t>(dtype)].name;
}

std::optional<DType> dtype_from_name(std::string_view name) noexcept {
  for (const Row& row : rows) {
    if (row.name == name) return row.dtype;
  }
  return std::nullopt;
}

}  // namespace attn::runtime
