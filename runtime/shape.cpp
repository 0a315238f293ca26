#include "runtime/shape.hpp"

#include "attn/error.hpp"

#include <algorithm>

namespace attn::runtime {

Shape::Shape(std::span<const Dim> dims) {
  if (dims.size() > max_rank) {
    throw Error(ErrorKind::invalid, "shape: " + std::to_string(dims.size()) +
                                        " dimensions, at most " + std::to_string(max_rank));
  }
  rank_ = static_cast<int>(dims.size());
  std::copy(dims.begin(), dims.end(), dims_.begin());
}

Shape Shape::with(Dim inner) const {
  std::vector<Dim> all(dims().begin(), dims().end());
  all.push_back(inner);
  return Shape(all);
}

std::string to_string(const Shape& shape, std::span<const std::string> names) {
  std::string text = "[";
  for (const Dim dim : shape.dims()) {
    if (text.size() > 1) text += ", ";
    text +=
        dim.symbolic() ? names[static_cast<std::size_t>(dim.symbol)] : std::to_string(dim.extent);
  }
  return text + "]";
}

std::array<std::int64_t, max_rank> extents(const Shape& shape,
                                           std::span<const std::int64_t> symbols) noexcept {
  std::array<std::int64_t, max_rank> dims{};
  for (int i = 0; i < shape.rank(); ++i) {
    const Dim dim = shape[i];
    dims[static_cast<std::size_t>(i)] =
        dim.symbolic() ? symbols[static_cast<std::size_t>(dim.symbol)] : dim.extent;
  }
  return dims;
}

TensorView TensorView::contiguous_over(void* data, DType dtype,
                                       std::span<const std::int64_t> dims) noexcept {
  TensorView view;
  view.data = data;
  view.dtype = dtype;
  view.rank = static_cast<int>(dims.size());
  std::int64_t stride = 1;
  for (std::size_t i = dims.size(); i-- > 0;) {
    view.dims[i] = dims[i];
    view.strides[i] = stride;
    stride *= dims[i];
  }
  return view;
}

std::int64_t TensorView::elements() const noexcept {
  std::int64_t count = 1;
  for (int i = 0; i < rank; ++i) count *= dim(i);
  return count;
}

std::int64_t TensorView::rows() const noexcept {
  std::int64_t count = 1;
  for (int i = 0; i + 1 < rank; ++i) count *= dim(i);
  return count;
}

bool TensorView::contiguous() const noexcept {
  std::int64_t expected = 1;
  for (int i = rank - 1; i >= 0; --i) {
    if (dim(i) != 1 && stride(i) != expected) return false;
    expected *= dim(i);
  }
  return true;
}

}  // namespace attn::runtime
