// Runs targets without a fuzzer: on their seeds, and on inputs that once were finds.
//   test_replay TARGET [FILE|FOLDER]...   the seeds, then the files
//   test_replay --seeds FOLDER            writes the seeds of every target to FOLDER/TARGET/
//   test_replay --list                    each target, the longest input worth trying, its
//   dictionary

#include "fuzz/targets.hpp"
#include "support/files.hpp"

#include <algorithm>
#include <filesystem>

namespace {

using namespace attn::fuzz;

int write_seeds(const std::filesystem::path& folder) {
  for (const Target& target : targets()) {
    const auto own = folder / target.name;
    std::filesystem::create_directories(own);
    std::size_t number = 0;
    for (const std::string& seed : target.seeds()) {
      attn::test::write_file(own / ("seed-" + std::to_string(number++)), seed);
    }
  }
  return 0;
}

std::vector<std::filesystem::path> files_of(std::span<char* const> arguments) {
  std::vector<std::filesystem::path> files;
  for (const std::filesystem::path path : arguments) {
    if (!std::filesystem::is_directory(path)) {
      files.push_back(path);
      continue;
    }
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

int main(int count, char** begin) {
  const std::span<char* const> arguments(begin + 1, static_cast<std::size_t>(count - 1));
  const std::string_view first = arguments.empty() ? "" : arguments[0];
  if (first == "--seeds" && arguments.size() == 2) return write_seeds(arguments[1]);
  if (first == "--list") {
    for (const Target& target : targets()) {
      std::printf("%s %zu %s\n", std::string(target.name).c_str(), target.longest,
                  std::string(target.dictionary).c_str());
    }
    return 0;
  }
  const Target& target = find_target(first);
  const std::vector<std::string> seeds = target.seeds();
  for (const std::string& seed : seeds) expect(target.run(seed), "a seed is a good input", seed);
  const auto files = files_of(arguments.subspan(1));
  for (const std::filesystem::path& file : files) {
    std::fprintf(stderr, "%s\n", file.c_str());
    (void)target.run(attn::test::read_file(file));
  }
  std::printf("%s: %zu seeds, %zu files\n", std::string(target.name).c_str(), seeds.size(),
              files.size());
  return 0;
}
