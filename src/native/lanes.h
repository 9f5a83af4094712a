/**
 * HMAC tags of a batch, computed several messages at a time: one message after another leaves most
 * of the processor waiting for the last round. Needs OpenSSL's `sha256_multi_block`, which not
 * every node has; without it no tag is ready and every message is tagged by itself.
 */
#pragma once

#include "memory.h"
#include "seal.h"

namespace mpfwd {

class TagBatch {
 public:
  /** Messages of a batch; what is added beyond is not computed. */
  static constexpr uint32_t kMax = 128;

  TagBatch();

  /** Whether this node can do it. */
  bool available() const { return available_; }
  void clear() { count_ = next_ = 0; }
  /** Key and message stay as they are until the tag was taken. */
  void add(const HmacKey& key, uint32_t upper, const uint8_t* message, size_t octets);
  void compute();
  /**
   * `HmacKey::tag` of this message, where it is ready; else null. Tags are taken in the order in
   * which messages were added, each at most once.
   */
  const uint8_t* take(uint32_t upper, const uint8_t* message);

 private:
  static constexpr size_t kOctetsMax = kSlotSize;
  static constexpr uint32_t kBlocksMax = (4 + kOctetsMax + 9 + 63) / 64;

  struct Entry {
    const HmacKey* key;
    const uint8_t* message;
    uint32_t octets;
    uint32_t upper;
    /** Blocks of the inner hash behind its key's. */
    uint32_t blocks;
    bool ready;
    uint8_t tag[kHashOctets];
  };

  void sortByBlocks();
  void computeGroup(const uint8_t* members, uint32_t lanes);

  bool available_;
  uint32_t count_ = 0;
  uint32_t next_ = 0;
  Entry entries_[kMax];
  /** Indices of entries, the longest message first. */
  uint8_t order_[kMax];
};

}  // namespace mpfwd
