/**
 * Replay window after RFC 6479: a ring of bits that is never shifted. Also rebuilds 64-bit sequence
 * numbers from their low 32 bits (the idea of RFC 4303 appendix A).
 */
#pragma once

#include <algorithm>
#include <cstdint>

namespace mpfwd {

/** Sequence numbers stay exact in a double. */
constexpr uint64_t kSeqMax = (uint64_t{1} << 53) - 1;

class ReplayWindow {
 public:
  /** Sequence numbers below the highest by this much or more are too old. */
  static constexpr uint64_t kSize = 8192;

  enum class Verdict { fresh, replayed, tooOld };

  /** Everything below `first` counts as too old or seen. */
  explicit ReplayWindow(uint64_t first = 0) : first_(first), next_(first) {}

  /** The 64-bit number nearest to the highest accepted one; above kSeqMax when there is none. */
  uint64_t rebuild(uint32_t low) const {
    const uint64_t highest = next_ == 0 ? 0 : next_ - 1;
    const int32_t delta = static_cast<int32_t>(low - static_cast<uint32_t>(highest));
    const uint64_t near = highest + static_cast<uint64_t>(int64_t{delta});
    // Below zero there is nothing: the next higher number with these bits is meant.
    return delta < 0 && near > highest ? near + (uint64_t{1} << 32) : near;
  }

  /** Cheap, before the tag is verified; changes nothing. */
  bool tooOld(uint64_t seq) const { return seq < first_ || seq + kSize < next_; }

  /** Test and set, after the tag was verified. */
  Verdict accept(uint64_t seq) {
    if (tooOld(seq)) return Verdict::tooOld;
    if (seq >= next_) advance(seq);
    uint64_t& word = bits_[(seq / 64) % kWords];
    const uint64_t bit = uint64_t{1} << (seq % 64);
    if ((word & bit) != 0) return Verdict::replayed;
    word |= bit;
    return Verdict::fresh;
  }

 private:
  /** One word more than the window would do; a power of two makes the index cheap. */
  static constexpr uint64_t kWords = 256;
  static_assert(kWords * 64 >= kSize + 64);

  /** Clears the words that enter the window. */
  void advance(uint64_t seq) {
    const uint64_t from = next_ == 0 ? 0 : (next_ - 1) / 64;
    const uint64_t steps = std::min(seq / 64 - from, kWords);
    for (uint64_t step = 1; step <= steps; step += 1) bits_[(from + step) % kWords] = 0;
    next_ = seq + 1;
  }

  uint64_t first_;
  /** Highest accepted number plus one. */
  uint64_t next_;
  uint64_t bits_[kWords] = {};
};

}  // namespace mpfwd
