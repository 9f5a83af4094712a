#include "tun.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cstring>

namespace mpfwd {

namespace {

#ifndef TUN_F_USO4
constexpr unsigned TUN_F_USO4 = 0x20;
constexpr unsigned TUN_F_USO6 = 0x40;
#endif

/** A read that finds garbage uses no slot: this many of them end a call. */
constexpr uint32_t kRefusedReadsMax = 64;

}  // namespace

Status Tun::open(const char* name, bool offload, int queuePackets) {
  Status status = openWith(name, offload);
  if (offload && status.error == EINVAL) status = openWith(name, false);
  if (status.failed()) return status;
  if (vnet_) negotiate();
  if (vnet_ && offloads_ == 0) status = openWith(name, false);
  if (status.failed()) return status;
  if (vnet_) {
    super_.reset(new uint8_t[kSuperPacketMax]);
    coalescer_ = std::make_unique<Coalescer>();
  }
  return queuePackets == 0 ? status : setQueue(queuePackets);
}

Status Tun::setQueue(int packets) const {
  const Fd any(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!any.valid()) return Status::last("socket");
  ifreq request = {};
  std::memcpy(request.ifr_name, name_, IFNAMSIZ);
  request.ifr_qlen = packets;
  return ::ioctl(any.get(), SIOCSIFTXQLEN, &request) < 0 ? Status::last("SIOCSIFTXQLEN")
                                                         : Status::ok();
}

Status Tun::openWith(const char* name, bool vnet) {
  fd = Fd();  // A first attempt's device goes with its descriptor.
  Fd opened(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!opened.valid()) return Status::last("open /dev/net/tun");
  ifreq request = {};
  std::strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  request.ifr_flags = static_cast<short>(IFF_TUN | IFF_NO_PI | (vnet ? IFF_VNET_HDR : 0));
  if (::ioctl(opened.get(), TUNSETIFF, &request) < 0) return Status::last("TUNSETIFF");
  int vnetOctets = sizeof(VnetHeader);
  if (vnet && ::ioctl(opened.get(), TUNSETVNETHDRSZ, &vnetOctets) < 0) {
    return Status::last("TUNSETVNETHDRSZ");
  }
  fd = std::move(opened);
  vnet_ = vnet;
  std::memcpy(name_, request.ifr_name, IFNAMSIZ);
  return Status::ok();
}

/** Asks for all offloads, then for fewer, until the kernel agrees. */
void Tun::negotiate() {
  constexpr unsigned base = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
  constexpr unsigned uso = TUN_F_USO4 | TUN_F_USO6;
  constexpr unsigned attempts[] = {base | TUN_F_TSO_ECN | uso, base | TUN_F_TSO_ECN, base};
  for (const unsigned bits : attempts) {
    if (::ioctl(fd.get(), TUNSETOFFLOAD, static_cast<unsigned long>(bits)) < 0) continue;
    offloads_ = kOffloadChecksum | kOffloadTso4 | kOffloadTso6;
    if ((bits & uso) != 0) offloads_ |= kOffloadUso;
    return;
  }
}

int Tun::deviceError() const {
  ifreq request = {};
  return ::ioctl(fd.get(), TUNGETIFF, &request) < 0 ? errno : 0;
}

uint32_t Tun::read(Memory& memory, const uint32_t* slots, uint32_t capacity) {
  uint32_t filled = 0;
  uint32_t refused = 0;
  while (filled < capacity && refused < kRefusedReadsMax) {
    const uint32_t slot = slots[filled];
    if (!segmenter_.done()) {
      uint8_t* at = memory.slotBase(slot) + kSlotHeadroom;
      memory.setPacket(slot, at, segmenter_.next(at));
      filled += 1;
      continue;
    }
    const Read read = readOne(memory, slot);
    if (read == Read::empty) break;
    if (read == Read::packet) filled += 1;
    if (read == Read::refused) refused += 1;
  }
  return filled;
}

/**
 * Reads straight into the slot; what is longer than a slot runs on into `super_` behind the place
 * of the part that went to the slot, so that a super-packet is made contiguous by one short copy.
 */
Tun::Read Tun::readOne(Memory& memory, uint32_t slot) {
  VnetHeader vnet = {};
  uint8_t excess[1];
  iovec parts[3] = {
      {&vnet, sizeof vnet},
      {memory.slotBase(slot) + kSlotHeadroom, kPacketMax},
      {excess, sizeof excess},
  };
  if (super_ != nullptr) parts[2] = {super_.get() + kPacketMax, kSuperPacketMax - kPacketMax};
  ssize_t got;
  do {
    got = vnet_ ? ::readv(fd.get(), parts, 3) : ::readv(fd.get(), parts + 1, 2);
  } while (got < 0 && errno == EINTR);
  memory.add(Counter::tunReadCalls);
  if (got < 0) return Read::empty;
  const size_t octets = static_cast<size_t>(got);
  if (!vnet_) return finishOne(memory, slot, vnet, octets);
  if (octets < sizeof vnet) return Read::empty;
  return finishOne(memory, slot, vnet, octets - sizeof vnet);
}

Tun::Read Tun::finishOne(Memory& memory, uint32_t slot, const VnetHeader& vnet, size_t octets) {
  uint8_t* packet = memory.slotBase(slot) + kSlotHeadroom;
  if ((vnet.gsoType & ~kVnetGsoEcn) != kVnetGsoNone) {
    std::memcpy(super_.get(), packet, std::min(octets, kPacketMax));
    const auto begun = segmenter_.begin(vnet, super_.get(), octets, kPacketMax);
    if (begun == Segmenter::Begun::yes) return Read::super;
    const bool oversize = begun == Segmenter::Begun::oversize;
    memory.add(oversize ? Counter::oversize : Counter::tunMalformed);
    return Read::refused;
  }
  if (octets > kPacketMax) {
    memory.add(Counter::oversize);
    return Read::refused;
  }
  const size_t length = ipLength(packet, octets);
  const bool open = (vnet.flags & kVnetNeedsChecksum) != 0;
  if (length == 0 || (open && !completeChecksum(vnet, packet, length))) {
    memory.add(Counter::tunMalformed);
    return Read::refused;
  }
  memory.setPacket(slot, packet, length);
  return Read::packet;
}

uint32_t Tun::write(Memory& memory, const uint32_t* slots, uint32_t count) {
  uint32_t written = 0;
  if (coalescer_ == nullptr) {
    for (uint32_t at = 0; at < count; at += 1) written += writePlain(memory, slots[at]) ? 1 : 0;
    return written;
  }
  while (count > 0) {
    const uint32_t planned = std::min(count, kPlanMax);
    coalescer_->clear();
    for (uint32_t at = 0; at < planned; at += 1) {
      coalescer_->add(at, memory.packet(slots[at]), memory.length[slots[at]]);
    }
    written += writePlan(memory, slots);
    slots += planned;
    count -= planned;
  }
  return written;
}

uint32_t Tun::writePlan(Memory& memory, const uint32_t* slots) {
  uint32_t written = 0;
  for (uint32_t at = 0; at < coalescer_->groupCount(); at += 1) {
    const Group& group = coalescer_->group(at);
    const bool alone = group.count == 1;
    const bool done =
        alone ? writePlain(memory, slots[group.first]) : writeGroup(memory, slots, group);
    written += done ? group.count : 0;
  }
  return written;
}

bool Tun::writeGroup(Memory& memory, const uint32_t* slots, const Group& group) {
  VnetHeader vnet;
  uint8_t headers[kMergedHeaderMax];
  iovec parts[2 + kPlanMax];
  int used = 2;
  parts[0] = {&vnet, sizeof vnet};
  parts[1] = {headers, Coalescer::writeHeaders(group, vnet, headers)};
  for (uint32_t at = group.first; at != kNoPacket; at = coalescer_->next(at)) {
    const uint32_t slot = slots[at];
    parts[used] = {memory.packet(slot) + group.headers, memory.length[slot] - group.headers};
    used += 1;
  }
  memory.add(Counter::tunWriteCalls);
  if (::writev(fd.get(), parts, used) < 0) {
    memory.add(Counter::tunWriteErrors, group.count);
    return false;
  }
  memory.add(Counter::tunMerged, group.count);
  memory.add(Counter::tunSuperPackets);
  return true;
}

bool Tun::writePlain(Memory& memory, uint32_t slot) {
  VnetHeader vnet = {};
  iovec parts[2] = {{&vnet, sizeof vnet}, {memory.packet(slot), memory.length[slot]}};
  memory.add(Counter::tunWriteCalls);
  const ssize_t put =
      vnet_ ? ::writev(fd.get(), parts, 2) : ::write(fd.get(), parts[1].iov_base, parts[1].iov_len);
  if (put >= 0) return true;
  memory.add(Counter::tunWriteErrors);
  return false;
}

}  // namespace mpfwd
