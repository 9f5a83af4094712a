#include "socket.h"

#include <linux/errqueue.h>
#include <linux/sockios.h>
#include <netinet/udp.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include <algorithm>
#include <cstring>

#include "receive.h"

namespace mpfwd {

namespace {

/** Error queue entries taken in one call; a flood of ICMP must not hold the event loop. */
constexpr uint32_t kErrorsDrainedMax = 1024;
/** SO_RCVBUF and SO_SNDBUF of raw and UDP sockets, octets. */
constexpr int kBufferBytes = 8 << 20;

Status set(const Fd& fd, int level, int name, int value, const char* what) {
  if (::setsockopt(fd.get(), level, name, &value, sizeof value) < 0) return Status::last(what);
  return Status::ok();
}

/** The forced form passes the host's limit but needs CAP_NET_ADMIN. */
void setBuffer(const Fd& fd, int forced, int plain, int octets) {
  if (::setsockopt(fd.get(), SOL_SOCKET, forced, &octets, sizeof octets) == 0) return;
  ::setsockopt(fd.get(), SOL_SOCKET, plain, &octets, sizeof octets);
}

}  // namespace

Socket::Socket(Kind kind) : Descriptor(kind) {}

Socket::~Socket() = default;

bool Socket::hasLeftover() const {
  if (stream != nullptr) return stream->hasWhole();
  return gro != nullptr && gro->hasLeftover();
}

Status Socket::open(const SocketOptions& options) {
  v6 = options.v6;
  const int type = tcp() ? SOCK_STREAM : udp() ? SOCK_DGRAM : SOCK_RAW;
  protocol = tcp() ? IPPROTO_TCP : udp() ? IPPROTO_UDP : options.protocol;
  const int domain = v6 ? AF_INET6 : AF_INET;
  fd = Fd(::socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
  if (!fd.valid()) return Status::last("socket");
  Status status = attachFilter();
  if (!status.failed()) status = configure(options);
  if (!status.failed()) status = bind(options);
  if (!status.failed()) status = nameLocal();
  if (udp()) gro = std::make_unique<GroBuffers>();
  return status;
}

Status Socket::configure(const SocketOptions& options) {
  Status status = Status::ok();
  // A raw IPv6 socket never sees IPv4 and refuses the option.
  if (v6 && kind != Kind::raw) status = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1, "IPV6_V6ONLY");
  if (!status.failed() && options.hopLimit > 0) status = setHopLimit(options.hopLimit);
  if (options.hopLimit == 0) hopLimit = defaultHopLimit();
  if (!status.failed() && options.marked) {
    status = set(fd, SOL_SOCKET, SO_MARK, static_cast<int>(options.mark), "SO_MARK");
  }
  // The kernel sizes a connection's buffers itself, unless it is told a size.
  const int bufferBytes = options.bufferBytes == 0 && !tcp() ? kBufferBytes : options.bufferBytes;
  if (bufferBytes > 0) {
    setBuffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, bufferBytes);
    setBuffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, bufferBytes);
  }
  if (status.failed()) return status;
  return tcp() ? configureStream() : configureDatagrams(options);
}

/** What a socket needs to send whole packets of ours, and to hear of those that did not arrive. */
Status Socket::configureDatagrams(const SocketOptions& options) {
  // PROBE sets "don't fragment" and ignores the kernel's path MTU, which forged ICMP can lower.
  Status status =
      v6 ? set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE, "IPV6_MTU_DISCOVER")
         : set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE, "IP_MTU_DISCOVER");
  if (!status.failed()) {
    status = v6 ? set(fd, IPPROTO_IPV6, IPV6_RECVERR, 1, "IPV6_RECVERR")
                : set(fd, IPPROTO_IP, IP_RECVERR, 1, "IP_RECVERR");
  }
  if (!status.failed() && options.arrivalHopLimit) status = setArrivalHopLimit(true);
  if (udp() && options.segmentation) {
    // Both are offers: a kernel without them passes single packets.
    segments = !set(fd, IPPROTO_UDP, UDP_SEGMENT, 0, "UDP_SEGMENT").failed();
    set(fd, IPPROTO_UDP, UDP_GRO, 1, "UDP_GRO");
  }
  return status.failed() ? status : setArrivalInfo(true);
}

/**
 * The traffic class comes with every packet (raw IPv4 reads it from the IP header), the address a
 * packet arrived at only where it can differ: on an unconnected socket.
 */
Status Socket::setArrivalInfo(bool wanted) {
  if (v6) {
    const Status status = set(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1, "IPV6_RECVTCLASS");
    if (status.failed()) return status;
    return set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, wanted ? 1 : 0, "IPV6_RECVPKTINFO");
  }
  if (!udp()) return Status::ok();
  const Status status = set(fd, IPPROTO_IP, IP_RECVTOS, 1, "IP_RECVTOS");
  if (status.failed()) return status;
  return set(fd, IPPROTO_IP, IP_PKTINFO, wanted ? 1 : 0, "IP_PKTINFO");
}

Status Socket::bind(const SocketOptions& options) {
  if (options.device[0] != '\0' &&
      ::setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, options.device,
                   static_cast<socklen_t>(std::strlen(options.device))) < 0) {
    return Status::last("SO_BINDTODEVICE");
  }
  const bool placed = options.source[0] != '\0' || (tcp() && options.port != 0);
  if (!placed && !udp()) return Status::ok();
  const char* any = v6 ? "::" : "0.0.0.0";
  const char* source = options.source[0] == '\0' ? any : options.source;
  SocketAddress local;
  const uint16_t port = kind == Kind::raw ? 0 : options.port;
  const socklen_t octets = parseAddress(source, v6, port, local);
  if (octets == 0) return {EINVAL, "bind"};
  return ::bind(fd.get(), &local.any, octets) < 0 ? Status::last("bind") : Status::ok();
}

Status Socket::connect(const SocketAddress& remote, socklen_t octets) {
  if (stream != nullptr) return {EISCONN, "connect"};
  int result;
  do {
    result = ::connect(fd.get(), &remote.any, octets);
  } while (result < 0 && errno == EINTR);
  if (result < 0 && !(tcp() && errno == EINPROGRESS)) return Status::last("connect");
  const Status status = nameEnds(remote);
  if (status.failed()) return status;
  if (!tcp()) return setArrivalInfo(false);
  stream = std::make_unique<Stream>(fd);
  return status;
}

/** Everything comes from `remote` from now on. */
Status Socket::nameEnds(const SocketAddress& remote) {
  writePathRemote(path, transport(), remote);
  connected = true;
  return nameLocal();
}

Status Socket::nameLocal() {
  SocketAddress local;
  const Status status = localAddress(local);
  if (status.failed()) return status;
  writePathLocal(path, local);
  if (kind != Kind::raw) store16(localPort, portOf(local));
  return status;
}

Status Socket::localAddress(SocketAddress& local) const {
  local = {};
  socklen_t octets = sizeof local;
  if (::getsockname(fd.get(), &local.any, &octets) < 0) return Status::last("getsockname");
  return Status::ok();
}

int Socket::bufferBytes(int option) const {
  int bytes = 0;
  socklen_t octets = sizeof bytes;
  ::getsockopt(fd.get(), SOL_SOCKET, option, &bytes, &octets);
  return bytes;
}

Status Socket::setHopLimit(int hops) {
  hopLimit = hops;
  return v6 ? set(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, hops, "IPV6_UNICAST_HOPS")
            : set(fd, IPPROTO_IP, IP_TTL, hops, "IP_TTL");
}

Status Socket::setArrivalHopLimit(bool told) {
  // Raw IPv4 reads it from the IP header.
  if (tcp() || (!v6 && !udp())) return Status::ok();
  const int on = told ? 1 : 0;
  return v6 ? set(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, on, "IPV6_RECVHOPLIMIT")
            : set(fd, IPPROTO_IP, IP_RECVTTL, on, "IP_RECVTTL");
}

int Socket::defaultHopLimit() const {
  int hops = 0;
  socklen_t octets = sizeof hops;
  const int level = v6 ? IPPROTO_IPV6 : IPPROTO_IP;
  ::getsockopt(fd.get(), level, v6 ? IPV6_UNICAST_HOPS : IP_TTL, &hops, &octets);
  return hops;
}

bool Socket::sendBufferFull() const {
  int queued = 0;
  return ::ioctl(fd.get(), SIOCOUTQ, &queued) == 0 && queued >= bufferBytes(SO_SNDBUF);
}

SocketError Socket::takeErrors(Memory& memory) {
  if (tcp()) return takeStreamError();
  SocketError newest;
  for (uint32_t drained = 1; drained <= kErrorsDrainedMax; drained += 1) {
    const SocketError taken = takeQueuedError(memory);
    if (taken.count == 0) break;
    newest = taken;
    newest.count = drained;
  }
  int pending = 0;
  socklen_t octets = sizeof pending;
  ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &pending, &octets);
  // The queue and SO_ERROR tell of the same event; SO_ERROR alone remains when the queue was full.
  if (pending != 0 && newest.count == 0) {
    newest.count = 1;
    newest.error = pending;
  }
  return newest;
}

SocketError Socket::takeQueuedError(Memory& memory) {
  SocketError taken;
  alignas(cmsghdr) uint8_t control[512];
  iovec part = {taken.quoted, sizeof taken.quoted};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t quoted = ::recvmsg(fd.get(), &message, MSG_ERRQUEUE | MSG_DONTWAIT);
  if (quoted < 0) return taken;
  taken.quotedOctets = static_cast<size_t>(quoted);
  for (cmsghdr* at = CMSG_FIRSTHDR(&message); at != nullptr; at = CMSG_NXTHDR(&message, at)) {
    const bool v4Error = at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_RECVERR;
    const bool v6Error = at->cmsg_level == IPPROTO_IPV6 && at->cmsg_type == IPV6_RECVERR;
    if (!v4Error && !v6Error) continue;
    struct {
      sock_extended_err error;
      SocketAddress offender;
    } report = {};
    std::memcpy(&report, CMSG_DATA(at), std::min(sizeof report, at->cmsg_len - CMSG_LEN(0)));
    taken.count = 1;
    taken.error = static_cast<int>(report.error.ee_errno);
    taken.icmp =
        report.error.ee_origin == SO_EE_ORIGIN_ICMP || report.error.ee_origin == SO_EE_ORIGIN_ICMP6;
    taken.icmpType = report.error.ee_type;
    taken.icmpCode = report.error.ee_code;
    if (!taken.icmp) continue;
    addressText(report.offender, taken.from);
    memory.add(Counter::icmpErrors);
  }
  return taken;
}

bool mayBePending(int error) {
  return error == ECONNREFUSED || error == ENOPROTOOPT || error == EHOSTUNREACH ||
         error == ENETUNREACH || error == EPROTO || error == EACCES || error == EHOSTDOWN ||
         error == ENONET || error == EOPNOTSUPP || error == EMSGSIZE;
}

}  // namespace mpfwd
