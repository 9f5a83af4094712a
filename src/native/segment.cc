#include "segment.h"

#include <netinet/in.h>

#include <algorithm>

#include "checksum.h"
#include "octets.h"

namespace mpfwd {

namespace {

constexpr uint8_t kFin = 0x01;
constexpr uint8_t kPsh = 0x08;
constexpr uint8_t kCwr = 0x80;
constexpr size_t kTcpChecksumAt = 16;
constexpr size_t kUdpChecksumAt = 6;
constexpr size_t kUdpHeader = 8;

}  // namespace

size_t ipLength(const uint8_t* packet, size_t length) {
  if (length < 20) return 0;
  if (packet[0] >> 4 == 4) {
    const size_t header = size_t{packet[0] & 15u} * 4;
    const size_t total = load16(packet + 2);
    return header >= 20 && total >= header && total <= length ? total : 0;
  }
  if (packet[0] >> 4 != 6 || length < 40) return 0;
  const size_t total = 40 + size_t{load16(packet + 4)};
  return total <= length ? total : 0;
}

bool completeChecksum(const VnetHeader& vnet, uint8_t* packet, size_t length) {
  const size_t start = vnet.checksumStart;
  const size_t field = start + vnet.checksumOffset;
  if (start >= length || field + 2 > length) return false;
  // The field holds the pseudo-header's sum already, so that it is simply summed with the rest.
  const uint16_t check =
      static_cast<uint16_t>(~foldSum(addToSum(0, packet + start, length - start)));
  const bool udp = vnet.checksumOffset == kUdpChecksumAt;
  store16(packet + field, udp && check == 0 ? 0xffff : check);
  return true;
}

Segmenter::Begun Segmenter::begin(const VnetHeader& vnet, const uint8_t* packet, size_t length,
                                  size_t segmentMax) {
  packet_ = packet;
  length_ = length;
  at_ = length;
  index_ = 0;
  gsoSize_ = vnet.gsoSize;
  if ((vnet.flags & kVnetNeedsChecksum) == 0 || gsoSize_ == 0) return Begun::malformed;
  if (length > kSuperPacketMax || !findHeaders(vnet)) return Begun::malformed;
  if (headers_ + std::min(gsoSize_, length - headers_) > segmentMax) return Begun::oversize;
  at_ = headers_;
  return Begun::yes;
}

bool Segmenter::findHeaders(const VnetHeader& vnet) {
  const uint8_t type = vnet.gsoType & ~kVnetGsoEcn;
  if (length_ == 0 || ipLength(packet_, length_) != length_) return false;
  v6_ = packet_[0] >> 4 == 6;
  udp_ = type == kVnetGsoUdp;
  if (!udp_ && type != (v6_ ? kVnetGsoTcp6 : kVnetGsoTcp4)) return false;
  l4At_ = vnet.checksumStart;
  // IPv6 may carry extension headers in front; the kernel's offset is then the only guide.
  const size_t ipHeader = v6_ ? 40 : size_t{packet_[0] & 15u} * 4;
  if (v6_ ? l4At_ < ipHeader : l4At_ != ipHeader) return false;
  if (!v6_ && packet_[9] != (udp_ ? IPPROTO_UDP : IPPROTO_TCP)) return false;
  if (vnet.checksumOffset != (udp_ ? kUdpChecksumAt : kTcpChecksumAt)) return false;
  if (l4At_ + (udp_ ? kUdpHeader : 20) > length_) return false;
  const size_t l4Header = udp_ ? kUdpHeader : size_t{packet_[l4At_ + 12]} / 16 * 4;
  headers_ = l4At_ + l4Header;
  return l4Header >= (udp_ ? kUdpHeader : 20) && headers_ < length_;
}

size_t Segmenter::next(uint8_t* out) {
  const size_t payload = std::min(gsoSize_, length_ - at_);
  const size_t total = headers_ + payload;
  std::memcpy(out, packet_, headers_);
  std::memcpy(out + headers_, packet_ + at_, payload);
  if (v6_) {
    store16(out + 4, static_cast<uint32_t>(total - 40));
  } else {
    store16(out + 2, static_cast<uint32_t>(total));
    store16(out + 4, load16(out + 4) + index_);
    writeIpv4Checksum(out, l4At_);
  }
  uint8_t* l4 = out + l4At_;
  uint8_t* check = l4 + (udp_ ? kUdpChecksumAt : kTcpChecksumAt);
  if (udp_) {
    store16(l4 + 4, static_cast<uint32_t>(kUdpHeader + payload));
  } else {
    patchTcp(l4, at_ == headers_, at_ + payload == length_);
  }
  // The field holds the sum of the whole super-packet's pseudo-header: exchange the length in it.
  uint64_t sum = uint64_t{load16(check)} + (0xffff - (length_ - l4At_)) + (total - l4At_);
  store16(check, 0);
  sum = addToSum(sum, l4, total - l4At_);
  const uint16_t value = static_cast<uint16_t>(~foldSum(sum));
  store16(check, udp_ && value == 0 ? 0xffff : value);
  at_ += payload;
  index_ += 1;
  return total;
}

/** FIN and PSH belong to the last segment, CWR to the first (RFC 3168 section 6.1.2). */
void Segmenter::patchTcp(uint8_t* l4, bool first, bool last) const {
  store32(l4 + 4, load32(l4 + 4) + static_cast<uint32_t>(at_ - headers_));
  if (!last) l4[13] &= static_cast<uint8_t>(~(kFin | kPsh));
  if (!first) l4[13] &= static_cast<uint8_t>(~kCwr);
}

}  // namespace mpfwd
