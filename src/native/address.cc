#include "address.h"

#include <arpa/inet.h>
#include <net/if.h>

#include <cstdio>

namespace mpfwd {

namespace {

bool allZero(const uint8_t* octets, size_t count) {
  uint8_t sum = 0;
  for (size_t at = 0; at < count; at += 1) sum |= octets[at];
  return sum == 0;
}

static_assert(CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(sizeof(int)) <=
              sizeof(Destination::control));

/** Adds a control message behind those that are there. */
cmsghdr* addControl(Destination& to, int level, int type, size_t octets) {
  auto* header = reinterpret_cast<cmsghdr*>(to.control + to.controlOctets);
  header->cmsg_level = level;
  header->cmsg_type = type;
  header->cmsg_len = CMSG_LEN(octets);
  to.controlOctets += CMSG_SPACE(octets);
  return header;
}

void chooseLocal4(const uint8_t* path, Destination& to) {
  if (allZero(path + path_at::local, 4)) return;
  in_pktinfo info = {};
  std::memcpy(&info.ipi_spec_dst, path + path_at::local, 4);
  std::memcpy(CMSG_DATA(addControl(to, IPPROTO_IP, IP_PKTINFO, sizeof info)), &info, sizeof info);
}

void chooseLocal6(const uint8_t* path, uint32_t scope, Destination& to) {
  if (allZero(path + path_at::local, 16)) return;
  in6_pktinfo info = {};
  std::memcpy(&info.ipi6_addr, path + path_at::local, 16);
  info.ipi6_ifindex = scope;
  std::memcpy(CMSG_DATA(addControl(to, IPPROTO_IPV6, IPV6_PKTINFO, sizeof info)), &info,
              sizeof info);
}

}  // namespace

socklen_t parseAddress(const char* text, bool v6, uint16_t port, SocketAddress& out) {
  out = {};
  if (!v6) {
    out.v4.sin_family = AF_INET;
    out.v4.sin_port = htons(port);
    return inet_pton(AF_INET, text, &out.v4.sin_addr) == 1 ? sizeof out.v4 : 0;
  }
  char address[kAddressTextMax] = {};
  std::snprintf(address, sizeof address, "%s", text);
  out.v6.sin6_family = AF_INET6;
  out.v6.sin6_port = htons(port);
  if (char* percent = std::strchr(address, '%'); percent != nullptr) {
    *percent = '\0';
    out.v6.sin6_scope_id = if_nametoindex(percent + 1);
    if (out.v6.sin6_scope_id == 0) return 0;
  }
  return inet_pton(AF_INET6, address, &out.v6.sin6_addr) == 1 ? sizeof out.v6 : 0;
}

void addressText(const SocketAddress& address, char out[kAddressTextMax]) {
  out[0] = '\0';
  if (address.any.sa_family == AF_INET) {
    inet_ntop(AF_INET, &address.v4.sin_addr, out, kAddressTextMax);
  }
  if (address.any.sa_family == AF_INET6) {
    inet_ntop(AF_INET6, &address.v6.sin6_addr, out, kAddressTextMax);
  }
}

uint16_t portOf(const SocketAddress& address) {
  return ntohs(address.any.sa_family == AF_INET ? address.v4.sin_port : address.v6.sin6_port);
}

bool pathFits(const uint8_t* path, bool v6, uint8_t transport) {
  return path[path_at::family] == (v6 ? 6 : 4) && path[path_at::transport] == transport;
}

void setDestination(const uint8_t* path, Destination& to) {
  SocketAddress name = {};
  const bool ports = path[path_at::transport] != kTransportRaw;
  uint16_t port = 0;
  uint32_t scope = 0;
  if (ports) std::memcpy(&port, path + path_at::port, 2);
  std::memcpy(&scope, path + path_at::scope, 4);
  to.named = true;
  to.controlOctets = 0;
  std::memcpy(to.path, path, kPathOctets);
  if (path[path_at::family] == 4) {
    name.v4.sin_family = AF_INET;
    name.v4.sin_port = port;
    std::memcpy(&name.v4.sin_addr, path + path_at::remote, 4);
    to.nameOctets = sizeof name.v4;
    chooseLocal4(path, to);
  } else {
    name.v6.sin6_family = AF_INET6;
    name.v6.sin6_port = port;
    name.v6.sin6_scope_id = scope;
    std::memcpy(&name.v6.sin6_addr, path + path_at::remote, 16);
    to.nameOctets = sizeof name.v6;
    chooseLocal6(path, scope, to);
  }
  to.localOctets = to.controlOctets;
  to.name = name.storage;
}

void setTrafficClass(uint8_t trafficClass, Destination& to) {
  to.trafficClass = trafficClass;
  to.controlOctets = to.localOctets;
  // Without a control message the kernel sends 0.
  if (trafficClass == 0) return;
  const int value = trafficClass;
  auto* header = to.v6 ? addControl(to, IPPROTO_IPV6, IPV6_TCLASS, sizeof value)
                       : addControl(to, IPPROTO_IP, IP_TOS, sizeof value);
  std::memcpy(CMSG_DATA(header), &value, sizeof value);
}

void writePathRemote(uint8_t* path, uint8_t transport, const SocketAddress& remote) {
  std::memset(path, 0, path_at::local);
  path[path_at::transport] = transport;
  if (remote.any.sa_family == AF_INET) {
    path[path_at::family] = 4;
    if (transport != kTransportRaw) std::memcpy(path + path_at::port, &remote.v4.sin_port, 2);
    std::memcpy(path + path_at::remote, &remote.v4.sin_addr, 4);
    return;
  }
  path[path_at::family] = 6;
  if (transport != kTransportRaw) std::memcpy(path + path_at::port, &remote.v6.sin6_port, 2);
  if (IN6_IS_ADDR_LINKLOCAL(&remote.v6.sin6_addr)) {
    std::memcpy(path + path_at::scope, &remote.v6.sin6_scope_id, 4);
  }
  std::memcpy(path + path_at::remote, &remote.v6.sin6_addr, 16);
}

void writePathLocal(uint8_t* path, const SocketAddress& local) {
  std::memset(path + path_at::local, 0, 16);
  if (local.any.sa_family == AF_INET) {
    std::memcpy(path + path_at::local, &local.v4.sin_addr, 4);
  } else {
    std::memcpy(path + path_at::local, &local.v6.sin6_addr, 16);
  }
}

bool sameRemote(const uint8_t* a, const uint8_t* b) {
  return std::memcmp(a, b, path_at::local) == 0;
}

}  // namespace mpfwd
