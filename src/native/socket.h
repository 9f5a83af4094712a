/** A raw IP, UDP or TCP socket: how it is opened, and what the kernel says about it. */
#pragma once

#include "address.h"
#include "descriptor.h"
#include "memory.h"
#include "tcp.h"

namespace mpfwd {

/** Sockets that peers opened, at a time; the other descriptors remain for what we open. */
constexpr size_t kAcceptedMax = kDescriptorsMax * 3 / 4;

struct SocketOptions {
  Descriptor::Kind kind = Descriptor::Kind::raw;
  bool v6 = false;
  /** IP protocol of a raw socket. */
  int protocol = 0;
  uint16_t port = 0;
  /** Empty: any. */
  char source[kAddressTextMax] = {};
  /** Empty: any. */
  char device[16] = {};
  bool marked = false;
  uint32_t mark = 0;
  /** 0: the host's default. */
  int hopLimit = 0;
  /** 0: 8 MiB, and for TCP what the kernel finds right. */
  int bufferBytes = 0;
  bool segmentation = true;
  /** Tells the hop limit of what arrives. */
  bool arrivalHopLimit = false;
};

/** Octets of an offending packet that are handed on. */
constexpr size_t kQuotedMax = 64;

/** One of the errors of a socket, or the newest of several drained at once. */
struct SocketError {
  uint32_t count = 0;
  int error = 0;
  bool icmp = false;
  uint8_t icmpType = 0;
  uint8_t icmpCode = 0;
  char from[kAddressTextMax] = {};
  /** The offending packet from our payload on, as far as it came back. */
  size_t quotedOctets = 0;
  uint8_t quoted[kQuotedMax];
};

struct GroBuffers;

class Socket : public Descriptor {
 public:
  explicit Socket(Kind kind);
  ~Socket() override;

  Status open(const SocketOptions& options);
  /** Connecting again moves a raw or UDP socket to another peer; TCP connects once, and goes on
   * connecting after this. */
  Status connect(const SocketAddress& remote, socklen_t octets);
  /** TCP only. */
  Status listen(int backlog);
  /**
   * The next connection of a listener as a socket of its own. Null: none left, or one was `refused`
   * because the caller has no `room` or the process no descriptor.
   */
  std::unique_ptr<Socket> accept(bool room, bool& refused);
  Status localAddress(SocketAddress& local) const;
  /** What the kernel gives for SO_RCVBUF or SO_SNDBUF: octets, its own bookkeeping included. */
  int bufferBytes(int option) const;
  Status setHopLimit(int hops);
  /** Whether the hop limit of what arrives is told; raw IPv4 always does, TCP never. */
  Status setArrivalHopLimit(bool told);
  /** Drains the error queue and SO_ERROR. */
  SocketError takeErrors(Memory& memory);
  /** The oldest error in the queue; its count is 0 when there is none. */
  SocketError takeQueuedError(Memory& memory);

  /**
   * Whether the send buffer is full. A raw socket says ENOBUFS then, as for a packet that the
   * device's queue dropped; UDP says EAGAIN.
   */
  bool sendBufferFull() const;

  bool udp() const { return kind == Kind::udp; }
  bool tcp() const { return kind == Kind::tcp; }
  /** As octet 1 of a path. */
  uint8_t transport() const { return static_cast<uint8_t>(kind); }
  bool hasLeftover() const override;
  bool owesOutput() const override { return stream != nullptr && stream->owesRest(); }
  void flush() override { stream->flush(); }

  bool v6 = false;
  bool connected = false;
  bool listening = false;
  /** A peer opened it. */
  bool accepted = false;
  /** UDP_SEGMENT is asked for and has not failed. */
  bool segments = false;
  /** The path of everything that a connected socket receives; before, its local end at most. */
  uint8_t path[kPathOctets] = {};
  /** Network byte order; raw: 0. */
  uint8_t localPort[2] = {};
  /** In the IP header. */
  int protocol = 0;
  /** Of what it sends. */
  int hopLimit = 0;
  /** Reception buffers of a UDP socket, with what was not handed on yet. */
  std::unique_ptr<GroBuffers> gro;
  /** A TCP connection, from its first attempt on. */
  std::unique_ptr<Stream> stream;

 private:
  Status configure(const SocketOptions& options);
  Status configureDatagrams(const SocketOptions& options);
  Status configureStream();
  Status bind(const SocketOptions& options);
  Status attachFilter();
  Status setArrivalInfo(bool wanted);
  int defaultHopLimit() const;
  Status nameLocal();
  Status nameEnds(const SocketAddress& remote);
  SocketError takeStreamError();

  /** A listener's: given up for a moment to refuse a connection that there is no descriptor for. */
  Fd spare_;
};

static_assert(static_cast<uint8_t>(Descriptor::Kind::raw) == kTransportRaw);
static_assert(static_cast<uint8_t>(Descriptor::Kind::udp) == kTransportUdp);
static_assert(static_cast<uint8_t>(Descriptor::Kind::tcp) == kTransportTcp);

/** Errors that ICMP leaves on a socket: the call that reports one has not tried its own packet. */
bool mayBePending(int error);

}  // namespace mpfwd
