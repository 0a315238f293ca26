// A preloaded library under which one call of the system fails: the FAIL_AT-th FAIL_CALL on a file
// whose path, or whose folder's, has FAIL_PATH in it, with the errno FAIL_ERROR (EIO unless given;
// of write ENOSPC, and half is written first, as on a disk that becomes full). Calls are open
// (openat as well), read, fstat, stat, mmap, write, fsync, close, rename and renameat. The link
// FAIL_TOLD tells that it came to that.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEXT(name) \
  if (next == NULL) *(void**)&next = dlsym(RTLD_NEXT, name)

// The number of this call among those that count; 0: it does not count.
static int counted(const char* call, const char* path) {
  const char* wanted = getenv("FAIL_CALL");
  const char* part = getenv("FAIL_PATH");
  if (wanted == NULL || part == NULL || strcmp(wanted, call) != 0) return 0;
  static int calls;
  return path != NULL && strstr(path, part) != NULL ? ++calls : 0;
}

// The same for what is open.
static int counted_file(const char* call, int file) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = '\0';
  return counted(call, path);
}

static int fails_at(void) { return atoi(getenv("FAIL_AT")); }

static int fail(int error) {
  const int told = symlink("failed", getenv("FAIL_TOLD"));
  (void)told;  // of a second one
  const char* given = getenv("FAIL_ERROR");
  errno = given != NULL ? atoi(given) : error;
  return -1;
}

static int fails(int number) { return number != 0 && number == fails_at(); }

int open(const char* path, int flags, ...) {
  static int (*next)(const char*, int, ...);
  NEXT("open");
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return fails(counted("open", path)) ? fail(EIO) : next(path, flags, mode);
}

int openat(int folder, const char* path, int flags, ...) {
  static int (*next)(int, const char*, int, ...);
  NEXT("openat");
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  const int number = *path == '/' ? counted("open", path) : counted_file("open", folder);
  return fails(number) ? fail(EIO) : next(folder, path, flags, mode);
}

ssize_t read(int file, void* bytes, size_t count) {
  static ssize_t (*next)(int, void*, size_t);
  NEXT("read");
  return fails(counted_file("read", file)) ? fail(EIO) : next(file, bytes, count);
}

int fstat(int file, struct stat* status) {
  static int (*next)(int, struct stat*);
  NEXT("fstat");
  return fails(counted_file("fstat", file)) ? fail(EIO) : next(file, status);
}

int stat(const char* path, struct stat* status) {
  static int (*next)(const char*, struct stat*);
  NEXT("stat");
  return fails(counted("stat", path)) ? fail(EIO) : next(path, status);
}

void* mmap(void* address, size_t length, int protection, int flags, int file, off_t offset) {
  static void* (*next)(void*, size_t, int, int, int, off_t);
  NEXT("mmap");
  if (file >= 0 && fails(counted_file("mmap", file))) {
    fail(EIO);
    return MAP_FAILED;
  }
  return next(address, length, protection, flags, file, offset);
}

ssize_t write(int file, const void* bytes, size_t count) {
  static ssize_t (*next)(int, const void*, size_t);
  NEXT("write");
  const int number = counted_file("write", file);
  if (number == 0 || number < fails_at()) return next(file, bytes, count);
  if (getenv("FAIL_ERROR") != NULL) {  // once, and nothing is written
    return number == fails_at() ? fail(EIO) : next(file, bytes, count);
  }
  if (number == fails_at() && count > 1) return next(file, bytes, count / 2);
  return fail(ENOSPC);
}

int fsync(int file) {
  static int (*next)(int);
  NEXT("fsync");
  return fails(counted_file("fsync", file)) ? fail(EIO) : next(file);
}

int close(int file) {
  static int (*next)(int);
  NEXT("close");
  const int number = counted_file("close", file);
  const int result = next(file);
  return fails(number) ? fail(EIO) : result;
}

int rename(const char* from, const char* to) {
  static int (*next)(const char*, const char*);
  NEXT("rename");
  return fails(counted("rename", from)) ? fail(EIO) : next(from, to);
}

int renameat(int from_folder, const char* from, int to_folder, const char* to) {
  static int (*next)(int, const char*, int, const char*);
  NEXT("renameat");
  return fails(counted_file("renameat", from_folder)) ? fail(EIO)
                                                      : next(from_folder, from, to_folder, to);
}
