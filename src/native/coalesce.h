/**
 * Plans how packets leave as super-packets: neighbouring segments of one TCP flow are joined under
 * the rules of the kernel's own generic receive offload (`tcp_gro_receive`, `inet_gro_receive`), so
 * that cutting the result again gives the same packets. Pure: reads octets, copies no payload.
 *
 * Packets of other flows may stand between two segments of a run; the order inside each flow is
 * kept, because a group leaves where its first packet stood and a flow has one open group.
 */
#pragma once

#include <cstddef>
#include <cstdint>

#include "segment.h"

namespace mpfwd {

/** Packets planned at a time. */
constexpr uint32_t kPlanMax = 256;
/** Longest header of a super-packet: IPv6 and TCP with all options. */
constexpr size_t kMergedHeaderMax = 40 + 60;
constexpr uint32_t kNoPacket = UINT32_MAX;

/** One write: one packet, or a run of segments. */
struct Group {
  const uint8_t* packet;
  uint32_t first;
  uint32_t last;
  uint32_t count;
  /** Octets of the packet, or of the super-packet. */
  uint32_t total;
  uint32_t headers;
  uint32_t l4At;
  /** Payload octets of every segment but a shorter last one. */
  uint32_t segment;
  uint32_t nextSeq;
  uint16_t lastId;
  /** How IPv4 identification advances within the group: 0, 1, or -1 while it is one packet. */
  int8_t idStep;
  uint8_t lastFlags;
  bool v6;
  bool verified;
};

class Coalescer {
 public:
  void clear();
  /** Adds packet number `index`, ascending from 0, below kPlanMax. Its octets stay in place. */
  void add(uint32_t index, const uint8_t* packet, size_t length);

  uint32_t groupCount() const { return groupCount_; }
  const Group& group(uint32_t at) const { return groups_[at]; }
  /** The packet behind `index` in its group; kNoPacket at the end. */
  uint32_t next(uint32_t index) const { return next_[index]; }

  /** Writes the offload header and the joined packet's headers; returns the octets of the latter.
   */
  static size_t writeHeaders(const Group& group, VnetHeader& vnet, uint8_t* out);

 private:
  /** Flows that may have an open group at a time; the oldest is closed for a new one. */
  static constexpr uint32_t kOpenMax = 8;

  void open(uint32_t group);
  void close(uint32_t at);

  Group groups_[kPlanMax];
  uint32_t next_[kPlanMax];
  uint32_t open_[kOpenMax];
  uint32_t groupCount_ = 0;
  uint32_t openCount_ = 0;
};

}  // namespace mpfwd
