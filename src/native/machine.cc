#include "machine.h"

#include <linux/rtnetlink.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstring>

namespace mpfwd {

namespace {

/** Longer than any answer about one device or one route. */
constexpr size_t kAnswerMax = 32768;
constexpr uint32_t kMessagesAtOnce = 64;
constexpr uint32_t kRoundsMax = 16;

constexpr uint32_t group(uint32_t number) {
  return 1u << (number - 1);
}

/** Rules and next hops change where packets go as routes do. */
constexpr uint32_t kGroups =
    group(RTNLGRP_LINK) | group(RTNLGRP_IPV4_IFADDR) | group(RTNLGRP_IPV6_IFADDR) |
    group(RTNLGRP_IPV4_ROUTE) | group(RTNLGRP_IPV6_ROUTE) | group(RTNLGRP_IPV4_RULE) |
    group(RTNLGRP_IPV6_RULE) | group(RTNLGRP_NEXTHOP);

Status openNetlink(Fd& fd, uint32_t groups) {
  fd = Fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd.valid()) return Status::last("socket");
  sockaddr_nl local = {};
  local.nl_family = AF_NETLINK;
  local.nl_groups = groups;
  const auto* address = reinterpret_cast<const sockaddr*>(&local);
  return ::bind(fd.get(), address, sizeof local) < 0 ? Status::last("bind") : Status::ok();
}

uint32_t changeOf(uint16_t type) {
  switch (type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
      return kChangeDevice;
    case RTM_NEWADDR:
    case RTM_DELADDR:
      return kChangeAddress;
    default:
      return kChangeRoute;
  }
}

}  // namespace

Status Monitor::open() {
  return openNetlink(fd, kGroups);
}

/** The first octets of a message say what it is about; the kernel sends one a datagram. */
uint32_t Monitor::read() {
  nlmsghdr heads[kMessagesAtOnce];
  iovec parts[kMessagesAtOnce];
  mmsghdr messages[kMessagesAtOnce] = {};
  for (uint32_t at = 0; at < kMessagesAtOnce; at += 1) {
    parts[at] = {&heads[at], sizeof heads[at]};
    messages[at].msg_hdr.msg_iov = &parts[at];
    messages[at].msg_hdr.msg_iovlen = 1;
  }
  uint32_t changes = 0;
  for (uint32_t round = 0; round < kRoundsMax; round += 1) {
    const int got = ::recvmmsg(fd.get(), messages, kMessagesAtOnce, MSG_DONTWAIT, nullptr);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) break;
    // ENOBUFS: the kernel had no room for some.
    if (got < 0) changes |= kChangeMissed;
    for (int at = 0; at < got; at += 1) {
      if (messages[at].msg_len >= sizeof heads[at]) changes |= changeOf(heads[at].nlmsg_type);
    }
  }
  return changes;
}

Status Machine::open() {
  if (fd_.valid()) return Status::ok();
  Fd fd;
  const Status status = openNetlink(fd, 0);
  if (status.failed()) return status;
  fd_ = std::move(fd);
  answer_ = std::make_unique<uint8_t[]>(kAnswerMax);
  return status;
}

Status Machine::ask(const uint8_t* request, size_t requestOctets, const uint8_t*& answer,
                    size_t& octets) {
  const Status status = open();
  if (status.failed()) return status;
  alignas(nlmsghdr) uint8_t message[kRequestMax];
  std::memcpy(message, request, requestOctets);
  auto* head = reinterpret_cast<nlmsghdr*>(message);
  asked_ += 1;
  head->nlmsg_seq = asked_;
  if (::send(fd_.get(), message, requestOctets, MSG_DONTWAIT) < 0) return Status::last("send");
  for (;;) {
    const ssize_t got = ::recv(fd_.get(), answer_.get(), kAnswerMax, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Status::last("recv");
    if (static_cast<size_t>(got) < sizeof(nlmsghdr)) return {EBADMSG, "recv"};
    if (reinterpret_cast<const nlmsghdr*>(answer_.get())->nlmsg_seq != asked_) continue;
    answer = answer_.get();
    octets = static_cast<size_t>(got);
    return status;
  }
}

/** These ioctls wait for no lock that a change of the machine holds, as asking rtnetlink would. */
Status Machine::device(ifreq& request, int& index) {
  const Status status = open();
  if (status.failed()) return status;
  if (request.ifr_name[0] == '\0') {
    request.ifr_ifindex = index;
    if (::ioctl(fd_.get(), SIOCGIFNAME, &request) < 0) return Status::last("SIOCGIFNAME");
  } else {
    if (::ioctl(fd_.get(), SIOCGIFINDEX, &request) < 0) return Status::last("SIOCGIFINDEX");
    index = request.ifr_ifindex;
  }
  return ::ioctl(fd_.get(), SIOCGIFFLAGS, &request) < 0 ? Status::last("SIOCGIFFLAGS") : status;
}

}  // namespace mpfwd
