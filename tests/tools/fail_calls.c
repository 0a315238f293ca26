// A preloaded library under which one call of the system fails: the FAIL_AT-th FAIL_CALL (write,
// fsync, close or renameat) on a file whose path, or whose folder's, has FAIL_PATH in it. Of a
// write that fails, half is written first, as on a disk that becomes full. The link FAIL_TOLD tells
// that it came to that.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// The number of this call among those that count; 0: it does not count.
static int counted(const char* call, int file) {
  const char* wanted = getenv("FAIL_CALL");
  const char* part = getenv("FAIL_PATH");
  if (wanted == NULL || part == NULL || strcmp(wanted, call) != 0) return 0;
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = '\0';
  static int calls;
  return strstr(path, part) != NULL ? ++calls : 0;
}

static int fails_at(void) { return atoi(getenv("FAIL_AT")); }

static int fail(int error) {
  const int told = symlink("failed", getenv("FAIL_TOLD"));
  (void)told;  // of a second one
  errno = error;
  return -1;
}

ssize_t write(int file, const void* bytes, size_t count) {
  static ssize_t (*next)(int, const void*, size_t);
  if (next == NULL) *(void**)&next = dlsym(RTLD_NEXT, "write");
  const int number = counted("write", file);
  if (number == 0 || number < fails_at()) return next(file, bytes, count);
  if (number == fails_at() && count > 1) return next(file, bytes, count / 2);
  return fail(ENOSPC);
}

int fsync(int file) {
  static int (*next)(int);
  if (next == NULL) *(void**)&next = dlsym(RTLD_NEXT, "fsync");
  const int number = counted("fsync", file);
  if (number == 0 || number != fails_at()) return next(file);
  return fail(EIO);
}

int close(int file) {
  static int (*next)(int);
  if (next == NULL) *(void**)&next = dlsym(RTLD_NEXT, "close");
  const int number = counted("close", file);
  const int result = next(file);
  if (number == 0 || number != fails_at()) return result;
  return fail(EIO);
}

int renameat(int from_folder, const char* from, int to_folder, const char* to) {
  static int (*next)(int, const char*, int, const char*);
  if (next == NULL) *(void**)&next = dlsym(RTLD_NEXT, "renameat");
  const int number = counted("renameat", from_folder);
  if (number == 0 || number != fails_at()) return next(from_folder, from, to_folder, to);
  return fail(EIO);
}
