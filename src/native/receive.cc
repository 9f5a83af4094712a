#include "receive.h"

#include <algorithm>
#include <cerrno>

#include "arrival.h"

namespace mpfwd {

namespace {

/** Batches of refused messages in one call; a flood must not hold the event loop. */
constexpr uint32_t kRefusedBatchesMax = 8;
/** Pending errors skipped before a batch; each is cleared by being reported. */
constexpr uint32_t kErrorsSkippedMax = 16;

uint32_t heldOctets(const mmsghdr& message) {
  return std::min<uint32_t>(message.msg_len, GroBuffers::kBuffer);
}

/** How long the datagrams are that the kernel joined; the last may be shorter. */
uint32_t segmentOctets(const Arrival& arrival, uint32_t total) {
  return arrival.segment == 0 ? total : arrival.segment;
}

void writePath(uint8_t* path, const Socket& socket, const SocketAddress& name,
               const Arrival& arrival) {
  writePathRemote(path, socket.transport(), name);
  if (arrival.hasLocal) {
    writePathLocal(path, arrival.local);
  } else {
    std::memset(path + path_at::local, 0, 16);
  }
}

}  // namespace

uint32_t Receiver::receive(Socket& socket, uint32_t* slots, uint32_t capacity, bool plain) {
  plain_ = plain;
  if (socket.udp()) return receiveUdp(socket, slots, capacity);
  if (socket.tcp()) return receiveTcp(socket, slots, capacity);
  return receiveRaw(socket, slots, capacity);
}

uint32_t Receiver::receiveRaw(Socket& socket, uint32_t* slots, uint32_t capacity) {
  uint32_t accepted = 0;
  uint32_t batches = capacity / kReceiveBatch + kRefusedBatchesMax;
  // The IP header of a raw IPv4 packet is put into the headroom: the message begins behind it.
  const size_t front = socket.v6 ? kSlotHeadroom : kSlotHeadroom - kIpv4Header;
  // Raw IPv4 reads addresses and traffic class from the IP header that it receives.
  const bool named = socket.v6 && !socket.connected;
  for (; accepted < capacity && batches > 0; batches -= 1) {
    const uint32_t wanted = std::min(kReceiveBatch, capacity - accepted);
    for (uint32_t at = 0; at < wanted; at += 1) {
      uint8_t* base = memory_.slotBase(slots[accepted + at]);
      raw_.reset(at, base + front, kSlotSize - front, named, socket.v6);
    }
    const int got = fetch(socket, raw_.messages, wanted);
    if (got <= 0) break;
    expectRawTags(socket, static_cast<uint32_t>(got));
    uint32_t* batch = slots + accepted;
    uint32_t kept = 0;
    for (uint32_t at = 0; at < static_cast<uint32_t>(got); at += 1) {
      if (!rawMessage(socket, at, batch[at])) continue;
      std::swap(batch[kept], batch[at]);
      kept += 1;
    }
    accepted += kept;
    if (static_cast<uint32_t>(got) < wanted) break;
  }
  return accepted;
}

/** Takes what the last call left, then fetches more. */
uint32_t Receiver::receiveUdp(Socket& socket, uint32_t* slots, uint32_t capacity) {
  GroBuffers& gro = *socket.gro;
  uint32_t accepted = cutHeld(socket, slots, capacity);
  uint32_t batches = capacity / kGroBatch + kRefusedBatchesMax;
  for (; accepted < capacity && !gro.hasLeftover() && batches > 0; batches -= 1) {
    const uint32_t wanted = std::min(kGroBatch, capacity - accepted);
    for (uint32_t at = 0; at < wanted; at += 1) {
      gro.arrivals.reset(at, gro.buffer(at), GroBuffers::kBuffer, !socket.connected, true);
    }
    const int got = fetch(socket, gro.arrivals.messages, wanted);
    if (got <= 0) break;
    gro.count = static_cast<uint32_t>(got);
    gro.at = 0;
    gro.offset = 0;
    accepted += cutHeld(socket, slots + accepted, capacity - accepted);
    if (static_cast<uint32_t>(got) < wanted) break;
  }
  return accepted;
}

/** Cuts held messages into datagrams, opens them where they lie, copies the genuine ones to slots.
 */
uint32_t Receiver::cutHeld(Socket& socket, uint32_t* slots, uint32_t capacity) {
  GroBuffers& gro = *socket.gro;
  uint32_t accepted = 0;
  uint32_t expected = 0;
  for (; gro.at < gro.count && accepted < capacity; gro.at += 1, gro.offset = 0) {
    const mmsghdr& message = gro.arrivals.messages[gro.at];
    const uint32_t total = heldOctets(message);
    const Arrival arrival = readControl(message.msg_hdr);
    const uint32_t segment = segmentOctets(arrival, total);
    trafficClass_ = arrival.trafficClass;
    hopLimit_ = arrival.hopLimit;
    if (socket.connected) {
      std::memcpy(path_, socket.path, kPathOctets);
    } else {
      writePath(path_, socket, gro.arrivals.names[gro.at], arrival);
    }
    if (gro.offset == 0 && segment < total) memory_.add(Counter::udpCoalesced);
    while (gro.offset < total && accepted < capacity) {
      if (expected == 0) expected = expectHeldTags(gro, capacity - accepted);
      expected -= 1;
      const uint32_t octets = std::min(segment, total - gro.offset);
      uint8_t* from = gro.buffer(gro.at) + gro.offset;
      gro.offset += octets;
      const uint32_t slot = slots[accepted];
      uint32_t length;
      if (tap_.active()) tap_.received(socket, path_, trafficClass_, hopLimit_, from, octets);
      if (!accept(socket, from, octets, slot, length)) continue;
      uint8_t* to = memory_.slotBase(slot) + kSlotHeadroom;
      std::memcpy(to, from, length);
      memory_.setPacket(slot, to, length);
      accepted += 1;
    }
    if (gro.offset < total) break;
  }
  return accepted;
}

/** Takes the whole messages that the last call left, then reads on. */
uint32_t Receiver::receiveTcp(Socket& socket, uint32_t* slots, uint32_t capacity) {
  if (socket.stream == nullptr || socket.stream->failure() == EBADMSG) return 0;
  Stream& stream = *socket.stream;
  trafficClass_ = hopLimit_ = 0;
  std::memcpy(path_, socket.path, kPathOctets);
  uint32_t accepted = cutStream(socket, slots, capacity);
  uint32_t reads = capacity / kGroBatch + kRefusedBatchesMax;
  for (; accepted < capacity && reads > 0; reads -= 1) {
    memory_.add(Counter::receiveCalls);
    if (!stream.fill()) break;
    accepted += cutStream(socket, slots + accepted, capacity - accepted);
  }
  if (stream.failure() == EBADMSG) memory_.add(Counter::badFrames);
  return accepted;
}

/** Opens messages where they lie in the stream's buffer and copies the genuine ones to slots. */
uint32_t Receiver::cutStream(Socket& socket, uint32_t* slots, uint32_t capacity) {
  Stream& stream = *socket.stream;
  uint32_t accepted = 0;
  uint32_t expected = 0;
  Frame frame;
  while (accepted < capacity) {
    if (expected == 0) expected = expectStreamTags(stream, capacity - accepted);
    if (!stream.cut(frame)) break;
    expected -= 1;
    const uint32_t slot = slots[accepted];
    uint32_t length;
    if (tap_.active()) tap_.received(socket, path_, 0, 0, frame.message, frame.octets);
    if (!accept(socket, frame.message, frame.octets, slot, length)) continue;
    uint8_t* to = memory_.slotBase(slot) + kSlotHeadroom;
    std::memcpy(to, frame.message, length);
    memory_.setPacket(slot, to, length);
    accepted += 1;
  }
  return accepted;
}

/** The tags of the next whole messages of a stream; returns how many there are, up to a batch. */
uint32_t Receiver::expectStreamTags(const Stream& stream, uint32_t wanted) {
  const uint32_t most = std::min(wanted, TagBatch::kMax);
  uint32_t seen = 0;
  tags_.clear();
  for (Frame frame; seen < most && stream.peek(frame, frame); seen += 1) {
    if (!plain_) expectTag(contexts_, frame.message, frame.octets, tags_);
  }
  tags_.compute();
  return seen;
}

/** Has the tags ready of the messages of a raw batch. */
void Receiver::expectRawTags(const Socket& socket, uint32_t got) {
  tags_.clear();
  if (plain_) return;
  for (uint32_t at = 0; at < got; at += 1) {
    uint8_t* octets;
    size_t count;
    Counter reason;
    if (!findMessage(raw_.messages[at], socket.v6, octets, count, reason)) continue;
    expectTag(contexts_, octets, count, tags_);
  }
  tags_.compute();
}

/** The same for held datagrams from the one being cut on; returns how many, 1 or more. */
uint32_t Receiver::expectHeldTags(GroBuffers& gro, uint32_t wanted) {
  const uint32_t most = std::min(wanted, TagBatch::kMax);
  uint32_t seen = 0;
  tags_.clear();
  for (uint32_t at = gro.at; at < gro.count && seen < most; at += 1) {
    const mmsghdr& message = gro.arrivals.messages[at];
    const uint32_t total = heldOctets(message);
    const uint32_t segment = segmentOctets(readControl(message.msg_hdr), total);
    uint32_t offset = at == gro.at ? gro.offset : 0;
    for (; offset < total && seen < most; seen += 1) {
      const uint32_t octets = std::min(segment, total - offset);
      if (!plain_) expectTag(contexts_, gro.buffer(at) + offset, octets, tags_);
      offset += octets;
    }
  }
  tags_.compute();
  return seen;
}

/**
 * One `recvmmsg`. An ICMP error waiting on the socket fails the call in place of a packet and is
 * cleared by that, so it is tried again; the error queue keeps the details for `takeErrors`.
 */
int Receiver::fetch(Socket& socket, mmsghdr* messages, uint32_t count) {
  for (uint32_t tried = 0; tried < kErrorsSkippedMax; tried += 1) {
    memory_.add(Counter::receiveCalls);
    const int got = ::recvmmsg(socket.fd.get(), messages, count, MSG_DONTWAIT, nullptr);
    if (got >= 0 || errno == EAGAIN || errno == EWOULDBLOCK) return got;
  }
  return -1;
}

bool Receiver::rawMessage(const Socket& socket, uint32_t at, uint32_t slot) {
  const mmsghdr& message = raw_.messages[at];
  const auto* packet = static_cast<const uint8_t*>(raw_.parts[at].iov_base);
  if (socket.v6) {
    const Arrival arrival = readControl(message.msg_hdr);
    trafficClass_ = arrival.trafficClass;
    hopLimit_ = arrival.hopLimit;
    if (!socket.connected) writePath(path_, socket, raw_.names[at], arrival);
  } else {
    trafficClass_ = packet[1];
    hopLimit_ = packet[8];
    std::memset(path_, 0, sizeof path_);
    path_[path_at::family] = 4;
    path_[path_at::transport] = kTransportRaw;
    std::memcpy(path_ + path_at::remote, packet + 12, 4);
    std::memcpy(path_ + path_at::local, packet + 16, 4);
  }
  if (socket.connected) std::memcpy(path_, socket.path, kPathOctets);
  if (tap_.active()) tapRaw(socket, packet, message.msg_len);
  uint8_t* octets;
  size_t count;
  if (Counter reason; !findMessage(message, socket.v6, octets, count, reason)) {
    memory_.add(reason);
    return false;
  }
  uint32_t length;
  if (!accept(socket, octets, count, slot, length)) return false;
  memory_.setPacket(slot, octets, length);
  return true;
}

void Receiver::tapRaw(const Socket& socket, const uint8_t* packet, size_t octets) {
  if (socket.v6) {
    tap_.received(socket, path_, trafficClass_, hopLimit_, packet, octets);
  } else {
    tap_.receivedIpv4(packet, octets);
  }
}

void Receiver::keepMangled(bool keep) {
  mangled_.reset();
  asArrived_ = keep ? std::make_unique<Mangled>() : nullptr;
}

std::unique_ptr<Mangled> Receiver::takeMangled() {
  return std::move(mangled_);
}

bool Receiver::open(uint8_t* message, size_t octets, Opened& opened) {
  if (asArrived_ != nullptr) {
    asArrived_->octets = octets;
    std::memcpy(asArrived_->message, message, octets);
  }
  Counter reason;
  if (openMessage(contexts_, message, octets, tags_, opened, reason)) return true;
  memory_.add(reason);
  if (asArrived_ == nullptr || reason != Counter::badTag) return false;
  // An INIT names a client, a RESET a link that is no more.
  const Class which = classOf(typeNibble(asArrived_->message));
  if (which == Class::init || which == Class::reset) return false;
  std::swap(mangled_, asArrived_);
  if (asArrived_ == nullptr) asArrived_ = std::make_unique<Mangled>();
  return false;
}

/** Opens a message and writes the slot's record; `length` is what remains without the tag. */
bool Receiver::accept(const Socket& socket, uint8_t* message, size_t octets, uint32_t slot,
                      uint32_t& length) {
  if (octets > kMessageMax) {
    memory_.add(Counter::oversize);
    return false;
  }
  Opened opened = {octets, 0, 0, nullptr};
  if (!plain_ && !open(message, octets, opened)) return false;
  constexpr uint32_t kSourceDiffers = 0x100;
  uint32_t info = trafficClass_ | hopLimit_ << 16;
  const uint32_t tied = opened.transmits == nullptr ? 0 : opened.transmits[socket.transport()];
  const Transmit* transmit = contexts_.transmit(tied);
  if (transmit != nullptr && transmit->to.socket != 0) {
    const Destination& to = transmit->to;
    const bool same = to.socket == socket.handle && (!to.named || sameRemote(to.path, path_));
    if (!same) info |= kSourceDiffers;
  }
  length = static_cast<uint32_t>(opened.length);
  memory_.seq[slot] = static_cast<double>(opened.seq);
  memory_.context[slot] = opened.context;
  memory_.info[slot] = info;
  std::memcpy(memory_.path(slot), path_, kPathOctets);
  return true;
}

}  // namespace mpfwd
