#include "runtime/dtype.hpp"

namespace attn::runtime {
namespace {

struct Row {
  DType dtype;
  std::int64_t block;
  std::size_t size;
  std::string_view name;
};

constexpr Row rows[] = {
    {DType::f64, 1, 8, "F64"},       {DType::f32, 1, 4, "F32"},
    {DType::f16, 1, 2, "F16"},       {DType::bf16, 1, 2, "BF16"},
    {DType::i64, 1, 8, "I64"},       {DType::i32, 1, 4, "I32"},
    {DType::i16, 1, 2, "I16"},       {DType::i8, 1, 1, "I8"},
    {DType::u8, 1, 1, "U8"},         {DType::boolean, 1, 1, "BOOL"},
    {DType::q8_0, 32, 34, "Q8_0"},   {DType::q4_0, 32, 18, "Q4_0"},
    {DType::q4_1, 32, 20, "Q4_1"},   {DType::q5_0, 32, 22, "Q5_0"},
    {DType::q5_1, 32, 24, "Q5_1"},   {DType::q4_k, 256, 144, "Q4_K"},
    {DType::q5_k, 256, 176, "Q5_K"}, {DType::q6_k, 256, 210, "Q6_K"},
};

}  // namespace

std::int64_t dtype_block(DType dtype) noexcept {
  return rows[static_cast<std::size_t>(dtype)].block;
}

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
