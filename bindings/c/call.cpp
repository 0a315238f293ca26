#include "bindings/c/call.hpp"

#include <cstring>

namespace attn::c {

attn_status status_of(ErrorKind kind) noexcept {
  switch (kind) {
    case ErrorKind::usage: return ATTN_USAGE;
    case ErrorKind::invalid: return ATTN_INVALID;
    case ErrorKind::io: return ATTN_IO;
    case ErrorKind::memory: return ATTN_MEMORY;
    case ErrorKind::numerical: return ATTN_NUMERICAL;
    case ErrorKind::cancelled: return ATTN_CANCELLED;
  }
  return ATTN_UNEXPECTED;
}

attn_status tell(attn_error* error, attn_status status, std::string_view message) noexcept {
  if (error == nullptr) return status;
  error->status = status;
  std::size_t length = std::min(message.size(), sizeof error->message - 1);
  // not in the middle of a character of UTF-8, whose bytes after the first are 10xxxxxx
  while (length < message.size() && length > 0 && (message[length] & 0xC0) == 0x80) --length;
  std::memcpy(error->message, message.data(), length);
  error->message[length] = '\0';
  return status;
}

void require_room(std::size_t capacity, std::size_t needed, const char* of) {
  if (capacity >= needed) return;
  throw Failure(ATTN_ROOM, std::string(of) + ": room for " + std::to_string(capacity) +
                               ", and there are " + std::to_string(needed));
}

}  // namespace attn::c

const char* attn_version(void) { return ATTN_VERSION; }
