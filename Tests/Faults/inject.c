// A preload library that makes one system call of a program fail, so that a test can see what the program makes of it.
//
//   SPQAT_FAULT_CALL     kind of call: open, read, write, fsync, rename, mmap, close, ftruncate, mkdir, opendir, readdir,
//                        stat, flock, unlink, spawn; any, where nothing fails
//   SPQAT_FAULT_AT       the how-manieth call of that kind fails, from 1; 0 fails none and only counts
//   SPQAT_FAULT_ERRNO    the number that it fails with
//   SPQAT_FAULT_PATH     only calls on paths (of descriptors too) that contain this text count; unset: all
//   SPQAT_FAULT_ONWARDS  set: every later call of the kind fails as well
//   SPQAT_FAULT_PROGRAM  only processes of this name are disturbed
//   SPQAT_FAULT_LOG      a line "CALL NUMBER PATH" is appended for each failure, or each counted call
//
// Calls that the C library makes inside itself are not seen. Nothing here allocates.
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct {
  const char *call, *path, *log;
  long at;
  int error;
  bool onwards;
} wanted;
static atomic_long seen;
static atomic_int state;  // 0: the environment is still to be read, 1: disturb, 2: leave alone

static bool is_wanted(const char *call) {
  if (atomic_load(&state) == 0) {
    const char *program = getenv("SPQAT_FAULT_PROGRAM");
    wanted.path = getenv("SPQAT_FAULT_PATH");
    wanted.log = getenv("SPQAT_FAULT_LOG");
    wanted.onwards = getenv("SPQAT_FAULT_ONWARDS") != NULL;
    const char *at = getenv("SPQAT_FAULT_AT"), *error = getenv("SPQAT_FAULT_ERRNO");
    wanted.at = at ? atol(at) : 0;
    wanted.error = error ? atoi(error) : EIO;
    wanted.call = getenv("SPQAT_FAULT_CALL");
    const bool is_meant = wanted.call && (!program || strcmp(program, program_invocation_short_name) == 0);
    atomic_store(&state, is_meant ? 1 : 2);
  }
  return atomic_load(&state) == 1 && (strcmp(call, wanted.call) == 0 || strcmp(wanted.call, "any") == 0);
}

static void report(const char *call, long number, const char *path) {
  if (!wanted.log) return;
  char line[PATH_MAX + 64];
  const int count = snprintf(line, sizeof line, "%s %ld %s\n", call, number, path);
  const long log = syscall(SYS_openat, AT_FDCWD, wanted.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (log < 0) return;
  syscall(SYS_write, log, line, count < (int)sizeof line ? count : (int)sizeof line);
  syscall(SYS_close, log);
}

/// Counts a call on `path`; true where it has to fail, with errno set.
static bool fails_on_path(const char *call, const char *path) {
  if (!is_wanted(call)) return false;
  if (!path) path = "";
  if (wanted.path && !strstr(path, wanted.path)) return false;
  const int before = errno;
  const long number = atomic_fetch_add(&seen, 1) + 1;
  const bool fails = wanted.at > 0 && (number == wanted.at || (wanted.onwards && number > wanted.at));
  if (fails || wanted.at == 0) report(call, number, path);
  errno = fails ? wanted.error : before;
  return fails;
}

static bool fails_on(const char *call, int descriptor) {
  if (!is_wanted(call)) return false;
  char link[32], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const long count = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
  path[count > 0 ? count : 0] = 0;
  return fails_on_path(call, path);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

// ---- Opening

#define DEFINE_OPEN(name)                                    \
  int name(const char *path, int flags, ...) {               \
    va_list more;                                            \
    va_start(more, flags);                                   \
    const mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0; \
    va_end(more);                                            \
    return fails_on_path("open", path) ? -1 : NEXT(name)(path, flags, mode); \
  }
DEFINE_OPEN(open)
DEFINE_OPEN(open64)

#define DEFINE_OPENAT(name)                                  \
  int name(int folder, const char *path, int flags, ...) {   \
    va_list more;                                            \
    va_start(more, flags);                                   \
    const mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0; \
    va_end(more);                                            \
    return fails_on_path("open", path) ? -1 : NEXT(name)(folder, path, flags, mode); \
  }
DEFINE_OPENAT(openat)
DEFINE_OPENAT(openat64)

FILE *fopen(const char *path, const char *mode) { return fails_on_path("open", path) ? NULL : NEXT(fopen)(path, mode); }
FILE *fopen64(const char *path, const char *mode) {
  return fails_on_path("open", path) ? NULL : NEXT(fopen64)(path, mode);
}
int mkstemp(char *path) { return fails_on_path("open", path) ? -1 : NEXT(mkstemp)(path); }

// ---- Through descriptors

ssize_t read(int file, void *to, size_t count) { return fails_on("read", file) ? -1 : NEXT(read)(file, to, count); }
ssize_t pread(int file, void *to, size_t count, off_t at) {
  return fails_on("read", file) ? -1 : NEXT(pread)(file, to, count, at);
}
ssize_t pread64(int file, void *to, size_t count, off64_t at) {
  return fails_on("read", file) ? -1 : NEXT(pread64)(file, to, count, at);
}
ssize_t write(int file, const void *from, size_t count) {
  return fails_on("write", file) ? -1 : NEXT(write)(file, from, count);
}
ssize_t pwrite(int file, const void *from, size_t count, off_t at) {
  return fails_on("write", file) ? -1 : NEXT(pwrite)(file, from, count, at);
}
ssize_t pwrite64(int file, const void *from, size_t count, off64_t at) {
  return fails_on("write", file) ? -1 : NEXT(pwrite64)(file, from, count, at);
}
int fsync(int file) { return fails_on("fsync", file) ? -1 : NEXT(fsync)(file); }
int fdatasync(int file) { return fails_on("fsync", file) ? -1 : NEXT(fdatasync)(file); }
int ftruncate(int file, off_t size) { return fails_on("ftruncate", file) ? -1 : NEXT(ftruncate)(file, size); }
int ftruncate64(int file, off64_t size) { return fails_on("ftruncate", file) ? -1 : NEXT(ftruncate64)(file, size); }
int flock(int file, int operation) { return fails_on("flock", file) ? -1 : NEXT(flock)(file, operation); }

static bool is_pipe(int file) {
  struct stat status;
  return syscall(SYS_fstat, file, &status) == 0 && S_ISFIFO(status.st_mode);
}

/// The descriptor is gone whatever close returns.
int close(int file) {
  // It cannot fail for a pipe, and Swift's library traps where it does.
  if (is_pipe(file)) return NEXT(close)(file);
  if (!fails_on("close", file)) return NEXT(close)(file);
  const int error = errno;
  NEXT(close)(file);
  errno = error;
  return -1;
}

void *mmap(void *at, size_t count, int protection, int flags, int file, off_t offset) {
  return fails_on("mmap", file) ? MAP_FAILED : NEXT(mmap)(at, count, protection, flags, file, offset);
}
void *mmap64(void *at, size_t count, int protection, int flags, int file, off64_t offset) {
  return fails_on("mmap", file) ? MAP_FAILED : NEXT(mmap64)(at, count, protection, flags, file, offset);
}

// ---- Names and folders

int rename(const char *from, const char *to) { return fails_on_path("rename", to) ? -1 : NEXT(rename)(from, to); }
int renameat(int in, const char *from, int there, const char *to) {
  return fails_on_path("rename", to) ? -1 : NEXT(renameat)(in, from, there, to);
}
int mkdir(const char *path, mode_t mode) { return fails_on_path("mkdir", path) ? -1 : NEXT(mkdir)(path, mode); }
int unlink(const char *path) { return fails_on_path("unlink", path) ? -1 : NEXT(unlink)(path); }
DIR *opendir(const char *path) { return fails_on_path("opendir", path) ? NULL : NEXT(opendir)(path); }
struct dirent *readdir(DIR *folder) { return fails_on("readdir", dirfd(folder)) ? NULL : NEXT(readdir)(folder); }
struct dirent64 *readdir64(DIR *folder) {
  return fails_on("readdir", dirfd(folder)) ? NULL : NEXT(readdir64)(folder);
}
int stat(const char *path, struct stat *found) { return fails_on_path("stat", path) ? -1 : NEXT(stat)(path, found); }
int lstat(const char *path, struct stat *found) { return fails_on_path("stat", path) ? -1 : NEXT(lstat)(path, found); }
int fstat(int file, struct stat *found) { return fails_on("stat", file) ? -1 : NEXT(fstat)(file, found); }

// ---- Processes

int posix_spawn(
    pid_t *process, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes,
    char *const arguments[], char *const environment[]) {
  return fails_on_path("spawn", path)
             ? errno
             : NEXT(posix_spawn)(process, path, actions, attributes, arguments, environment);
}
