#include "tools/common/data.hpp"

#include "attn/error.hpp"
#include "tools/common/interrupt.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace attn::tools {

Input Data::input() const {
  if (const auto* numbers = std::get_if<std::vector<float>>(&values)) {
    return {name, shape, std::span<const float>(*numbers)};
  }
  return {name, shape, std::span<const std::int32_t>(std::get<std::vector<std::int32_t>>(values))};
}

std::vector<Data> parse_data(std::string_view bytes, const std::string& source,
                             std::span<const PortInfo> ports) {
  if (bytes.empty()) throw Error(ErrorKind::invalid, source + ": is empty");
  if (bytes.starts_with("\x93NUMPY")) return parse_npy_data(bytes, source, ports);
  if (source.ends_with(".npy")) {
    throw Error(ErrorKind::invalid, source + ": offset 0: does not begin with NumPy's \\x93NUMPY");
  }
  return parse_json_data(bytes, source, ports);
}

std::string read_file(const std::string& path) {
  const bool standard = path == "-";
  const std::string source = standard ? "standard input" : path;
  const int file = standard ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const auto fail = [&](int error) {
    throw Error(ErrorKind::io, source + ": cannot read: " + std::strerror(error));
  };
  if (file < 0) fail(errno);
  struct Close {
    int file;
    ~Close() {
      if (file != STDIN_FILENO) ::close(file);
    }
  } const close{file};

  std::string bytes;
  std::array<char, 1 << 16> part{};
  for (;;) {
    const ssize_t got = ::read(file, part.data(), part.size());
    if (got == 0) return bytes;
    if (got > 0) {
      bytes.append(part.data(), static_cast<std::size_t>(got));
    } else if (errno == EINTR) {
      HoldInterrupts::check();
    } else {
      fail(errno);
    }
  }
}

Dims unflattened(std::size_t flat, const Dims& shape) {
  Dims indices(shape.size());
  for (std::size_t d = shape.size(); d-- > 0;) {
    const auto size = static_cast<std::size_t>(shape[d]);
    indices[d] = static_cast<std::int64_t>(flat % size);
    flat /= size;
  }
  return indices;
}

std::string element_name(std::string_view name, std::span<const std::int64_t> indices) {
  std::string text(name);
  for (const std::int64_t index : indices) text += "[" + std::to_string(index) + "]";
  return text;
}

}  // namespace attn::tools
