/**
 * Opens one message from the network: finds its key, verifies its tag, checks its sequence number,
 * decrypts. The only way for octets from outside to reach JavaScript.
 */
#pragma once

#include "contexts.h"
#include "lanes.h"

namespace mpfwd {

struct Opened {
  /** Octets from the preamble on, without the tag. */
  size_t length;
  uint64_t seq;
  uint32_t context;
  /** By transport, the transmit contexts to compare the source with; null: none. */
  const uint32_t* transmits;
};

/**
 * Adds to the batch the tag that opening this message will ask for. Decides nothing: what is wrong
 * with the message, or changes before it is opened, is found by `openMessage`.
 */
void expectTag(Contexts& contexts, const uint8_t* message, size_t octets, TagBatch& tags);

/**
 * True when the message is genuine and fresh; else `reason` says which counter it belongs to. Tags
 * that are not ready in the batch are computed.
 */
bool openMessage(Contexts& contexts, uint8_t* message, size_t octets, TagBatch& tags,
                 Opened& opened, Counter& reason);

}  // namespace mpfwd
