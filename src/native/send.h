/** Batches of packets from slots to a socket, sealed on the way. */
#pragma once

#include <netinet/udp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "contexts.h"
#include "lanes.h"
#include "memory.h"
#include "socket.h"
#include "tap.h"

namespace mpfwd {

/** Packets sealed and handed to the kernel at a time. */
constexpr uint32_t kSendBatch = 128;
/** The same for TCP, which takes little more than its NOTSENT_LOWAT at a time: the rest is sealed
 * again. */
constexpr uint32_t kStreamBatch = 32;

/** What the latest batch could not send. */
struct SendFailure {
  /** 0: nothing; else the newest errno. */
  int error = 0;
  uint32_t packets = 0;
  /** They are kept by the caller, who tries again after a while; else they were dropped. */
  bool kept = false;
};

class Sender {
 public:
  Sender(Memory& memory, Tap& tap) : memory_(memory), tap_(tap) {}

  /**
   * Seals and sends; returns how many packets were disposed of, from the front. Every packet lies
   * inside its slot with room for a tag and has a class whose key is set: `sealable` says so.
   */
  uint32_t send(const Transmit& transmit, Socket* socket, const uint32_t* slots, uint32_t count);
  /** Whether a message of this type can be sealed under these keys. */
  static bool sealable(const Keys& keys, const uint8_t* message, size_t octets);
  const SendFailure& failure() const { return failure_; }
  /** One message as it is. */
  bool sendPlain(Socket& socket, uint32_t slot, const Destination& to);

 private:
  /** One entry for `sendmmsg`: a packet, or packets that the kernel cuts apart again. */
  struct Span {
    uint32_t first;
    uint32_t count;
  };

  void expectTag(const Keys& keys, uint32_t slot);
  void seal(const Keys& keys, uint32_t slot, uint32_t at);
  uint32_t span(uint32_t count, bool segments);
  void address(uint32_t at, const Destination& to, uint32_t segment);
  uint32_t submit(Socket& socket, const Destination& to, uint32_t packets);
  uint32_t submitSpans(Socket& socket, const Destination& to, uint32_t spans);
  uint32_t submitStream(Socket& socket, uint32_t packets);
  void putFrame(Socket& socket, uint32_t at, size_t written);
  bool retryPlain(Socket& socket, const Destination& to, Span span, uint32_t& disposed);
  void tapSpan(const Socket& socket, const Destination& to, Span span);
  bool mustWait(const Socket& socket, int error);
  void countFailure(int error, uint32_t packets);

  Memory& memory_;
  Tap& tap_;
  SendFailure failure_;
  TagBatch tags_;
  /** Sealed packets of the batch. */
  iovec parts_[kSendBatch];
  /** For TCP, each packet behind its length. */
  uint8_t lengths_[kStreamBatch][kFrameHeader];
  iovec frames_[2 * kStreamBatch];
  Span spans_[kSendBatch];
  mmsghdr messages_[kSendBatch];
  static constexpr size_t kControl = sizeof(Destination::control) + CMSG_SPACE(sizeof(uint16_t));
  alignas(cmsghdr) uint8_t control_[kSendBatch][kControl];
  static_assert(kSendBatch <= TagBatch::kMax);
  /** Ciphertexts: the slot keeps its plain packet, which may be sent again on another link. */
  uint8_t cipher_[kSendBatch][kSlotSize];
};

}  // namespace mpfwd
