/** A TUN device: packets of the host between the kernel and slots, with its segmentation offloads.
 */
#pragma once

#include <net/if.h>

#include "coalesce.h"
#include "descriptor.h"
#include "memory.h"
#include "segment.h"

namespace mpfwd {

/** `TUN_OFFLOAD` of `native.ts`. */
constexpr uint32_t kOffloadChecksum = 1;
constexpr uint32_t kOffloadTso4 = 2;
constexpr uint32_t kOffloadTso6 = 4;
constexpr uint32_t kOffloadUso = 8;

class Tun : public Descriptor {
 public:
  Tun() : Descriptor(Kind::tun) {}

  /**
   * `name`: 1..15 characters; a `%d` in it is the kernel's to fill in. `queuePackets`: how many wait for us; 0: as
   * many as the kernel finds right.
   */
  Status open(const char* name, bool offload, int queuePackets);

  const char* name() const { return name_; }
  uint32_t offloads() const { return offloads_; }
  bool hasLeftover() const override { return !segmenter_.done(); }

  /** Fills slots from the front; returns how many. */
  uint32_t read(Memory& memory, const uint32_t* slots, uint32_t capacity);
  /** Returns how many packets the kernel took. */
  uint32_t write(Memory& memory, const uint32_t* slots, uint32_t count);
  /** What is wrong with the device: EBADFD when it was deleted under us; else 0. */
  int deviceError() const;

 private:
  Status openWith(const char* name, bool vnet);
  void negotiate();
  Status setQueue(int packets) const;
  enum class Read { packet, super, refused, empty };
  Read readOne(Memory& memory, uint32_t slot);
  Read finishOne(Memory& memory, uint32_t slot, const VnetHeader& vnet, size_t octets);
  uint32_t writePlan(Memory& memory, const uint32_t* slots);
  bool writeGroup(Memory& memory, const uint32_t* slots, const Group& group);
  bool writePlain(Memory& memory, uint32_t slot);

  char name_[IFNAMSIZ] = {};
  uint32_t offloads_ = 0;
  bool vnet_ = false;
  Segmenter segmenter_;
  /** A super-packet being cut. Made when the device has offloads. */
  std::unique_ptr<uint8_t[]> super_;
  std::unique_ptr<Coalescer> coalescer_;
};

}  // namespace mpfwd
