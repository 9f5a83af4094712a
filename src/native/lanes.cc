// See seal.cc: the low-level calls are deprecated, not gone.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "lanes.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "octets.h"

namespace mpfwd {

namespace {

constexpr size_t kBlock = SHA256_CBLOCK;
constexpr uint32_t kWords = 8;
constexpr uint32_t kLanes = 8;
/**
 * Fewer messages go one by one. Two are faster together only with the SHA extensions; processors
 * without them work on four or eight lanes at the price of nearly three.
 */
constexpr uint32_t kLanesMin = 3;

/** The layouts of SHA256_MB_CTX and HASH_DESC in OpenSSL's crypto/evp. */
struct alignas(32) States {
  uint32_t words[kWords][kLanes];
};
struct Blocks {
  const uint8_t* from;
  int count;
};
/** Compresses each lane's blocks into its state: 4 lanes when `fours` is 1, 8 when it is 2. */
using MultiBlock = void (*)(States* states, const Blocks* lanes, int fours);

/** Lanes of unlike lengths, empty ones among them, against the one-by-one function. */
bool agrees(MultiBlock multiBlock, uint32_t lanes) {
  constexpr int kCounts[kLanes] = {5, 3, 1, 0, 2, 1, 1, 0};
  uint8_t octets[kLanes][5 * kBlock];
  SHA256_CTX expected[kLanes];
  States states = {};
  Blocks blocks[kLanes] = {};
  for (uint32_t lane = 0; lane < lanes; lane += 1) {
    SHA256_Init(&expected[lane]);
    const int count = kCounts[lane];
    blocks[lane] = {count > 0 ? octets[lane] : nullptr, count};
    for (size_t at = 0; at < sizeof octets[lane]; at += 1) {
      octets[lane][at] = static_cast<uint8_t>(at * 7 + lane * 31);
    }
    for (uint32_t word = 0; word < kWords; word += 1) {
      states.words[word][lane] = expected[lane].h[word];
    }
    for (int at = 0; at < count; at += 1) {
      SHA256_Transform(&expected[lane], octets[lane] + at * kBlock);
    }
  }
  multiBlock(&states, blocks, static_cast<int>(lanes / 4));
  for (uint32_t lane = 0; lane < lanes; lane += 1) {
    for (uint32_t word = 0; word < kWords; word += 1) {
      if (states.words[word][lane] != expected[lane].h[word]) return false;
    }
  }
  return true;
}

/**
 * OpenSSL's own function for records of TLS. It is not part of the public interface, so it is
 * looked for and tried before it is believed.
 */
MultiBlock findMultiBlock() {
  const auto found = reinterpret_cast<MultiBlock>(dlsym(RTLD_DEFAULT, "sha256_multi_block"));
  return found != nullptr && agrees(found, 4) && agrees(found, 8) ? found : nullptr;
}

MultiBlock multiBlock() {
  static const MultiBlock found = findMultiBlock();
  return found;
}

/**
 * One message as blocks: the first, which begins with the upper half, and the last two, which hold
 * the padding, are copied; those between are read where they lie. Up to two blocks are all last
 * ones.
 */
struct Lane {
  uint8_t first[kBlock];
  uint8_t last[2 * kBlock];

  void fill(uint32_t upper, const uint8_t* message, size_t octets, uint32_t blocks) {
    const size_t hashed = sizeof upper + octets;
    const size_t lastBlocks = std::min(blocks, 2u);
    const size_t from = (blocks - lastBlocks) * kBlock;
    size_t at = hashed - from;
    if (from > 0) {
      store32(first, upper);
      std::memcpy(first + sizeof upper, message, kBlock - sizeof upper);
      std::memcpy(last, message + from - sizeof upper, at);
    } else {
      store32(last, upper);
      if (octets > 0) std::memcpy(last + sizeof upper, message, octets);
    }
    pad(last, at, lastBlocks * kBlock, kBlock + hashed);
  }

  /** What the outer hash has behind its key's block. */
  void fillOuter(const States& states, uint32_t lane) {
    for (uint32_t word = 0; word < kWords; word += 1) {
      store32(last + 4 * word, states.words[word][lane]);
    }
    pad(last, kHashOctets, kBlock, kBlock + kHashOctets);
  }

 private:
  static void pad(uint8_t* octets, size_t at, size_t end, size_t hashed) {
    octets[at] = 0x80;
    std::memset(octets + at + 1, 0, end - 8 - at - 1);
    store64(octets + end - 8, hashed * 8);
  }
};

}  // namespace

TagBatch::TagBatch() : available_(multiBlock() != nullptr) {}

void TagBatch::add(const HmacKey& key, uint32_t upper, const uint8_t* message, size_t octets) {
  if (!available_ || count_ == kMax || octets > kOctetsMax) return;
  Entry& entry = entries_[count_];
  entry.key = &key;
  entry.message = message;
  entry.octets = static_cast<uint32_t>(octets);
  entry.upper = upper;
  entry.blocks = static_cast<uint32_t>((sizeof upper + octets + 1 + 8 + kBlock - 1) / kBlock);
  entry.ready = false;
  count_ += 1;
}

void TagBatch::compute() {
  if (count_ < kLanesMin) return;
  sortByBlocks();
  for (uint32_t at = 0; at < count_;) {
    // Lanes take as long as the longest of them: much shorter messages are another group.
    const uint32_t shortest = (entries_[order_[at]].blocks + 1) / 2;
    const uint32_t most = std::min(kLanes, count_ - at);
    uint32_t lanes = 1;
    while (lanes < most && entries_[order_[at + lanes]].blocks >= shortest) lanes += 1;
    if (lanes >= kLanesMin) computeGroup(order_ + at, lanes);
    at += lanes;
  }
}

/** Counting sort, the longest first. */
void TagBatch::sortByBlocks() {
  uint8_t starts[kBlocksMax + 1] = {};
  for (uint32_t at = 0; at < count_; at += 1) starts[kBlocksMax - entries_[at].blocks] += 1;
  uint8_t start = 0;
  for (uint8_t& one : starts) start += std::exchange(one, start);
  for (uint32_t at = 0; at < count_; at += 1) {
    order_[starts[kBlocksMax - entries_[at].blocks]++] = static_cast<uint8_t>(at);
  }
}

/** The longest message comes first, so that a lane without blocks has none with blocks behind it.
 */
void TagBatch::computeGroup(const uint8_t* members, uint32_t lanes) {
  const MultiBlock compress = multiBlock();
  const int fours = lanes > 4 ? 2 : 1;
  Lane sides[kLanes];
  States states = {};
  Blocks first[kLanes] = {}, middle[kLanes] = {}, last[kLanes] = {}, outer[kLanes] = {};
  for (uint32_t lane = 0; lane < lanes; lane += 1) {
    const Entry& entry = entries_[members[lane]];
    Lane& side = sides[lane];
    side.fill(entry.upper, entry.message, entry.octets, entry.blocks);
    const auto between = entry.blocks > 3 ? static_cast<int>(entry.blocks) - 3 : 0;
    first[lane] = {side.first, entry.blocks > 2 ? 1 : 0};
    middle[lane] = {entry.message + (between > 0 ? kBlock - sizeof entry.upper : 0), between};
    last[lane] = {side.last, entry.blocks > 1 ? 2 : 1};
    outer[lane] = {side.last, 1};
    for (uint32_t word = 0; word < kWords; word += 1) {
      states.words[word][lane] = entry.key->innerState()[word];
    }
  }
  if (first[0].count > 0) compress(&states, first, fours);
  if (middle[0].count > 0) compress(&states, middle, fours);
  compress(&states, last, fours);
  for (uint32_t lane = 0; lane < lanes; lane += 1) {
    sides[lane].fillOuter(states, lane);
    for (uint32_t word = 0; word < kWords; word += 1) {
      states.words[word][lane] = entries_[members[lane]].key->outerState()[word];
    }
  }
  compress(&states, outer, fours);
  for (uint32_t lane = 0; lane < lanes; lane += 1) {
    Entry& entry = entries_[members[lane]];
    for (uint32_t word = 0; word < kWords; word += 1) {
      store32(entry.tag + 4 * word, states.words[word][lane]);
    }
    entry.ready = true;
  }
}

const uint8_t* TagBatch::take(uint32_t upper, const uint8_t* message) {
  for (uint32_t at = next_; at < count_; at += 1) {
    const Entry& entry = entries_[at];
    if (entry.message != message) continue;
    next_ = at + 1;
    return entry.ready && entry.upper == upper ? entry.tag : nullptr;
  }
  return nullptr;
}

}  // namespace mpfwd
