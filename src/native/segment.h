/**
 * Cuts a super-packet read from a TUN into packets of the device's MTU, as the kernel's own
 * segmentation offload does (TSO and USO). Pure: octets in, octets out.
 *
 * Not here: reading the device (`tun.cc`) and the way back (`coalesce.cc`).
 */
#pragma once

#include <cstddef>
#include <cstdint>

namespace mpfwd {

/** `struct virtio_net_hdr`, native byte order, as a TUN with IFF_VNET_HDR puts it in front. */
struct VnetHeader {
  uint8_t flags;
  uint8_t gsoType;
  uint16_t headerOctets;
  uint16_t gsoSize;
  uint16_t checksumStart;
  uint16_t checksumOffset;
};
static_assert(sizeof(VnetHeader) == 10);

constexpr uint8_t kVnetNeedsChecksum = 1;
constexpr uint8_t kVnetGsoNone = 0;
constexpr uint8_t kVnetGsoTcp4 = 1;
constexpr uint8_t kVnetGsoTcp6 = 4;
constexpr uint8_t kVnetGsoUdp = 5;
/** The super-packet's first segment carries CWR. */
constexpr uint8_t kVnetGsoEcn = 0x80;

/** Longest super-packet: the IPv4 total length field. */
constexpr size_t kSuperPacketMax = 65535;

/**
 * Checks that `packet` begins with a whole IPv4 or IPv6 header and is at least as long as that
 * says; returns the length the header says, 0 when it is damaged or neither.
 */
size_t ipLength(const uint8_t* packet, size_t length);

/** Completes the transport checksum the kernel left open; false when it lies outside the packet. */
bool completeChecksum(const VnetHeader& vnet, uint8_t* packet, size_t length);

class Segmenter {
 public:
  enum class Begun { yes, malformed, oversize };

  /**
   * Takes a super-packet whose octets stay in place until `done`. `oversize`: a segment would be
   * longer than `segmentMax` octets.
   */
  Begun begin(const VnetHeader& vnet, const uint8_t* packet, size_t length, size_t segmentMax);
  bool done() const { return at_ >= length_; }
  /** Writes the next segment, at most `segmentMax` octets, and returns its length. */
  size_t next(uint8_t* out);

 private:
  bool findHeaders(const VnetHeader& vnet);
  void patchTcp(uint8_t* l4, bool first, bool last) const;

  const uint8_t* packet_ = nullptr;
  size_t length_ = 0;
  /** Where the next segment's payload begins. */
  size_t at_ = 0;
  size_t l4At_ = 0;
  /** Octets of all headers, repeated in front of each segment. */
  size_t headers_ = 0;
  size_t gsoSize_ = 0;
  uint32_t index_ = 0;
  bool v6_ = false;
  bool udp_ = false;
};

}  // namespace mpfwd
