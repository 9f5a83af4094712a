/** What the addon must know of a message's octets: see `src/wire/preamble.ts`. */
#pragma once

#include <cstddef>
#include <cstdint>

#include "octets.h"

namespace mpfwd {

enum class Type : uint8_t {
  init = 1,
  resp,
  retry,
  attach,
  challenge,
  response,
  feedback,
  control,
  data,
  reset,
};

constexpr uint8_t kTypeMin = 1;
constexpr uint8_t kTypeMax = 10;
constexpr size_t kPreamble = 8;
constexpr size_t kOrderedPreamble = 13;
constexpr size_t kClientIdOctets = 8;
constexpr uint32_t kLinkIdMax = 0xffffff;
/** Shortest tag that a configuration may choose for DATA. */
constexpr size_t kShortestTag = 8;

/** Which key, tag and window a message has. */
enum class Class : uint8_t { refused, init, handshake, attach, control, data, reset };

inline Class classOf(uint8_t type) {
  constexpr Class table[16] = {
      Class::refused, Class::init,   Class::handshake, Class::handshake,
      Class::attach,  Class::attach, Class::attach,    Class::control,
      Class::control, Class::data,   Class::reset,
  };
  return table[type & 15];
}

inline uint8_t typeNibble(const uint8_t* message) {
  return message[0] >> 4;
}
inline uint32_t linkIdOf(const uint8_t* message) {
  return load32(message) & kLinkIdMax;
}
inline uint32_t seqOf(const uint8_t* message) {
  return load32(message + 4);
}

/** Octets in front of a DATA message's payload. */
inline size_t dataHeader(const uint8_t* message) {
  constexpr uint8_t kOrderFlag = 4;
  return (message[0] & kOrderFlag) != 0 ? kOrderedPreamble : kPreamble;
}

}  // namespace mpfwd
