/**
 * The stream of one TCP connection: messages with their length in front (2 octets, network byte
 * order), cut out of it and put into it. Knows no keys. What is held in either direction is
 * bounded, whatever the peer sends or leaves unread.
 */
#pragma once

#include <sys/uio.h>

#include <memory>

#include "memory.h"
#include "octets.h"
#include "status.h"

namespace mpfwd {

constexpr size_t kFrameHeader = 2;
/** Octets a message may have on any transport: a packet, its tag, and the room in front of it. */
constexpr size_t kMessageMax = kSlotSize - kSlotHeadroom;
/** Octets received and not handed on, a connection. */
constexpr size_t kStreamBuffer = 65536;
static_assert(kStreamBuffer >= 2 * (kFrameHeader + kMessageMax));
/** Stands for an orderly end of the stream where else an errno number does. */
constexpr int kEndOfStream = -1;

struct Frame {
  uint8_t* message = nullptr;
  size_t octets = 0;
};

class Stream {
 public:
  explicit Stream(const Fd& fd) : fd_(fd) {}

  /** 0, an errno number or kEndOfStream; the first one stays. */
  int failure() const { return failure_; }
  /** Ends the connection for good: the kernel reports it as an error from now on. */
  void fail(int error);

  /**
   * Takes the next whole message out of what was received; false when there is none. The message
   * stays where it is until the next `fill`. A length that cannot be ends the stream.
   */
  bool cut(Frame& frame);
  /** The message after `frame` (or the first one) without taking it. */
  bool peek(const Frame& frame, Frame& next) const;
  /** Whether `cut` has something to do. */
  bool hasWhole() const;
  /**
   * One read; only while `hasWhole` says no, so that the end of the stream is noticed behind its
   * last message. False when there was nothing to read, or no more will come.
   */
  bool fill();

  /** Octets taken by the kernel; -1: it is full, the connection not up yet, or it failed. */
  ssize_t write(iovec* parts, size_t count);
  /** Keeps the octets of a frame behind the first `written`, to be written first next time. */
  void keepRest(const uint8_t header[kFrameHeader], const uint8_t* message, size_t octets,
                size_t written);
  /** Whether the rest of a frame is kept. */
  bool owesRest() const { return restAt_ < restEnd_; }
  /** Writes what is kept; false when something is still left. */
  bool flush();

  /** Octets of frames cut out and put in so far, modulo 2^32. */
  uint32_t octetsCut = 0;
  uint32_t octetsPut = 0;

 private:
  size_t held() const { return end_ - begin_; }

  const Fd& fd_;
  int failure_ = 0;
  /** Not cleared: pages that are never filled are never touched. */
  std::unique_ptr<uint8_t[]> octets_{new uint8_t[kStreamBuffer]};
  size_t begin_ = 0;
  size_t end_ = 0;
  size_t restAt_ = 0;
  size_t restEnd_ = 0;
  uint8_t rest_[kFrameHeader + kMessageMax];
};

}  // namespace mpfwd
