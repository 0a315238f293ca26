#include "bench/child.hpp"

#include "attn/error.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <new>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace attn::bench {
namespace {

using Json = nlohmann::json;

[[noreturn]] void fail(const std::string& what) {
  throw Error(ErrorKind::io, what + ": " + std::strerror(errno));
}

Json error_report(ErrorKind kind, const std::string& message) {
  return {{"kind", static_cast<int>(kind)}, {"error", message}};
}

std::string report_of(const std::function<Json()>& work) {
  Json report;
  try {
    report["result"] = work();
  } catch (const Error& error) {
    report = error_report(error.kind(), error.what());
  } catch (const std::bad_alloc&) {
    report = error_report(ErrorKind::memory, "not enough memory");
  } catch (const std::exception& error) {
    report = error_report(ErrorKind::invalid, error.what());
  }
  return report.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void write_all(int file, const std::string& text) {
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t wrote = ::write(file, text.data() + done, text.size() - done);
    if (wrote < 0) return;  // the reader has gone, and with it whoever would be told
    done += static_cast<std::size_t>(wrote);
  }
}

std::string read_all(int file) {
  std::string text;
  std::array<char, 4096> part{};
  for (;;) {
    const ssize_t count = ::read(file, part.data(), part.size());
    if (count > 0) text.append(part.data(), static_cast<std::size_t>(count));
    if (count == 0 || (count < 0 && errno != EINTR)) return text;
  }
}

}  // namespace

Json in_child(const std::function<Json()>& work) {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) fail("pipe");
  const pid_t child = ::fork();
  if (child < 0) fail("fork");
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // it measures for nobody once the parent is gone
    ::close(ends[0]);
    write_all(ends[1], report_of(work));
    ::_exit(0);  // what the parent has yet to print is not to be printed twice
  }
  ::close(ends[1]);
  const std::string text = read_all(ends[0]);
  ::close(ends[0]);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    throw Error(signal == SIGKILL ? ErrorKind::memory : ErrorKind::invalid,
                "the measurement was ended by signal " + std::to_string(signal) + " (" +
                    strsignal(signal) + ")");
  }
  Json report = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (report.contains("error")) {
    throw Error(static_cast<ErrorKind>(report["kind"].get<int>()), report["error"]);
  }
  if (!report.contains("result")) throw Error(ErrorKind::invalid, "the measurement ended early");
  return std::move(report["result"]);
}

std::int64_t peak_resident_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmHWM:", 0) == 0) return 1024 * std::strtoll(line.c_str() + 6, nullptr, 10);
  }
  return 0;
}

}  // namespace attn::bench
