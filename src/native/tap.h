/**
 * Outer packets as pcap records (LINKTYPE_RAW, nanoseconds, this machine's byte order) in a ring,
 * while somebody captures. Headers that the kernel keeps to itself are written anew: addresses,
 * ports, DSCP and ECN are true, as is the hop limit of what we send; of what arrives it is 0 where
 * the socket does not tell it, and identifications are 0. TCP: one record a message, its length in
 * front, as octets of the connection counted from its first message.
 */
#pragma once

#include <memory>
#include <vector>

#include "contexts.h"
#include "memory.h"
#include "socket.h"

namespace mpfwd {

/** Octets of the ring: a quarter of a second of a gigabit. */
constexpr size_t kTapRing = 8 << 20;
/** Links that a capture may name. */
constexpr size_t kTapLinksMax = 256;
constexpr size_t kTapRecordHeader = 16;
/** IPv6 and TCP, or the longest IPv4 header. */
constexpr size_t kTapHeaderMax = 60;
/** No record is longer: what a reader has room for at least. */
constexpr size_t kTapRecordMax = 4096;
static_assert(kTapRecordMax >= kTapRecordHeader + kTapHeaderMax + kFrameHeader + kSlotSize);

class Tap {
 public:
  explicit Tap(Memory& memory) : memory_(memory) {}

  /** Begins anew. `links`: only messages that name one of these ids; null: all. */
  void start(uint32_t snapOctets, const std::vector<uint32_t>* links);
  void stop() { ring_.reset(); }
  bool active() const { return ring_ != nullptr; }
  /** Moves whole records, oldest first; returns the octets written. */
  size_t read(uint8_t* into, size_t octetsMax);

  /** A message that left `socket`. */
  void sent(const Socket& socket, const Destination& to, const iovec& message);
  /** A message that came along `path`, over TCP without its length. */
  void received(const Socket& socket, const uint8_t* path, uint32_t trafficClass, uint32_t hopLimit,
                const uint8_t* message, size_t octets);
  /** A packet that came with its IPv4 header. */
  void receivedIpv4(const uint8_t* packet, size_t octets);

 private:
  struct Outer;

  bool wants(const uint8_t* message, size_t octets) const;
  void synthesise(const Socket& socket, const Outer& outer, const uint8_t* message, size_t octets);
  void record(const uint8_t* header, size_t headerOctets, const uint8_t* message, size_t octets,
              size_t original);
  void put(const void* from, size_t octets);
  void copyOut(uint64_t at, uint8_t* to, size_t octets) const;

  Memory& memory_;
  /** Null: nobody captures. */
  std::unique_ptr<uint8_t[]> ring_;
  /** Octets ever put and taken. */
  uint64_t put_ = 0;
  uint64_t taken_ = 0;
  size_t snap_ = 0;
  bool all_ = true;
  /** Sorted. */
  std::vector<uint32_t> links_;
};

}  // namespace mpfwd
