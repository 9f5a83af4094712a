#include "arrival.h"

#include <netinet/in.h>
#include <netinet/udp.h>

#include <cstring>

namespace mpfwd {

Arrival readControl(const msghdr& header) {
  Arrival arrival;
  auto* message = const_cast<msghdr*>(&header);
  for (cmsghdr* at = CMSG_FIRSTHDR(message); at != nullptr; at = CMSG_NXTHDR(message, at)) {
    const uint8_t* data = CMSG_DATA(at);
    if (at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_TOS) {
      arrival.trafficClass = data[0];
    } else if (at->cmsg_level == IPPROTO_IPV6 && at->cmsg_type == IPV6_TCLASS) {
      int value;
      std::memcpy(&value, data, sizeof value);
      arrival.trafficClass = static_cast<uint32_t>(value) & 0xff;
    } else if ((at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_TTL) ||
               (at->cmsg_level == IPPROTO_IPV6 && at->cmsg_type == IPV6_HOPLIMIT)) {
      int value;
      std::memcpy(&value, data, sizeof value);
      arrival.hopLimit = static_cast<uint32_t>(value) & 0xff;
    } else if (at->cmsg_level == IPPROTO_UDP && at->cmsg_type == UDP_GRO) {
      int value;
      std::memcpy(&value, data, sizeof value);
      arrival.segment = static_cast<uint32_t>(value);
    } else if (at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_PKTINFO) {
      in_pktinfo info;
      std::memcpy(&info, data, sizeof info);
      arrival.local.v4.sin_family = AF_INET;
      arrival.local.v4.sin_addr = info.ipi_addr;
      arrival.hasLocal = true;
    } else if (at->cmsg_level == IPPROTO_IPV6 && at->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info;
      std::memcpy(&info, data, sizeof info);
      arrival.local.v6.sin6_family = AF_INET6;
      arrival.local.v6.sin6_addr = info.ipi6_addr;
      arrival.hasLocal = true;
    }
  }
  return arrival;
}

bool findMessage(const mmsghdr& packet, bool v6, uint8_t*& octets, size_t& count, Counter& reason) {
  const iovec& part = packet.msg_hdr.msg_iov[0];
  octets = static_cast<uint8_t*>(part.iov_base);
  count = packet.msg_len;
  reason = Counter::oversize;
  if ((packet.msg_hdr.msg_flags & MSG_TRUNC) != 0 || count > part.iov_len) return false;
  if (v6) return true;
  const size_t header = count < kIpv4Header ? 0 : size_t{octets[0] & 15u} * 4;
  reason = Counter::truncated;
  if (header < kIpv4Header || header > count) return false;
  octets += header;
  count -= header;
  return true;
}

}  // namespace mpfwd
