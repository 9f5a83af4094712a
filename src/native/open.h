/**
 * Opens one message from the network: finds its key, verifies its tag, checks its sequence number,
 * decrypts. The only way for octets from outside to reach JavaScript.
 */
#pragma once

#include "contexts.h"

namespace mpfwd {

struct Opened {
  /** Octets from the preamble on, without the tag. */
  size_t length;
  uint64_t seq;
  uint32_t context;
  /** Transmit context to compare the source with; 0: none. */
  uint32_t transmit;
};

/** True when the message is genuine and fresh; else `reason` says which counter it belongs to. */
bool openMessage(Contexts& contexts, uint8_t* message, size_t octets, Opened& opened,
                 Counter& reason);

}  // namespace mpfwd
