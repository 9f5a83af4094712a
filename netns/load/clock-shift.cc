// Preloaded into a process (LD_PRELOAD), moves its wall clock, and nothing else, by as many seconds as the
// file named by CLOCK_SHIFT_FILE holds: eight octets, byte order of this machine, read anew at every call.
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

namespace {

const volatile int64_t* MapShift() {
  static const int64_t kNone = 0;
  const char* path = getenv("CLOCK_SHIFT_FILE");
  int fd = path == nullptr ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return &kNone;
  void* page = mmap(nullptr, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  return page == MAP_FAILED ? &kNone : static_cast<const int64_t*>(page);
}

int64_t Shift() {
  static const volatile int64_t* shift = MapShift();
  return *shift;
}

using ClockGettime = int (*)(clockid_t, timespec*);

int RealClockGettime(clockid_t clock, timespec* at) {
  static auto real = reinterpret_cast<ClockGettime>(dlsym(RTLD_NEXT, "clock_gettime"));
  return real(clock, at);
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* at) noexcept {
  int result = RealClockGettime(clock, at);
  bool is_wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
  if (result == 0 && is_wall) at->tv_sec += Shift();
  return result;
}

int gettimeofday(timeval* at, void*) noexcept {
  timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  at->tv_sec = now.tv_sec;
  at->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t* at) noexcept {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (at != nullptr) *at = now.tv_sec;
  return now.tv_sec;
}

}  // extern "C"
