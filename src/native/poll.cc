#include "poll.h"

#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <cmath>

namespace mpfwd {

namespace {

/** Names in the epoll set that are no descriptor's handle. */
constexpr uint64_t kTimerName = 0;
constexpr uint64_t kLeftoverName = UINT64_MAX;
constexpr int32_t kTimerHandle = 0;
/** Beyond it a deadline is never: 285 years. */
constexpr double kNeverUs = 9007199254740992.0;

uint32_t toEpoll(uint32_t interest) {
  return ((interest & kReadable) != 0 ? uint32_t{EPOLLIN} : 0) |
         ((interest & kWritable) != 0 ? uint32_t{EPOLLOUT} : 0);
}

/** EPOLLRDHUP is not watched; EPOLLERR and EPOLLHUP are always reported. */
uint32_t fromEpoll(uint32_t events) {
  return ((events & EPOLLIN) != 0 ? kReadable : 0) | ((events & EPOLLOUT) != 0 ? kWritable : 0) |
         ((events & (EPOLLERR | EPOLLHUP)) != 0 ? kError : 0);
}

int control(const Fd& epoll, int operation, int fd, uint64_t name, uint32_t events) {
  epoll_event event = {};
  event.events = events;
  event.data.u64 = name;
  return ::epoll_ctl(epoll.get(), operation, fd, &event);
}

uint32_t wantedEvents(const Descriptor& descriptor) {
  return descriptor.interest | (descriptor.owesOutput() ? kWritable : 0);
}

bool readableLeftover(const Descriptor& descriptor) {
  return (descriptor.interest & kReadable) != 0 && descriptor.hasLeftover();
}

}  // namespace

Status Poll::open() {
  epoll_ = Fd(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_.valid()) return Status::last("epoll_create1");
  timer_ = Fd(::timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC));
  if (!timer_.valid()) return Status::last("timerfd_create");
  leftover_ = Fd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!leftover_.valid()) return Status::last("eventfd");
  if (control(epoll_, EPOLL_CTL_ADD, timer_.get(), kTimerName, EPOLLIN) < 0 ||
      control(epoll_, EPOLL_CTL_ADD, leftover_.get(), kLeftoverName, EPOLLIN) < 0) {
    return Status::last("epoll_ctl");
  }
  armedUs_ = kNeverUs;
  return Status::ok();
}

Status Poll::watch(uv_loop_t* loop, OnReady onReady, void* owner) {
  if (handle_ == nullptr) {
    auto* handle = new uv_poll_t;
    const int result = uv_poll_init(loop, handle, epoll_.get());
    if (result < 0) {
      delete handle;
      return {-result, "uv_poll_init"};
    }
    handle_ = handle;
    handle_->data = this;
  }
  onReady_ = onReady;
  owner_ = owner;
  const int result = uv_poll_start(handle_, UV_READABLE, onPoll);
  if (result < 0) return {-result, "uv_poll_start"};
  watching_ = true;
  return Status::ok();
}

void Poll::unwatch() {
  watching_ = false;
  if (handle_ != nullptr) uv_poll_stop(handle_);
}

void Poll::closeHandle(void (*closed)(void*), void* argument) {
  unwatch();
  if (handle_ == nullptr) {
    closed(argument);
    return;
  }
  // libuv needs the handle until its own callback, and the engine may be gone by then.
  struct Waiting {
    void (*closed)(void*);
    void* argument;
  };
  handle_->data = new Waiting{closed, argument};
  uv_close(reinterpret_cast<uv_handle_t*>(handle_), [](uv_handle_t* handle) {
    auto* waiting = static_cast<Waiting*>(handle->data);
    waiting->closed(waiting->argument);
    delete waiting;
    delete reinterpret_cast<uv_poll_t*>(handle);
  });
  handle_ = nullptr;
}

void Poll::onPoll(uv_poll_t* handle, int, int) {
  auto* self = static_cast<Poll*>(handle->data);
  if (self->watching_) self->onReady_(self->owner_);
}

Status Poll::add(Descriptor& descriptor) {
  const auto name = static_cast<uint64_t>(descriptor.handle);
  const uint32_t wanted = wantedEvents(descriptor);
  if (control(epoll_, EPOLL_CTL_ADD, descriptor.fd.get(), name, toEpoll(wanted)) < 0) {
    return Status::last("epoll_ctl");
  }
  descriptor.watched = wanted;
  return Status::ok();
}

void Poll::setInterest(Descriptor& descriptor, uint32_t interest) {
  descriptor.interest = interest;
  update(descriptor);
}

void Poll::update(Descriptor& descriptor) {
  const uint32_t wanted = wantedEvents(descriptor);
  if (descriptor.watched == wanted) return;
  descriptor.watched = wanted;
  // Fails for one that is not in the set yet, which is put there with what it wants then.
  const auto name = static_cast<uint64_t>(descriptor.handle);
  control(epoll_, EPOLL_CTL_MOD, descriptor.fd.get(), name, toEpoll(wanted));
}

/** READY bits for JavaScript, after what the descriptor owed was written. */
uint32_t Poll::eventsOf(Descriptor& descriptor, uint32_t events) {
  if ((events & kWritable) != 0 && descriptor.owesOutput()) {
    descriptor.flush();
    update(descriptor);
    if (descriptor.owesOutput()) events &= ~kWritable;
  }
  const uint32_t leftover = readableLeftover(descriptor) ? kReadable : 0;
  return (events & (descriptor.interest | kError)) | leftover;
}

void Poll::remove(Descriptor& descriptor) {
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, descriptor.fd.get(), nullptr);
}

void Poll::setTimer(double deadlineUs) {
  deadlineUs = std::min(deadlineUs, kNeverUs);
  if (deadlineUs == armedUs_) return;
  armedUs_ = deadlineUs;
  itimerspec when = {};
  if (deadlineUs < kNeverUs) {
    // All zero would disarm it: a deadline in the past is due at once.
    const double us = std::max(deadlineUs, 1.0);
    when.it_value.tv_sec = static_cast<time_t>(us / 1e6);
    when.it_value.tv_nsec = static_cast<long>(std::fmod(us, 1e6) * 1e3);
  }
  ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &when, nullptr);
}

uint32_t Poll::look(const Descriptors& descriptors, int32_t* pairs, uint32_t pairsMax) {
  const int wanted = static_cast<int>(std::min<uint32_t>(pairsMax, kEventsMax));
  const int got = wanted == 0 ? 0 : ::epoll_wait(epoll_.get(), events_, wanted, 0);
  uint32_t count = 0;
  auto report = [&](int32_t handle, uint32_t events) {
    pairs[2 * count] = handle;
    pairs[2 * count + 1] = static_cast<int32_t>(events);
    count += 1;
  };
  for (int at = 0; at < got; at += 1) {
    const uint64_t name = events_[at].data.u64;
    if (name == kLeftoverName) continue;
    if (name == kTimerName) {
      uint64_t expirations;
      if (::read(timer_.get(), &expirations, sizeof expirations) < 0) continue;
      armedUs_ = kNeverUs;
      report(kTimerHandle, kReadable);
      continue;
    }
    Descriptor* descriptor = descriptors.find(static_cast<int32_t>(name));
    if (descriptor == nullptr) continue;
    const uint32_t events = eventsOf(*descriptor, fromEpoll(events_[at].events));
    if (events != 0) report(descriptor->handle, events);
  }
  descriptors.each([&](const Descriptor& descriptor) {
    if (count >= pairsMax || !readableLeftover(descriptor)) return;
    for (uint32_t at = 0; at < count; at += 1) {
      if (pairs[2 * at] == descriptor.handle) return;
    }
    report(descriptor.handle, kReadable);
  });
  return count;
}

void Poll::setLeftover(const Descriptors& descriptors) {
  bool wanted = false;
  descriptors.each(
      [&](const Descriptor& descriptor) { wanted = wanted || readableLeftover(descriptor); });
  if (wanted == leftoverSet_) return;
  leftoverSet_ = wanted;
  uint64_t value = 1;
  const ssize_t done = wanted ? ::write(leftover_.get(), &value, sizeof value)
                              : ::read(leftover_.get(), &value, sizeof value);
  static_cast<void>(done);
}

}  // namespace mpfwd
