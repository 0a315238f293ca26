#define _XOPEN_SOURCE 700
#include "bindings/c/check.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int failed = 0;

int failed_checks(void) { return failed; }

int check(int ok, const char* what, const char* file, int line) {
  if (!ok) {
    ++failed;
    fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
  }
  return ok;
}

void check_error(attn_status got, attn_status wanted, const char* part, const attn_error* error,
                 const char* call, const char* file, int line) {
  const int told = error->status == got && strstr(error->message, part) != NULL &&
                   strchr(error->message, '\n') == NULL &&
                   (got == ATTN_OK) == (error->message[0] == '\0');
  if (got == wanted && told) return;
  ++failed;
  fprintf(stderr, "%s:%d: %s: status %d, wanted %d; told %d, \"%s\", wanted \"%s\"\n", file, line,
          call, (int)got, (int)wanted, (int)error->status, error->message, part);
}

/* Names stay for the run: a test keeps what it was given. */
static const char* kept(const char* folder, const char* name) {
  static char names[256][512];
  static int count = 0;
  if (count == 256) {
    fprintf(stderr, "too many names\n");
    exit(1);
  }
  snprintf(names[count], sizeof names[count], "%s/%s", folder, name);
  return names[count++];
}

const char* data_path(const char* name) { return kept(ATTN_TEST_DATA, name); }

static const char* own_folder(void) {
  static char folder[] = "/tmp/attn-c-test-XXXXXX";
  static int made = 0;
  if (!made && mkdtemp(folder) == NULL) {
    perror("mkdtemp");
    exit(1);
  }
  made = 1;
  return folder;
}

const char* own_path(const char* name) { return kept(own_folder(), name); }

static void remove_all(const char* path) {
  struct stat status;
  if (lstat(path, &status) != 0) return;
  if (S_ISDIR(status.st_mode)) {
    DIR* folder = opendir(path);
    struct dirent* entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
      char name[1024];
      if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
      snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
      remove_all(name);
    }
    if (folder != NULL) closedir(folder);
    rmdir(path);
  } else {
    unlink(path);
  }
}

void remove_own_files(void) { remove_all(own_folder()); }

unsigned char* read_bytes(const char* path, size_t* size) {
  FILE* file = fopen(path, "rb");
  unsigned char* bytes = NULL;
  size_t room = 0;
  *size = 0;
  if (file == NULL) {
    perror(path);
    exit(1);
  }
  do {
    room += 1 << 16;
    bytes = realloc(bytes, room);
    *size += fread(bytes + *size, 1, room - *size, file);
  } while (*size == room);
  fclose(file);
  return bytes;
}

static void write_bytes(const char* path, const void* bytes, size_t size) {
  FILE* file = fopen(path, "wb");
  if (file == NULL || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) {
    perror(path);
    exit(1);
  }
}

void write_text(const char* path, const char* text) { write_bytes(path, text, strlen(text)); }

static void copy_files(const char* from, const char* to) {
  DIR* folder = opendir(from);
  struct dirent* entry;
  while (folder != NULL && (entry = readdir(folder)) != NULL) {
    struct stat status;
    char source[1024], target[1024];
    size_t size;
    unsigned char* bytes;
    snprintf(source, sizeof source, "%s/%s", from, entry->d_name);
    snprintf(target, sizeof target, "%s/%s", to, entry->d_name);
    if (stat(source, &status) != 0 || !S_ISREG(status.st_mode)) continue;
    bytes = read_bytes(source, &size);
    write_bytes(target, bytes, size);
    free(bytes);
  }
  if (folder != NULL) closedir(folder);
}

const char* text_model(const char* name) {
  char part[64];
  const char* folder = own_path(name);
  if (mkdir(folder, 0700) != 0) return folder; /* it is there already */
  snprintf(part, sizeof part, "tiny-%s", name);
  copy_files(data_path(part), folder);
  snprintf(part, sizeof part, "tiny-text/%s", name);
  copy_files(data_path(part), folder);
  return folder;
}

attn_model_options default_options(void) {
  attn_model_options options;
  CHECK(attn_model_options_init(&options, sizeof options) == ATTN_OK);
  return options;
}

attn_model* open_text_model(const char* name, const attn_model_options* options) {
  attn_model* model = NULL;
  WORKS(attn_model_open(text_model(name), options, &model, &error));
  return model;
}

attn_model* size_loss_model(const attn_model_options* options) {
  const attn_parameter parameters[] = {
      {"sentence", "The pink elephant tried to get into the car but it was too"},
      {"size_words", "elephant,car,too"},
      {"embedding_dim", "4"}};
  attn_model* model = NULL;
  WORKS(attn_model_create("size_loss_attention", parameters, 3, 1, options, &model, &error));
  return model;
}

void wait_ms(int milliseconds) {
  struct timespec time;
  time.tv_sec = milliseconds / 1000;
  time.tv_nsec = (long)(milliseconds % 1000) * 1000000;
  nanosleep(&time, NULL);
}
