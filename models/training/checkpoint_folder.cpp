#include "models/training/checkpoint_folder.hpp"

#include "attn/error.hpp"
#include "runtime/formats/text.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <optional>
#include <string>
#include <string_view>
#include <sys/file.h>
#include <system_error>

namespace attn::models {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view prefix = "step-", suffix = ".safetensors";
constexpr std::size_t digits = 8;  // so that names are in order in a list of files, too

[[noreturn]] void fail(const fs::path& path, const std::string& problem) {
  throw Error(ErrorKind::io, runtime::path_text(path) + ": " + problem);
}

std::optional<std::int64_t> step_of(std::string_view name) {
  if (!name.starts_with(prefix) || !name.ends_with(suffix)) return std::nullopt;
  if (name.size() < prefix.size() + digits + suffix.size()) return std::nullopt;
  name.remove_prefix(prefix.size());
  name.remove_suffix(suffix.size());
  std::int64_t step = 0;
  const auto [stop, error] = std::from_chars(name.data(), name.data() + name.size(), step);
  if (error != std::errc{} || stop != name.data() + name.size() || step < 0) return std::nullopt;
  return step;
}

/// The names in a folder. With an error code: what the loop of a directory_iterator throws is no
/// error of ours.
std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(folder, error); !error && at != fs::directory_iterator();
       at.increment(error)) {
    names.push_back(at->path().filename().string());
  }
  if (error) fail(folder, "cannot be read: " + error.message());
  return names;
}

void remove_file(const fs::path& file) {
  std::error_code error;
  fs::remove(file, error);
  if (error) fail(file, "cannot be removed: " + error.message());
}

}  // namespace

CheckpointFolder::CheckpointFolder(fs::path folder) : folder_(std::move(folder)) {
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error) fail(folder_, "cannot be made: " + error.message());
  const fs::path name = folder_ / "lock";
  lock_ = runtime::Descriptor(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  if (lock_.get() < 0) {
    fail(folder_, "cannot be written: " + std::generic_category().message(errno));
  }
  // the kernel gives it back however the process ends
  if (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) fail(folder_, "another process is training with these checkpoints");
    fail(name, "cannot be locked: " + std::generic_category().message(errno));
  }
  for (const std::string& each : names_in(folder_)) {
    if (each.starts_with(".attn-") && each.ends_with(".tmp")) remove_file(folder_ / each);
  }
}

std::vector<CheckpointFolder::Checkpoint> CheckpointFolder::checkpoints() const {
  std::vector<Checkpoint> all;
  for (const std::string& name : names_in(folder_)) {
    const auto step = step_of(name);
    if (!step) continue;
    std::error_code error;
    const bool file = fs::is_regular_file(folder_ / name, error);
    if (error) fail(folder_ / name, "cannot be read: " + error.message());
    if (file) all.push_back({*step, folder_ / name});  // else it is not one of ours
  }
  std::sort(all.begin(), all.end(),
            [](const Checkpoint& a, const Checkpoint& b) { return a.step > b.step; });
  return all;
}

fs::path CheckpointFolder::file_of(std::int64_t step) const {
  std::string number = std::to_string(step);
  if (number.size() < digits) number.insert(0, digits - number.size(), '0');
  return folder_ / (std::string(prefix) + number + std::string(suffix));
}

void CheckpointFolder::keep(std::size_t count, const fs::path& newest) const {
  std::size_t kept = 0;
  for (const Checkpoint& each : checkpoints()) {
    if (each.file == newest || (kept > 0 && kept < count)) {
      ++kept;
    } else {
      remove_file(each.file);
    }
  }
}

}  // namespace attn::models
