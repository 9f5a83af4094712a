/**
 * One epoll descriptor with everything that can become ready, and one libuv handle that watches it.
 *
 * libuv stops watching a descriptor that reports POLLERR; an epoll descriptor never does, so that
 * an ICMP error on a socket can silence nothing. Level-triggered throughout.
 */
#pragma once

#include <node_api.h>
#include <sys/epoll.h>
#include <uv.h>

#include <cstdint>

#include "descriptor.h"

namespace mpfwd {

/** Events looked at in one go; the kernel hands out the others next time. */
constexpr int kEventsMax = 256;

class Poll {
 public:
  using OnReady = void (*)(void* owner);

  Status open();
  /** Stops for good; the descriptors close with the object. */
  void closeHandle(void (*closed)(void*), void* argument);

  Status watch(uv_loop_t* loop, OnReady onReady, void* owner);
  void unwatch();
  bool watching() const { return watching_; }

  Status add(Descriptor& descriptor);
  void setInterest(Descriptor& descriptor, uint32_t interest);
  /** Watches what the descriptor wants now: call it after anything that may have changed that. */
  void update(Descriptor& descriptor);
  void remove(Descriptor& descriptor);
  void setTimer(double deadlineUs);

  /** Writes pairs of handle and events; `pairsMax` of them have room. Returns the pairs. */
  uint32_t look(const Descriptors& descriptors, int32_t* pairs, uint32_t pairsMax);
  /**
   * Makes packets that wait in here count as readable: call it after anything that may have left or
   * taken such packets.
   */
  void setLeftover(const Descriptors& descriptors);

 private:
  uint32_t eventsOf(Descriptor& descriptor, uint32_t events);
  static void onPoll(uv_poll_t* handle, int status, int events);

  Fd epoll_;
  Fd timer_;
  /** Readable while there are leftovers. */
  Fd leftover_;
  bool leftoverSet_ = false;
  bool watching_ = false;
  double armedUs_ = 0;
  uv_poll_t* handle_ = nullptr;
  OnReady onReady_ = nullptr;
  void* owner_ = nullptr;
  epoll_event events_[kEventsMax];
};

}  // namespace mpfwd
