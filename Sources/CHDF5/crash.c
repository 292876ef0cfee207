// HDF5 1.10 trusts the structure of files: there are places (heaps of names, tables of links, references to strings)
// where one that lies makes it read or free what is not its own. Nobody but itself can check all of them, and it does
// not. So a crash inside it ends the program as other bad input does, in one line with status 2, rather than by a
// signal.

#include "CHDF5.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED 1
#endif
#endif

static const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGABRT};
enum { COUNT = sizeof numbers / sizeof numbers[0] };

// Callers hold the one lock. The handler reads this on the thread that wrote it.
static struct {
  volatile sig_atomic_t depth;
  pthread_t thread;
  volatile sig_atomic_t length;
  char message[4096];
  struct sigaction previous[COUNT];
  stack_t stack;
  char memory[64 << 10];
} inside;

#ifndef IS_SANITIZED
static void end(int number, siginfo_t *information, void *context) {
  (void)context;
  if (inside.depth > 0 && inside.length > 0 && pthread_equal(inside.thread, pthread_self())) {
    if (write(STDERR_FILENO, inside.message, (size_t)inside.length) < 0) _exit(2);
    _exit(2);
  }
  // Not ours: the instruction is executed again, or the signal sent again, for whoever listened before.
  for (int index = 0; index < COUNT; ++index)
    if (numbers[index] == number) sigaction(number, &inside.previous[index], NULL);
  if (information->si_code <= 0) raise(number);
}

static void listen_once(void) {
  static int listens;
  if (listens) return;
  listens = 1;
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = end;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  for (int index = 0; index < COUNT; ++index) sigaction(numbers[index], &action, &inside.previous[index]);
}
#endif

void chdf5_enter(void) {
  if (inside.depth > 0) {
    ++inside.depth;
    return;
  }
  inside.length = 0;
#ifndef IS_SANITIZED
  listen_once();
  inside.thread = pthread_self();
  // Groups that contain themselves overflow the stack.
  const stack_t mine = {.ss_sp = inside.memory, .ss_size = sizeof inside.memory};
  sigaltstack(&mine, &inside.stack);
#endif
  inside.depth = 1;
}

void chdf5_leave(void) {
  if (inside.depth > 1) {
    --inside.depth;
    return;
  }
  inside.depth = 0;
#ifndef IS_SANITIZED
  sigaltstack(&inside.stack, NULL);
#endif
}

void chdf5_on_crash(const char *message) {
  const size_t length = strnlen(message, sizeof inside.message);
  inside.length = 0;
  memcpy(inside.message, message, length);
  inside.length = (sig_atomic_t)length;
}
