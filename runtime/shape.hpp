#pragma once

#include "runtime/dtype.hpp"

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

namespace attn::runtime {

/// The most dimensions a tensor of the graph has.
inline constexpr int max_rank = 5;

/// The id of a symbolic dimension of a graph (tokens, context), or of none.
enum class Symbol : int { none = -1 };

/// One dimension: a constant, or a symbol whose value is known when a session runs.
struct Dim {
  std::int64_t extent = 0;  ///< of a constant; 0 for a symbol
  Symbol symbol = Symbol::none;

  constexpr Dim() = default;
  constexpr Dim(std::int64_t constant) : extent(constant) {}  // NOLINT: 4 is a dimension
  constexpr Dim(Symbol s) : symbol(s) {}                      // NOLINT: so is a symbol
  [[nodiscard]] constexpr bool symbolic() const { return symbol != Symbol::none; }
  friend constexpr bool operator==(const Dim&, const Dim&) = default;
};

/// The shape of a value of the graph: up to max_rank dimensions, outermost first.
class Shape {
 public:
  Shape() = default;
  /// Throws Error(invalid) for more than max_rank dimensions.
  Shape(std::initializer_list<Dim> dims) : Shape(std::span(dims.begin(), dims.size())) {}
  explicit Shape(std::span<const Dim> dims);

  [[nodiscard]] int rank() const noexcept { return rank_; }
  /// Dimension i; a negative i counts from the innermost (−1).
  [[nodiscard]] Dim operator[](int i) const noexcept { return dims_[index(i)]; }
  void set(int i, Dim dim) noexcept { dims_[index(i)] = dim; }
  [[nodiscard]] std::span<const Dim> dims() const noexcept {
    return std::span(dims_).first(static_cast<std::size_t>(rank_));
  }
  /// The outer `count` dimensions.
  [[nodiscard]] Shape first(int count) const {
    return Shape(dims().first(static_cast<std::size_t>(count)));
  }
  /// This shape with one more inner dimension.
  [[nodiscard]] Shape with(Dim inner) const;

  friend bool operator==(const Shape& a, const Shape& b) noexcept {
    return a.rank_ == b.rank_ && a.dims_ == b.dims_;
  }

 private:
  [[nodiscard]] std::size_t index(int i) const noexcept {
    return static_cast<std::size_t>(i < 0 ? i + rank_ : i);
  }

  int rank_ = 0;
  std::array<Dim, max_rank> dims_{};
};

/// "[3, tokens, 64]"; names[s] is the name of symbol s.
[[nodiscard]] std::string to_string(const Shape& shape, std::span<const std::string> names);

/// The shape in numbers; symbols[s] is the number behind symbol s. Entries past the rank are 0.
[[nodiscard]] std::array<std::int64_t, max_rank> extents(
    const Shape& shape, std::span<const std::int64_t> symbols) noexcept;

/// A tensor in memory: it owns nothing. Strides count elements.
struct TensorView {
  void* data = nullptr;
  DType dtype = DType::f32;
  int rank = 0;
  std::array<std::int64_t, max_rank> dims{};
  std::array<std::int64_t, max_rank> strides{};

  /// A contiguous view of those dimensions.
  [[nodiscard]] static TensorView contiguous_over(void* data, DType dtype,
                                                  std::span<const std::int64_t> dims) noexcept;

  [[nodiscard]] bool present() const noexcept { return data != nullptr; }
  [[nodiscard]] std::int64_t elements() const noexcept;
  /// Dimension or stride i; a negative i counts from the innermost.
  [[nodiscard]] std::int64_t dim(int i) const noexcept { return dims[index(i)]; }
  [[nodiscard]] std::int64_t stride(int i) const noexcept { return strides[index(i)]; }
  /// As a matrix [rows, cols]: the last dimension, and all the others together. A scalar is 1 × 1.
  [[nodiscard]] std::int64_t cols() const noexcept { return rank == 0 ? 1 : dim(-1); }
  [[nodiscard]] std::int64_t rows() const noexcept;
  [[nodiscard]] bool contiguous() const noexcept;
  template <class T>
  [[nodiscard]] T* as() const noexcept {
    return static_cast<T*>(data);
  }

 private:
  [[nodiscard]] std::size_t index(int i) const noexcept {
    return static_cast<std::size_t>(i < 0 ? i + rank : i);
  }
};

}  // namespace attn::runtime
