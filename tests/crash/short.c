/* Short writes, preloaded: the write numbered SHORT (from 1; every one where it is 0) takes only half of what it is given.
 * It is a true one: what it says was written is in the file. With FULL the next write finds the disk full, as on a disk
 * that fills up. The file TOLD comes to be when that happens. Standard streams are left alone. points.sh builds and uses
 * it: strace can make a call give another number, but then it makes no call at all. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

static atomic_long calls;

static void tell(void) {
  int file = open(getenv("TOLD"), O_CREAT | O_WRONLY, 0600);
  if (file >= 0) close(file);
}

ssize_t write(int file, const void *bytes, size_t length) {
  ssize_t (*next)(int, const void *, size_t) = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
  const char *chosen = getenv("SHORT");
  if (!chosen || file <= 2) return next(file, bytes, length);
  long call = atomic_fetch_add(&calls, 1) + 1, wanted = atol(chosen);
  if (getenv("FULL") && call == wanted + 1) {
    tell();
    errno = ENOSPC;
    return -1;
  }
  if (length < 2 || (wanted != 0 && call != wanted)) return next(file, bytes, length);
  if (!getenv("FULL")) tell();
  return next(file, bytes, length / 2);
}
