/** Batches of messages from a socket into slots, opened on the way. */
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "contexts.h"
#include "lanes.h"
#include "memory.h"
#include "open.h"
#include "socket.h"
#include "tap.h"

namespace mpfwd {

/** Messages of one `recvmmsg` on a raw socket. */
constexpr uint32_t kReceiveBatch = 128;
/** Messages of one `recvmmsg` on a UDP socket, each up to 64 KiB of equal datagrams. */
constexpr uint32_t kGroBatch = 32;
/** Room for a packet's destination, a traffic class, a hop limit and a segment size. */
constexpr size_t kArrivalControl = 128;
static_assert(kArrivalControl >= CMSG_SPACE(sizeof(in6_pktinfo)) + 3 * CMSG_SPACE(sizeof(int)));

/** What `recvmmsg` fills, prepared once. */
template <uint32_t kCount>
struct Arrivals {
  mmsghdr messages[kCount];
  iovec parts[kCount];
  SocketAddress names[kCount];
  alignas(cmsghdr) uint8_t control[kCount][kArrivalControl];

  Arrivals() {
    for (uint32_t at = 0; at < kCount; at += 1) {
      messages[at].msg_hdr = {};
      messages[at].msg_hdr.msg_iov = &parts[at];
      messages[at].msg_hdr.msg_iovlen = 1;
    }
  }
  Arrivals(const Arrivals&) = delete;
  Arrivals& operator=(const Arrivals&) = delete;

  /** Names are wanted where the peer can differ, control where something is told in it. */
  void reset(uint32_t at, void* octets, size_t count, bool named, bool controlled) {
    parts[at] = {octets, count};
    msghdr& header = messages[at].msg_hdr;
    header.msg_name = named ? &names[at] : nullptr;
    header.msg_namelen = named ? sizeof names[at] : 0;
    header.msg_control = controlled ? control[at] : nullptr;
    header.msg_controllen = controlled ? kArrivalControl : 0;
    header.msg_flags = 0;
  }
};

/** A UDP socket's buffers: datagrams the kernel joined wait here until there are slots for them. */
struct GroBuffers {
  /** A cache line more than a datagram can have, so that buffers do not meet in one cache set. */
  static constexpr size_t kBuffer = 65536 + 64;

  Arrivals<kGroBatch> arrivals;
  /** Not cleared: pages that no datagram needs are never touched. */
  std::unique_ptr<uint8_t[]> octets{new uint8_t[kGroBatch * kBuffer]};
  /** Messages held, the one being cut, and how far. */
  uint32_t count = 0;
  uint32_t at = 0;
  uint32_t offset = 0;

  bool hasLeftover() const { return at < count; }
  uint8_t* buffer(uint32_t index) { return octets.get() + index * kBuffer; }
};

/** A message as it arrived. */
struct Mangled {
  size_t octets = 0;
  uint8_t message[kMessageMax];
};

class Receiver {
 public:
  Receiver(Memory& memory, Contexts& contexts, Tap& tap)
      : memory_(memory), contexts_(contexts), tap_(tap) {}

  /**
   * Fills `slots`, which are free, from the front and returns how many hold a packet now. Slots of
   * refused messages are moved behind. `plain`: nothing is opened.
   */
  uint32_t receive(Socket& socket, uint32_t* slots, uint32_t capacity, bool plain);

  /** From now on keeps the newest message that names a link of ours and has a bad tag, or forgets.
   */
  void keepMangled(bool keep);
  /** Gives it away; null when there is none. */
  std::unique_ptr<Mangled> takeMangled();

 private:
  uint32_t receiveRaw(Socket& socket, uint32_t* slots, uint32_t capacity);
  uint32_t receiveUdp(Socket& socket, uint32_t* slots, uint32_t capacity);
  uint32_t receiveTcp(Socket& socket, uint32_t* slots, uint32_t capacity);
  uint32_t cutStream(Socket& socket, uint32_t* slots, uint32_t capacity);
  uint32_t expectStreamTags(const Stream& stream, uint32_t wanted);
  uint32_t cutHeld(Socket& socket, uint32_t* slots, uint32_t capacity);
  void expectRawTags(const Socket& socket, uint32_t got);
  uint32_t expectHeldTags(GroBuffers& gro, uint32_t wanted);
  int fetch(Socket& socket, mmsghdr* messages, uint32_t count);
  void tapRaw(const Socket& socket, const uint8_t* packet, size_t octets);
  bool rawMessage(const Socket& socket, uint32_t at, uint32_t slot);
  bool open(uint8_t* message, size_t octets, Opened& opened);
  bool accept(const Socket& socket, uint8_t* message, size_t octets, uint32_t slot,
              uint32_t& length);

  Memory& memory_;
  Contexts& contexts_;
  Tap& tap_;
  TagBatch tags_;
  static_assert(kReceiveBatch <= TagBatch::kMax);
  bool plain_ = false;
  /** Where the message under work came from and how. */
  uint8_t path_[kPathOctets];
  uint32_t trafficClass_ = 0;
  uint32_t hopLimit_ = 0;
  /** Null: none is kept. The message under work, which opening it may change, and the newest. */
  std::unique_ptr<Mangled> asArrived_;
  std::unique_ptr<Mangled> mangled_;
  Arrivals<kReceiveBatch> raw_;
};

}  // namespace mpfwd
