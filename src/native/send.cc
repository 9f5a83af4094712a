#include "send.h"

#include <algorithm>
#include <cerrno>

namespace mpfwd {

namespace {

/** UDP_MAX_SEGMENTS of the kernel, in its older and smaller form. */
constexpr uint32_t kSegmentsMax = 64;
/** Payload of the largest IPv4 datagram. */
constexpr size_t kDatagramMax = 65507;

/** The socket takes no more: it becomes writable when it does. */
bool isFull(const Socket& socket, int error) {
  if (error == EAGAIN || error == EWOULDBLOCK) return true;
  return error == ENOBUFS && socket.sendBufferFull();
}

/** The device's queue dropped the packet, or memory is short: the socket stays writable all the while. */
bool isBusy(int error) {
  return error == ENOBUFS || error == ENOMEM;
}

bool streamEnded(const Socket& socket) {
  return socket.stream != nullptr && socket.stream->failure() != 0;
}

/** Whether a stream takes more: it is there, and what it kept is written. */
bool streamReady(Socket& socket) {
  return socket.stream != nullptr && socket.stream->flush();
}

}  // namespace

bool Sender::sealable(const Keys& keys, const uint8_t* message, size_t octets) {
  if (octets < kPreamble) return false;
  const Class which = classOf(typeNibble(message));
  if (which == Class::handshake || keys.hmac(which) == nullptr) return false;
  return which != Class::data || octets >= dataHeader(message);
}

uint32_t Sender::send(const Transmit& transmit, Socket* socket, const uint32_t* slots,
                      uint32_t count) {
  failure_ = {};
  if (socket == nullptr || streamEnded(*socket)) {
    countFailure(ENOTCONN, count);
    return count;
  }
  uint32_t disposed = 0;
  const uint32_t most = socket->tcp() ? kStreamBatch : kSendBatch;
  while (disposed < count) {
    if (socket->tcp() && !streamReady(*socket)) break;
    const uint32_t batch = std::min(most, count - disposed);
    tags_.clear();
    for (uint32_t at = 0; at < batch; at += 1) expectTag(transmit.keys, slots[disposed + at]);
    tags_.compute();
    for (uint32_t at = 0; at < batch; at += 1) seal(transmit.keys, slots[disposed + at], at);
    const uint32_t done =
        socket->tcp() ? submitStream(*socket, batch) : submit(*socket, transmit.to, batch);
    disposed += done;
    if (done < batch) break;
  }
  const bool busy = failure_.kept;
  memory_.add(busy ? Counter::sendDeferred : Counter::sendBlocked, count - disposed);
  if (busy) failure_.packets = count - disposed;
  return disposed;
}

/** The tag of every message but an encrypted one, under the key and upper half that `seal` uses. */
void Sender::expectTag(const Keys& keys, uint32_t slot) {
  const uint8_t* message = memory_.packet(slot);
  const auto seq = static_cast<uint64_t>(memory_.seq[slot]);
  const Class which = classOf(typeNibble(message));
  if (which == Class::data && keys.suite == Suite::aes128Gcm) return;
  tags_.add(*keys.hmac(which), static_cast<uint32_t>(seq >> 32), message, memory_.length[slot]);
}

void Sender::seal(const Keys& keys, uint32_t slot, uint32_t at) {
  uint8_t* message = memory_.packet(slot);
  const size_t octets = memory_.length[slot];
  const auto seq = static_cast<uint64_t>(memory_.seq[slot]);
  const Class which = classOf(typeNibble(message));
  if (which == Class::data && keys.suite == Suite::aes128Gcm) {
    // OpenSSL fails here only without memory, and then nothing must leave in the clear.
    if (!keys.cipher.seal(seq, message, dataHeader(message), octets, cipher_[at])) __builtin_trap();
    parts_[at] = {cipher_[at], octets + kTagOctets};
    return;
  }
  const size_t tagOctets = which == Class::data ? keys.dataTag : kTagOctets;
  const auto upper = static_cast<uint32_t>(seq >> 32);
  uint8_t tag[kHashOctets];
  const uint8_t* ready = tags_.take(upper, message);
  if (ready == nullptr) keys.hmac(which)->tag(upper, message, octets, tag);
  std::memcpy(message + octets, ready == nullptr ? tag : ready, tagOctets);
  parts_[at] = {message, octets + tagOctets};
}

/** Groups the batch into spans of equally long packets, the last of which may be shorter. */
uint32_t Sender::span(uint32_t count, bool segments) {
  uint32_t spans = 0;
  for (uint32_t at = 0; at < count;) {
    const size_t size = parts_[at].iov_len;
    uint32_t end = at + 1;
    size_t total = size;
    while (segments && end < count && end - at < kSegmentsMax) {
      const size_t next = parts_[end].iov_len;
      if (next > size || total + next > kDatagramMax) break;
      total += next;
      end += 1;
      if (next < size) break;
    }
    spans_[spans] = {at, end - at};
    spans += 1;
    at = end;
  }
  return spans;
}

/** `segment` 0: one packet. */
void Sender::address(uint32_t at, const Destination& to, uint32_t segment) {
  msghdr& header = messages_[at].msg_hdr;
  header.msg_name = to.named ? const_cast<sockaddr_storage*>(&to.name) : nullptr;
  header.msg_namelen = to.named ? to.nameOctets : 0;
  header.msg_flags = 0;
  size_t octets = to.controlOctets;
  if (octets > 0) std::memcpy(control_[at], to.control, octets);
  if (segment > 0) {
    auto* message = reinterpret_cast<cmsghdr*>(control_[at] + octets);
    message->cmsg_level = IPPROTO_UDP;
    message->cmsg_type = UDP_SEGMENT;
    message->cmsg_len = CMSG_LEN(sizeof(uint16_t));
    const auto value = static_cast<uint16_t>(segment);
    std::memcpy(CMSG_DATA(message), &value, sizeof value);
    octets += CMSG_SPACE(sizeof(uint16_t));
  }
  header.msg_control = octets > 0 ? control_[at] : nullptr;
  header.msg_controllen = octets;
}

uint32_t Sender::submit(Socket& socket, const Destination& to, uint32_t packets) {
  const uint32_t spans = span(packets, socket.segments);
  for (uint32_t at = 0; at < spans; at += 1) {
    const Span& span = spans_[at];
    const bool joined = span.count > 1;
    address(at, to, joined ? static_cast<uint32_t>(parts_[span.first].iov_len) : 0);
    messages_[at].msg_hdr.msg_iov = &parts_[span.first];
    messages_[at].msg_hdr.msg_iovlen = span.count;
    if (joined) memory_.add(Counter::udpSegmented);
  }
  return submitSpans(socket, to, spans);
}

/** Returns the packets disposed of; stops where the socket or the device is full. */
uint32_t Sender::submitSpans(Socket& socket, const Destination& to, uint32_t spans) {
  uint32_t disposed = 0;
  bool retried = false;
  for (uint32_t at = 0; at < spans;) {
    memory_.add(Counter::sendCalls);
    const int sent = ::sendmmsg(socket.fd.get(), messages_ + at, spans - at, MSG_DONTWAIT);
    if (sent > 0) {
      for (const uint32_t end = at + static_cast<uint32_t>(sent); at < end; at += 1) {
        disposed += spans_[at].count;
        if (tap_.active()) tapSpan(socket, to, spans_[at]);
      }
      retried = false;
      continue;
    }
    const int error = sent < 0 ? errno : EIO;
    if (error == EINTR) continue;
    if (mustWait(socket, error)) break;
    // An ICMP error left on the socket is reported in place of sending and is cleared by that.
    if (!retried && mayBePending(error)) {
      retried = true;
      continue;
    }
    retried = false;
    const Span span = spans_[at];
    const bool refused = error == EINVAL || error == EIO || error == EMSGSIZE;
    if (span.count > 1 && refused) {
      if (!retryPlain(socket, to, span, disposed)) break;
    } else {
      countFailure(error, span.count);
      disposed += span.count;
    }
    at += 1;
  }
  return disposed;
}

/**
 * Sends one by one what the kernel would not cut apart. If a packet of the full segment size goes
 * out, its size was not the reason: the device cannot do it, and the socket does not ask again.
 * False: the socket or the device is full.
 */
bool Sender::retryPlain(Socket& socket, const Destination& to, Span span, uint32_t& disposed) {
  for (uint32_t at = span.first; at < span.first + span.count; at += 1) {
    msghdr message = {};
    message.msg_name = to.named ? const_cast<sockaddr_storage*>(&to.name) : nullptr;
    message.msg_namelen = to.named ? to.nameOctets : 0;
    message.msg_control = to.controlOctets > 0 ? const_cast<uint8_t*>(to.control) : nullptr;
    message.msg_controllen = to.controlOctets;
    message.msg_iov = &parts_[at];
    message.msg_iovlen = 1;
    memory_.add(Counter::sendCalls);
    const bool sent = ::sendmsg(socket.fd.get(), &message, MSG_DONTWAIT) >= 0;
    const int error = sent ? 0 : errno;
    if (!sent && mustWait(socket, error)) return false;
    if (sent && at == span.first) socket.segments = false;
    if (!sent) countFailure(error, 1);
    if (sent && tap_.active()) tapSpan(socket, to, {at, 1});
    disposed += 1;
  }
  return true;
}

/**
 * Writes sealed packets, each behind its length. What the kernel does not take of the last one is
 * kept by the stream, so that packet is disposed of.
 */
uint32_t Sender::submitStream(Socket& socket, uint32_t packets) {
  Stream& stream = *socket.stream;
  uint32_t frames = 0;
  for (uint32_t at = 0; at < packets; at += 1) {
    if (parts_[at].iov_len > kMessageMax) continue;
    store16(lengths_[at], static_cast<uint32_t>(parts_[at].iov_len));
    frames_[frames] = {lengths_[at], kFrameHeader};
    frames_[frames + 1] = parts_[at];
    frames += 2;
  }
  ssize_t written = 0;
  if (frames > 0) {
    memory_.add(Counter::sendCalls);
    written = stream.write(frames_, frames);
  }
  if (stream.failure() != 0) {
    countFailure(ENOTCONN, packets);
    return packets;
  }
  auto left = static_cast<size_t>(std::max<ssize_t>(written, 0));
  for (uint32_t at = 0; at < packets; at += 1) {
    const size_t octets = parts_[at].iov_len;
    if (octets > kMessageMax) {
      countFailure(EMSGSIZE, 1);
      continue;
    }
    if (left == 0) return at;
    const size_t taken = std::min(left, kFrameHeader + octets);
    putFrame(socket, at, taken);
    left -= taken;
    if (taken < kFrameHeader + octets) return at + 1;
  }
  return packets;
}

bool Sender::sendPlain(Socket& socket, uint32_t slot, const Destination& to) {
  failure_ = {};
  parts_[0] = {memory_.packet(slot), memory_.length[slot]};
  if (socket.tcp()) {
    const size_t octets = parts_[0].iov_len;
    if (octets == 0 || octets > kMessageMax) {
      countFailure(octets == 0 ? EINVAL : EMSGSIZE, 1);
      return false;
    }
    if (streamReady(socket) && submitStream(socket, 1) == 1) return !streamEnded(socket);
    memory_.add(Counter::sendBlocked);
    return false;
  }
  spans_[0] = {0, 1};
  address(0, to, 0);
  messages_[0].msg_hdr.msg_iov = parts_;
  messages_[0].msg_hdr.msg_iovlen = 1;
  for (uint32_t tries = 0; tries < 3; tries += 1) {
    memory_.add(Counter::sendCalls);
    if (::sendmmsg(socket.fd.get(), messages_, 1, MSG_DONTWAIT) == 1) {
      if (tap_.active()) tapSpan(socket, to, spans_[0]);
      return true;
    }
    if (errno != EINTR && !mayBePending(errno)) break;
  }
  const int error = errno;
  if (isFull(socket, error)) {
    memory_.add(Counter::sendBlocked);
  } else {
    countFailure(error, 1);
  }
  return false;
}

/** Has the stream keep what the kernel did not take of a frame. */
void Sender::putFrame(Socket& socket, uint32_t at, size_t written) {
  Stream& stream = *socket.stream;
  const auto* message = static_cast<const uint8_t*>(parts_[at].iov_base);
  const size_t octets = parts_[at].iov_len;
  if (tap_.active()) tap_.sent(socket, {}, parts_[at]);
  stream.octetsPut += static_cast<uint32_t>(kFrameHeader + octets);
  if (written < kFrameHeader + octets) stream.keepRest(lengths_[at], message, octets, written);
}

void Sender::tapSpan(const Socket& socket, const Destination& to, Span span) {
  for (uint32_t at = span.first; at < span.first + span.count; at += 1) {
    tap_.sent(socket, to, parts_[at]);
  }
}

bool Sender::mustWait(const Socket& socket, int error) {
  if (isFull(socket, error)) return true;
  if (!isBusy(error)) return false;
  failure_ = {error, 0, true};
  return true;
}

void Sender::countFailure(int error, uint32_t packets) {
  failure_ = {error, failure_.packets + packets, false};
  memory_.add(Counter::sendFailed, packets);
  Counter counter = Counter::sendOtherError;
  if (isBusy(error)) counter = Counter::sendNoBuffers;
  if (error == EPERM) counter = Counter::sendRefused;
  if (error == EMSGSIZE) counter = Counter::sendTooBig;
  if (error == ENETUNREACH || error == EHOSTUNREACH || error == ENETDOWN || error == ENODEV ||
      error == EADDRNOTAVAIL || error == ENOTCONN) {
    counter = Counter::sendUnreachable;
  }
  memory_.add(counter, packets);
}

}  // namespace mpfwd
