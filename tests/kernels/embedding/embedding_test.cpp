#include "kernels/embedding/embedding.hpp"

#include "support/numbers.hpp"

#include <catch2/catch.hpp>

using namespace attn::kernels;
using namespace attn::test;

namespace {

// ids that repeat, stay put and jump
std::vector<std::int32_t> some_ids(std::size_t count, std::int32_t vocab) {
  std::vector<std::int32_t> ids(count);
  for (std::size_t i = 0; i < count; ++i) {
    ids[i] = static_cast<std::int32_t>((i * i * 7 + i / 3) % static_cast<std::size_t>(vocab));
  }
  return ids;
}

constexpr std::size_t widths[] = {0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33, 64, 100, 257, 768};

}  // namespace

TEST_CASE("gather_rows copies the rows bit for bit", "[embedding]") {
  constexpr std::int32_t vocab = 11;
  for (const Isa isa : supported_isas()) {
    for (const std::size_t cols : widths) {
      for (const std::size_t count : {0U, 1U, 13U, 130U}) {
        INFO(isa_name(isa) << " cols=" << cols << " count=" << count);
        // one element past an aligned address, so that no vector is aligned
        auto table = random_values(1 + vocab * cols, 3);
        if (cols > 1) table[2] = std::numeric_limits<float>::quiet_NaN();
        const auto ids = some_ids(count, vocab);
        std::vector<float> y(1 + count * cols + 1, 42.0F);
        gather_rows(isa, serial_workers(), static_cast<index_t>(count), static_cast<index_t>(cols),
                    table.data() + 1, ids.data(), y.data() + 1);
        REQUIRE(y.front() == 42.0F);
        REQUIRE(y.back() == 42.0F);
        for (std::size_t i = 0; i < count; ++i) {
          REQUIRE(same_bits(std::span<const float>(y).subspan(1 + i * cols, cols),
                            std::span<const float>(table).subspan(
                                1 + static_cast<std::size_t>(ids[i]) * cols, cols)));
        }
      }
    }
  }
}

TEST_CASE("scatter_add_rows adds in the order of the rows, so exactly as the scalar loop",
          "[embedding]") {
  constexpr std::int32_t vocab = 11;
  for (const Isa isa : supported_isas()) {
    for (const std::size_t cols : widths) {
      for (const std::size_t count : {0U, 1U, 13U, 130U}) {
        INFO(isa_name(isa) << " cols=" << cols << " count=" << count);
        const auto dy = random_values(1 + count * cols, 4);
        const auto ids = some_ids(count, vocab);
        auto got = random_values(1 + vocab * cols + 1, 5);
        auto expected = got;
        for (std::size_t i = 0; i < count; ++i) {
          for (std::size_t c = 0; c < cols; ++c) {
            expected[1 + static_cast<std::size_t>(ids[i]) * cols + c] += dy[1 + i * cols + c];
          }
        }
        scatter_add_rows(isa, serial_workers(), static_cast<index_t>(count),
                         static_cast<index_t>(cols), dy.data() + 1, ids.data(), got.data() + 1);
        REQUIRE(same_bits(got, expected));
      }
    }
  }
}

TEST_CASE("scatter_add_rows is the transpose of gather_rows", "[embedding]") {
  // <gather(t), dy> = <t, scatter(dy)> for all t and dy: what makes it the gradient
  constexpr index_t vocab = 7, count = 20, cols = 5;
  const auto table = random_values<double>(vocab * cols, 6);
  const auto dy = random_values<double>(count * cols, 7);
  const auto ids = some_ids(count, vocab);
  std::vector<double> y(count * cols), dtable(vocab * cols);
  gather_rows(Isa::scalar, serial_workers(), count, cols, table.data(), ids.data(), y.data());
  scatter_add_rows(Isa::scalar, serial_workers(), count, cols, dy.data(), ids.data(),
                   dtable.data());
  double left = 0, right = 0;
  for (std::size_t i = 0; i < y.size(); ++i) left += y[i] * dy[i];
  for (std::size_t i = 0; i < table.size(); ++i) right += table[i] * dtable[i];
  REQUIRE(left == Approx(right).epsilon(1e-13));
}

TEST_CASE("embedding kernels give the same bits on any number of threads", "[embedding][threads]") {
  constexpr index_t vocab = 50, count = 300, cols = 769;
  const auto table = random_values(vocab * cols, 8);
  const auto dy = random_values(count * cols, 9);
  const auto ids = some_ids(count, vocab);
  for (const Isa isa : supported_isas()) {
    std::vector<float> y(count * cols), dtable(vocab * cols);
    gather_rows(isa, serial_workers(), count, cols, table.data(), ids.data(), y.data());
    scatter_add_rows(isa, serial_workers(), count, cols, dy.data(), ids.data(), dtable.data());
    for (const int threads : {2, 3, 8}) {
      const auto workers = make_workers(threads);
      std::vector<float> y2(count * cols), dtable2(vocab * cols);
      gather_rows(isa, *workers, count, cols, table.data(), ids.data(), y2.data());
      scatter_add_rows(isa, *workers, count, cols, dy.data(), ids.data(), dtable2.data());
      REQUIRE(same_bits(y2, y));
      REQUIRE(same_bits(dtable2, dtable));
    }
  }
}

TEST_CASE("first_out_of_range finds the first id that the table lacks", "[embedding]") {
  const std::int32_t ids[] = {0, 4, 3, 5, -1};
  REQUIRE(first_out_of_range(3, ids, 5) == 3);
  REQUIRE(first_out_of_range(5, ids, 5) == 3);
  REQUIRE(first_out_of_range(5, ids, 6) == 4);
  REQUIRE(first_out_of_range(5, ids, 4) == 1);
  REQUIRE(first_out_of_range(5, ids, 0) == 0);
  REQUIRE(first_out_of_range(0, nullptr, 5) == 0);
}
