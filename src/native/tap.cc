#include "tap.h"

#include <time.h>

#include <algorithm>
#include <cstring>

#include "checksum.h"
#include "message.h"

namespace mpfwd {

namespace {

constexpr size_t kIpv4Octets = 20;
constexpr size_t kIpv6Octets = 40;
constexpr size_t kUdpOctets = 8;
constexpr size_t kTcpOctets = 20;
constexpr uint8_t kTcpPushAck = 0x18;
constexpr uint32_t kDontFragment = 0x4000;

struct RecordHeader {
  uint32_t seconds;
  uint32_t nanoseconds;
  uint32_t captured;
  uint32_t original;
};
static_assert(sizeof(RecordHeader) == kTapRecordHeader);

bool allZero(const uint8_t* octets, size_t count) {
  return std::all_of(octets, octets + count, [](uint8_t octet) { return octet == 0; });
}

}  // namespace

/** What the headers in front of a message say. */
struct Tap::Outer {
  const uint8_t* source;
  const uint8_t* destination;
  /** As in a packet; raw has none. */
  const uint8_t* sourcePort;
  const uint8_t* destinationPort;
  uint8_t trafficClass;
  uint8_t hopLimit;
  uint32_t seq;
  uint32_t ack;
};

void Tap::start(uint32_t snapOctets, const std::vector<uint32_t>* links) {
  if (ring_ == nullptr) ring_.reset(new uint8_t[kTapRing]);
  put_ = taken_ = 0;
  snap_ = snapOctets;
  all_ = links == nullptr;
  links_ = all_ ? std::vector<uint32_t>() : *links;
  std::sort(links_.begin(), links_.end());
}

size_t Tap::read(uint8_t* into, size_t octetsMax) {
  size_t written = 0;
  while (active() && taken_ < put_) {
    RecordHeader header;
    copyOut(taken_, reinterpret_cast<uint8_t*>(&header), sizeof header);
    const size_t octets = sizeof header + header.captured;
    if (octets > octetsMax - written) break;
    copyOut(taken_, into + written, octets);
    taken_ += octets;
    written += octets;
  }
  return written;
}

void Tap::sent(const Socket& socket, const Destination& to, const iovec& message) {
  const auto* octets = static_cast<const uint8_t*>(message.iov_base);
  const bool tcp = socket.tcp();
  if (!wants(octets, message.iov_len)) return;
  const uint8_t* path = to.named && !tcp ? to.path : socket.path;
  const bool chosen = !allZero(path + path_at::local, 16);
  const Outer outer = {
      .source = (chosen ? path : socket.path) + path_at::local,
      .destination = path + path_at::remote,
      .sourcePort = socket.localPort,
      .destinationPort = path + path_at::port,
      .trafficClass = tcp ? uint8_t{0} : to.trafficClass,
      .hopLimit = static_cast<uint8_t>(socket.hopLimit),
      .seq = tcp ? socket.stream->octetsPut : 0,
      .ack = tcp ? socket.stream->octetsCut : 0,
  };
  synthesise(socket, outer, octets, message.iov_len);
}

void Tap::received(const Socket& socket, const uint8_t* path, uint32_t trafficClass,
                   uint32_t hopLimit, const uint8_t* message, size_t octets) {
  if (!wants(message, octets)) return;
  const bool tcp = socket.tcp();
  const bool told = !allZero(path + path_at::local, 16);
  const Outer outer = {
      .source = path + path_at::remote,
      .destination = (told ? path : socket.path) + path_at::local,
      .sourcePort = path + path_at::port,
      .destinationPort = socket.localPort,
      .trafficClass = static_cast<uint8_t>(trafficClass),
      .hopLimit = static_cast<uint8_t>(hopLimit),
      .seq = tcp ? socket.stream->octetsCut - static_cast<uint32_t>(kFrameHeader + octets) : 0,
      .ack = tcp ? socket.stream->octetsPut : 0,
  };
  synthesise(socket, outer, message, octets);
}

void Tap::receivedIpv4(const uint8_t* packet, size_t octets) {
  if (octets < kIpv4Octets) return;
  const size_t header = std::min<size_t>(size_t{packet[0] & 15u} * 4, octets);
  if (!wants(packet + header, octets - header)) return;
  // What did not fit its slot is longer than what is here.
  const size_t original = std::max<size_t>(octets, load16(packet + 2));
  record(packet, header, packet + header, octets - header, original);
}

bool Tap::wants(const uint8_t* message, size_t octets) const {
  if (all_) return true;
  return octets >= kPreamble && std::binary_search(links_.begin(), links_.end(), linkIdOf(message));
}

/** Writes the headers, with their checksums, and records. */
void Tap::synthesise(const Socket& socket, const Outer& outer, const uint8_t* message,
                     size_t octets) {
  uint8_t header[kIpv6Octets + kTcpOctets + kFrameHeader] = {};
  const size_t ip = socket.v6 ? kIpv6Octets : kIpv4Octets;
  // Over TCP the message's length is the last of what stands in front of it.
  const size_t l4 = socket.tcp() ? kTcpOctets + kFrameHeader : socket.udp() ? kUdpOctets : 0;
  const auto protocol = static_cast<uint8_t>(socket.protocol);
  if (socket.v6) {
    store32(header, 6u << 28 | uint32_t{outer.trafficClass} << 20);
    store16(header + 4, static_cast<uint32_t>(l4 + octets));
    header[6] = protocol;
    header[7] = outer.hopLimit;
    std::memcpy(header + 8, outer.source, 16);
    std::memcpy(header + 24, outer.destination, 16);
  } else {
    header[0] = 0x45;
    header[1] = outer.trafficClass;
    store16(header + 2, static_cast<uint32_t>(ip + l4 + octets));
    store16(header + 6, kDontFragment);
    header[8] = outer.hopLimit;
    header[9] = protocol;
    std::memcpy(header + 12, outer.source, 4);
    std::memcpy(header + 16, outer.destination, 4);
    writeIpv4Checksum(header, ip);
  }
  if (l4 > 0) {
    std::memcpy(header + ip, outer.sourcePort, 2);
    std::memcpy(header + ip + 2, outer.destinationPort, 2);
  }
  if (socket.udp()) store16(header + ip + 4, static_cast<uint32_t>(l4 + octets));
  if (socket.tcp()) {
    store32(header + ip + 4, outer.seq);
    store32(header + ip + 8, outer.ack);
    header[ip + 12] = kTcpOctets / 4 << 4;
    header[ip + 13] = kTcpPushAck;
    store16(header + ip + 14, 0xffff);
    store16(header + ip + kTcpOctets, static_cast<uint32_t>(octets));
  }
  if (l4 > 0) {
    uint64_t sum = addPseudoHeader(0, header, socket.v6, protocol, l4 + octets);
    sum = addToSum(addToSum(sum, header + ip, l4), message, octets);
    const auto checksum = static_cast<uint16_t>(~foldSum(sum));
    // Zero means "none" to UDP.
    store16(header + ip + (socket.tcp() ? 16 : 6), checksum == 0 ? 0xffff : checksum);
  }
  record(header, ip + l4, message, octets, ip + l4 + octets);
}

void Tap::record(const uint8_t* header, size_t headerOctets, const uint8_t* message, size_t octets,
                 size_t original) {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  headerOctets = std::min(headerOctets, snap_);
  octets = std::min(octets, snap_ - headerOctets);
  const size_t captured = headerOctets + octets;
  if (kTapRecordHeader + captured > kTapRing - (put_ - taken_)) {
    memory_.add(Counter::tapMissed);
    return;
  }
  const RecordHeader record = {
      static_cast<uint32_t>(now.tv_sec),
      static_cast<uint32_t>(now.tv_nsec),
      static_cast<uint32_t>(captured),
      static_cast<uint32_t>(original),
  };
  put(&record, sizeof record);
  put(header, headerOctets);
  put(message, octets);
}

void Tap::put(const void* from, size_t octets) {
  const size_t at = put_ % kTapRing;
  const size_t first = std::min(octets, kTapRing - at);
  if (first > 0) std::memcpy(ring_.get() + at, from, first);
  if (first < octets) {
    std::memcpy(ring_.get(), static_cast<const uint8_t*>(from) + first, octets - first);
  }
  put_ += octets;
}

void Tap::copyOut(uint64_t at, uint8_t* to, size_t octets) const {
  const size_t offset = at % kTapRing;
  const size_t first = std::min(octets, kTapRing - offset);
  std::memcpy(to, ring_.get() + offset, first);
  if (first < octets) std::memcpy(to + first, ring_.get(), octets - first);
}

}  // namespace mpfwd
