/** The Internet checksum (RFC 1071) over octets in any alignment. */
#pragma once

#include <cstddef>
#include <cstdint>

namespace mpfwd {

/**
 * Adds octets to an unfolded sum of 16-bit words in network byte order. `count` may be odd only in
 * the last call for one checksum.
 */
uint64_t addToSum(uint64_t sum, const uint8_t* octets, size_t count);

/** Folds a sum to 16 bits without inverting it: what the kernel calls a partial checksum. */
uint16_t foldSum(uint64_t sum);

/** Adds the TCP or UDP pseudo-header of an IPv4 or IPv6 packet. */
uint64_t addPseudoHeader(uint64_t sum, const uint8_t* ip, bool v6, uint8_t protocol,
                         size_t l4Octets);

/** Writes the header checksum of an IPv4 header of `octets` octets. */
void writeIpv4Checksum(uint8_t* header, size_t octets);

}  // namespace mpfwd
