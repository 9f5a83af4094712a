#include "checksum.h"

#include "octets.h"

namespace mpfwd {

uint64_t addToSum(uint64_t sum, const uint8_t* octets, size_t count) {
  // A one's complement sum does not depend on the byte order (RFC 1071 section 2 B), so whole
  // machine words are summed and the folded result is swapped once. The loop is plain enough for
  // the compiler to vectorise it on any x86-64 and arm64.
  uint64_t words = 0;
  size_t at = 0;
  for (; at + 4 <= count; at += 4) {
    uint32_t word;
    std::memcpy(&word, octets + at, 4);
    words += word;
  }
  uint32_t tail = 0;
  std::memcpy(&tail, octets + at, count - at);
  words += tail;
  return sum + __builtin_bswap16(foldSum(words));
}

uint16_t foldSum(uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

uint64_t addPseudoHeader(uint64_t sum, const uint8_t* ip, bool v6, uint8_t protocol,
                         size_t l4Octets) {
  sum = v6 ? addToSum(sum, ip + 8, 32) : addToSum(sum, ip + 12, 8);
  return sum + protocol + l4Octets;
}

void writeIpv4Checksum(uint8_t* header, size_t octets) {
  store16(header + 10, 0);
  store16(header + 10, static_cast<uint16_t>(~foldSum(addToSum(0, header, octets))));
}

}  // namespace mpfwd
