/** A raw IP or UDP socket: how it is opened, and what the kernel says about it. */
#pragma once

#include "address.h"
#include "descriptor.h"
#include "memory.h"

namespace mpfwd {

struct SocketOptions {
  bool udp = false;
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
  int bufferBytes = 8 << 20;
  bool segmentation = true;
};

/** The newest of the errors drained from a socket. */
struct SocketError {
  uint32_t count = 0;
  int error = 0;
  bool icmp = false;
  uint8_t icmpType = 0;
  uint8_t icmpCode = 0;
  char from[kAddressTextMax] = {};
};

struct GroBuffers;

class Socket : public Descriptor {
 public:
  explicit Socket(bool udp);
  ~Socket() override;

  Status open(const SocketOptions& options);
  /** Connecting again moves the socket to another peer. */
  Status connect(const SocketAddress& remote, socklen_t octets);
  Status localAddress(SocketAddress& local) const;
  /** Drains the error queue and SO_ERROR. */
  SocketError takeErrors(Memory& memory);

  /**
   * Whether the send buffer is full. A raw socket says ENOBUFS then, as for a packet that the
   * device's queue dropped; UDP says EAGAIN.
   */
  bool sendBufferFull() const;

  bool udp() const { return kind == Kind::udp; }
  bool hasLeftover() const override;

  bool v6 = false;
  bool connected = false;
  /** UDP_SEGMENT is asked for and has not failed. */
  bool segments = false;
  /** The path of everything that a connected socket receives. */
  uint8_t path[kPathOctets] = {};
  /** Reception buffers of a UDP socket, with what was not handed on yet. */
  std::unique_ptr<GroBuffers> gro;

 private:
  Status configure(const SocketOptions& options);
  Status bind(const SocketOptions& options);
  Status attachFilter();
  Status setArrivalInfo(bool wanted);
  bool takeQueuedError(SocketError& taken, Memory& memory);
};

/** Errors that ICMP leaves on a socket: the call that reports one has not tried its own packet. */
bool mayBePending(int error);

}  // namespace mpfwd
