#include "open.h"

#include <openssl/crypto.h>

namespace mpfwd {

namespace {

bool refuse(Counter why, Counter& reason) {
  reason = why;
  return false;
}

/** INIT names a client, not a link; its tag covers an upper half of 0. */
bool openInit(Contexts& contexts, const uint8_t* message, size_t octets, Opened& opened,
              Counter& reason) {
  if (octets < kPreamble + kClientIdOctets + kTagOctets) {
    return refuse(Counter::truncated, reason);
  }
  const Client* client = contexts.client(message + kPreamble);
  if (client == nullptr) return refuse(Counter::badIndex, reason);
  const size_t length = octets - kTagOctets;
  if (!client->mac1.verify(0, message, length, message + length, kTagOctets)) {
    return refuse(Counter::badTag, reason);
  }
  opened = {length, seqOf(message), client->context, nullptr};
  return true;
}

/** RESET carries a token that only the peer of this link id was given. */
bool openReset(Contexts& contexts, const uint8_t* message, size_t octets, Opened& opened,
               Counter& reason) {
  if (octets < kPreamble + kTokenOctets) return refuse(Counter::truncated, reason);
  const Reset* reset = contexts.reset(linkIdOf(message));
  if (reset == nullptr) return refuse(Counter::badIndex, reason);
  const size_t length = octets - kTokenOctets;
  if (CRYPTO_memcmp(message + length, reset->token, kTokenOctets) != 0) {
    return refuse(Counter::badTag, reason);
  }
  opened = {length, seqOf(message), reset->context, nullptr};
  return true;
}

ReplayWindow* windowOf(Receive& receive, Class which) {
  if (which == Class::data) return &receive.data;
  if (which == Class::control) return &receive.control;
  if (which == Class::attach) return &receive.attach;
  return nullptr;
}

bool genuine(const Receive& receive, Class which, uint64_t seq, uint8_t* message, size_t length,
             size_t tagOctets, TagBatch& tags) {
  if (which == Class::data && receive.keys.suite == Suite::aes128Gcm) {
    return receive.keys.cipher.open(seq, message, dataHeader(message), length);
  }
  const uint32_t upper = static_cast<uint32_t>(seq >> 32);
  const uint8_t* ready = which == Class::data ? tags.take(upper, message) : nullptr;
  const uint8_t* tag = message + length;
  return receive.keys.hmac(which)->verify(upper, message, length, tag, tagOctets, ready);
}

}  // namespace

void expectTag(Contexts& contexts, const uint8_t* message, size_t octets, TagBatch& tags) {
  if (octets < kPreamble + kShortestTag || classOf(typeNibble(message)) != Class::data) return;
  const Receive* receive = contexts.receive(linkIdOf(message));
  if (receive == nullptr || receive->keys.suite != Suite::hmacSha256) return;
  const HmacKey* key = receive->keys.hmac(Class::data);
  const size_t tagOctets = receive->keys.dataTag;
  if (key == nullptr || octets < dataHeader(message) + tagOctets) return;
  const uint64_t seq = receive->data.rebuild(seqOf(message));
  if (seq > kSeqMax || receive->data.tooOld(seq)) return;
  tags.add(*key, static_cast<uint32_t>(seq >> 32), message, octets - tagOctets);
}

bool openMessage(Contexts& contexts, uint8_t* message, size_t octets, TagBatch& tags,
                 Opened& opened, Counter& reason) {
  if (octets < kPreamble + kShortestTag) return refuse(Counter::truncated, reason);
  const Class which = classOf(typeNibble(message));
  if (which == Class::refused) return refuse(Counter::badType, reason);
  if (which == Class::init) return openInit(contexts, message, octets, opened, reason);
  if (which == Class::reset) return openReset(contexts, message, octets, opened, reason);

  Receive* receive = contexts.receive(linkIdOf(message));
  if (receive == nullptr || receive->keys.hmac(which) == nullptr) {
    return refuse(Counter::badIndex, reason);
  }
  const size_t tagOctets = which == Class::data ? receive->keys.dataTag : kTagOctets;
  const size_t header = which == Class::data ? dataHeader(message) : kPreamble;
  if (octets < header + tagOctets) return refuse(Counter::truncated, reason);
  const size_t length = octets - tagOctets;

  ReplayWindow* window = windowOf(*receive, which);
  const uint64_t seq = window == nullptr ? seqOf(message) : window->rebuild(seqOf(message));
  if (window != nullptr && (seq > kSeqMax || window->tooOld(seq))) {
    return refuse(Counter::tooOld, reason);
  }
  if (!genuine(*receive, which, seq, message, length, tagOctets, tags)) {
    return refuse(Counter::badTag, reason);
  }
  if (window != nullptr) {
    const ReplayWindow::Verdict verdict = window->accept(seq);
    if (verdict == ReplayWindow::Verdict::replayed) return refuse(Counter::replayed, reason);
    if (verdict == ReplayWindow::Verdict::tooOld) return refuse(Counter::tooOld, reason);
  }
  opened = {length, seq, receive->context, receive->transmits};
  return true;
}

}  // namespace mpfwd
