#include "coalesce.h"

#include <netinet/in.h>

#include "checksum.h"
#include "octets.h"

namespace mpfwd {

namespace {

constexpr uint32_t kFin = 0x01;
constexpr uint32_t kSyn = 0x02;
constexpr uint32_t kRst = 0x04;
constexpr uint32_t kPsh = 0x08;
constexpr uint32_t kUrg = 0x20;
constexpr uint32_t kCwr = 0x80;
/** Segments of one super-packet. 65535 octets hold 46 of the usual 1400. */
constexpr uint32_t kRunMax = 128;

enum class Kind {
  /** Not TCP: says nothing about any TCP flow. */
  other,
  /** A fragment, options, damage: its flow is unknown, so nothing may overtake it. */
  unclear,
  /** TCP, and the group describes it. */
  tcp,
};

/** Fills in the group of one packet. */
Kind describe(Group& group, const uint8_t* packet, size_t length) {
  if (length < 40 || ipLength(packet, length) != length) return Kind::unclear;
  group.v6 = packet[0] >> 4 == 6;
  group.l4At = group.v6 ? 40 : 20;
  const uint8_t protocol = packet[group.v6 ? 6 : 9];
  if (!group.v6) {
    const bool fragment = (load16(packet + 6) & 0xbfff) != 0;  // All but "don't fragment".
    if ((packet[0] & 15) != 5 || fragment) return Kind::unclear;
  }
  if (protocol == IPPROTO_UDP || protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6) {
    return Kind::other;
  }
  if (protocol != IPPROTO_TCP || length < group.l4At + 20) return Kind::unclear;
  const uint8_t* tcp = packet + group.l4At;
  const uint32_t header = uint32_t{tcp[12]} / 16 * 4;
  group.headers = group.l4At + header;
  if (header < 20 || group.headers > length) return Kind::unclear;
  group.segment = static_cast<uint32_t>(length) - group.headers;
  group.nextSeq = load32(tcp + 4) + group.segment;
  group.lastFlags = tcp[13];
  group.lastId = group.v6 ? 0 : load16(packet + 4);
  group.idStep = -1;
  group.verified = false;
  return Kind::tcp;
}

bool sameFlow(const Group& a, const Group& b) {
  if (a.v6 != b.v6) return false;
  const size_t at = a.v6 ? 8 : 12;
  // Addresses and ports are neighbours in IPv6 and, without options, in IPv4.
  return std::memcmp(a.packet + at, b.packet + at, a.l4At - at + 4) == 0;
}

bool mayBegin(const Group& one) {
  return one.segment > 0 && (one.lastFlags & (kSyn | kRst | kUrg | kPsh | kFin)) == 0;
}

/** The step of the identification if `one` follows, or -1 when it must not. */
int idStep(const Group& group, const Group& one) {
  if (group.v6) return 0;
  const bool dontFragment = (group.packet[6] & 0x40) != 0;
  const uint16_t step = static_cast<uint16_t>(one.lastId - group.lastId);
  // With "don't fragment" the identification means nothing (RFC 6864) and may stand still.
  if (step > 1 || (step == 0 && !dontFragment)) return -1;
  return group.idStep == -1 || group.idStep == step ? step : -1;
}

bool sameIpHeader(const Group& group, const Group& one) {
  const uint8_t* a = group.packet;
  const uint8_t* b = one.packet;
  // IPv6: version, traffic class, flow label; hop limit.
  if (group.v6) return std::memcmp(a, b, 4) == 0 && a[7] == b[7];
  // IPv4: traffic class, "don't fragment", time to live.
  return a[1] == b[1] && a[6] == b[6] && a[8] == b[8];
}

bool sameTcpHeader(const Group& group, const Group& one) {
  const uint8_t* a = group.packet + group.l4At;
  const uint8_t* b = one.packet + one.l4At;
  const uint32_t ignored = (kCwr | kFin | kPsh) << 16;
  // Data offset, flags and window stand in one word.
  if (((load32(a + 12) ^ load32(b + 12)) & ~ignored) != 0) return false;
  if (std::memcmp(a + 8, b + 8, 4) != 0) return false;  // Acknowledgement number.
  return std::memcmp(a + 18, b + 18, 2) == 0 &&
         std::memcmp(a + 20, b + 20, group.headers - group.l4At - 20) == 0;
}

/** Joining hides the checksums from the kernel, so they must be right. */
bool checksumsRight(const Group& one, size_t length) {
  if (!one.v6 && foldSum(addToSum(0, one.packet, 20)) != 0xffff) return false;
  const size_t l4Octets = length - one.l4At;
  const uint64_t pseudo = addPseudoHeader(0, one.packet, one.v6, IPPROTO_TCP, l4Octets);
  return foldSum(addToSum(pseudo, one.packet + one.l4At, l4Octets)) == 0xffff;
}

bool mayFollow(Group& group, Group& one) {
  if (one.segment == 0 || one.segment > group.segment) return false;
  if ((one.lastFlags & (kSyn | kRst | kUrg | kCwr)) != 0) return false;
  if (load32(one.packet + one.l4At + 4) != group.nextSeq) return false;
  if (group.count >= kRunMax || group.total + one.segment > kSuperPacketMax) return false;
  if (!sameIpHeader(group, one) || !sameTcpHeader(group, one)) return false;
  if (idStep(group, one) < 0 || !checksumsRight(one, one.total)) return false;
  // A group of one was not verified yet: most packets never meet a second.
  if (!group.verified) group.verified = checksumsRight(group, group.total);
  return group.verified;
}

}  // namespace

void Coalescer::clear() {
  groupCount_ = 0;
  openCount_ = 0;
}

void Coalescer::add(uint32_t index, const uint8_t* packet, size_t length) {
  Group& one = groups_[groupCount_];
  one.packet = packet;
  one.first = one.last = index;
  one.count = 1;
  one.total = static_cast<uint32_t>(length);
  next_[index] = kNoPacket;
  const Kind kind = describe(one, packet, length);
  if (kind == Kind::unclear) openCount_ = 0;
  if (kind == Kind::tcp) {
    uint32_t at = 0;
    while (at < openCount_ && !sameFlow(groups_[open_[at]], one)) at += 1;
    if (at < openCount_) {
      Group& group = groups_[open_[at]];
      if (mayFollow(group, one)) {
        group.idStep = static_cast<int8_t>(idStep(group, one));
        group.lastId = one.lastId;
        group.nextSeq = one.nextSeq;
        group.lastFlags = one.lastFlags;
        group.total += one.segment;
        group.count += 1;
        next_[group.last] = index;
        group.last = index;
        const bool ends = one.segment < group.segment || (one.lastFlags & (kPsh | kFin)) != 0;
        if (ends) close(at);
        return;
      }
      close(at);
    }
    if (mayBegin(one)) open(groupCount_);
  }
  groupCount_ += 1;
}

void Coalescer::open(uint32_t group) {
  if (openCount_ == kOpenMax) close(0);
  open_[openCount_] = group;
  openCount_ += 1;
}

void Coalescer::close(uint32_t at) {
  openCount_ -= 1;
  for (; at < openCount_; at += 1) open_[at] = open_[at + 1];
}

size_t Coalescer::writeHeaders(const Group& group, VnetHeader& vnet, uint8_t* out) {
  std::memcpy(out, group.packet, group.headers);
  const size_t l4Octets = group.total - group.l4At;
  if (group.v6) {
    store16(out + 4, group.total - 40);
  } else {
    store16(out + 2, group.total);
    writeIpv4Checksum(out, 20);
  }
  uint8_t* tcp = out + group.l4At;
  tcp[13] |= static_cast<uint8_t>(group.lastFlags & (kFin | kPsh));
  const uint64_t pseudo = addPseudoHeader(0, out, group.v6, IPPROTO_TCP, l4Octets);
  store16(tcp + 16, foldSum(pseudo));
  const uint8_t ecn = (tcp[13] & kCwr) != 0 ? kVnetGsoEcn : 0;
  vnet.flags = kVnetNeedsChecksum;
  vnet.gsoType = static_cast<uint8_t>((group.v6 ? kVnetGsoTcp6 : kVnetGsoTcp4) | ecn);
  vnet.headerOctets = static_cast<uint16_t>(group.headers);
  vnet.gsoSize = static_cast<uint16_t>(group.segment);
  vnet.checksumStart = static_cast<uint16_t>(group.l4At);
  vnet.checksumOffset = 16;
  return group.headers;
}

}  // namespace mpfwd
