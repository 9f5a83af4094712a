/**
 * The arena's layout, as `src/core/arena.ts` lays it out in one ArrayBuffer owned by JavaScript.
 * Bound anew on every call, because JavaScript may detach the buffer between two calls.
 */
#pragma once

#include <cstddef>
#include <cstdint>

namespace mpfwd {

constexpr size_t kSlotSize = 2048;
constexpr size_t kSlotHeadroom = 64;
constexpr size_t kSlotTailroom = 16;
constexpr size_t kPacketMax = kSlotSize - kSlotHeadroom - kSlotTailroom;
constexpr size_t kCountersMax = 64;
constexpr size_t kPathOctets = 40;
constexpr size_t kSlotMeta = 8 + 4 * 4 + kPathOctets;

/** `COUNTER` of `counters.ts`, same order. */
enum class Counter : uint32_t {
  truncated,
  badType,
  badIndex,
  badTag,
  replayed,
  tooOld,
  oversize,
  sendBlocked,
  sendNoBuffers,
  sendRefused,
  sendUnreachable,
  sendTooBig,
  sendOtherError,
  icmpErrors,
  tunMalformed,
  tunWriteErrors,
  tunMerged,
  tunSuperPackets,
  udpSegmented,
  udpCoalesced,
  tunReadCalls,
  tunWriteCalls,
  sendCalls,
  receiveCalls,
  wakes,
  acceptsRefused,
  badFrames,
  tapMissed,
  sendFailed,
  sendDeferred,
};

struct Memory {
  double* counters;
  double* seq;
  uint32_t* start;
  uint32_t* length;
  uint32_t* context;
  uint32_t* info;
  uint8_t* paths;
  uint8_t* octets;
  uint32_t slotCount;

  static constexpr size_t size(size_t slotCount) {
    return kCountersMax * 8 + slotCount * (kSlotMeta + kSlotSize);
  }

  void bind(void* base, uint32_t count) {
    auto* at = static_cast<uint8_t*>(base);
    auto next = [&at](size_t octetCount) {
      uint8_t* from = at;
      at += octetCount;
      return from;
    };
    slotCount = count;
    counters = reinterpret_cast<double*>(next(kCountersMax * 8));
    seq = reinterpret_cast<double*>(next(size_t{count} * 8));
    start = reinterpret_cast<uint32_t*>(next(size_t{count} * 4));
    length = reinterpret_cast<uint32_t*>(next(size_t{count} * 4));
    context = reinterpret_cast<uint32_t*>(next(size_t{count} * 4));
    info = reinterpret_cast<uint32_t*>(next(size_t{count} * 4));
    paths = next(size_t{count} * kPathOctets);
    octets = next(size_t{count} * kSlotSize);
  }

  void add(Counter counter, double by = 1) { counters[static_cast<uint32_t>(counter)] += by; }

  uint8_t* slotBase(uint32_t slot) const { return octets + size_t{slot} * kSlotSize; }
  uint8_t* packet(uint32_t slot) const { return octets + start[slot]; }
  uint8_t* path(uint32_t slot) const { return paths + size_t{slot} * kPathOctets; }

  /** True when the slot's packet and `tail` octets behind it lie inside the slot. */
  bool holdsPacket(uint32_t slot, size_t tail) const {
    const uint64_t from = uint64_t{slot} * kSlotSize;
    const uint64_t end = uint64_t{start[slot]} + length[slot] + tail;
    return start[slot] >= from && end <= from + kSlotSize;
  }

  /** Names the slot's packet as `octetCount` octets at `at`, which lies inside the slot. */
  void setPacket(uint32_t slot, const uint8_t* at, size_t octetCount) {
    start[slot] = static_cast<uint32_t>(at - octets);
    length[slot] = static_cast<uint32_t>(octetCount);
  }
};

}  // namespace mpfwd
