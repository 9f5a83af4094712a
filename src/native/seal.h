/**
 * Tags and ciphers of one key. The primitives are those of the OpenSSL inside the node executable;
 * here is only how the protocol uses them. Keys are wiped when their owner goes.
 */
#pragma once

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <cstddef>
#include <cstdint>

namespace mpfwd {

constexpr size_t kKeyOctets = 32;
/** Octets of every tag but that of DATA. */
constexpr size_t kTagOctets = 16;
constexpr size_t kHashOctets = 32;

/** HMAC-SHA256 (RFC 2104) with both pads compressed beforehand. */
class HmacKey {
 public:
  HmacKey() = default;
  HmacKey(const HmacKey&) = delete;
  HmacKey& operator=(const HmacKey&) = delete;
  ~HmacKey();

  void set(const uint8_t* key, size_t octets);
  bool isSet() const { return set_; }
  /** HMAC of `upper` (the sequence number's upper half, network byte order) and the message. */
  void tag(uint32_t upper, const uint8_t* message, size_t octets, uint8_t out[kHashOctets]) const;
  /** HMAC of the message alone. */
  void plainTag(const uint8_t* message, size_t octets, uint8_t out[kHashOctets]) const;
  /**
   * Compares the first `tagOctets` of the tag in constant time. `ready`: what `tag` would give, if
   * it is known already.
   */
  bool verify(uint32_t upper, const uint8_t* message, size_t octets, const uint8_t* tag,
              size_t tagOctets, const uint8_t* ready = nullptr) const;

  /** The state behind each pad's block, for hashing elsewhere what follows it. */
  const SHA_LONG* innerState() const { return inner_.h; }
  const SHA_LONG* outerState() const { return outer_.h; }

 private:
  void finish(SHA256_CTX& inner, uint8_t out[kHashOctets]) const;

  bool set_ = false;
  SHA256_CTX inner_;
  SHA256_CTX outer_;
};

enum class Direction { seal, open };

/** AES-128-GCM (RFC 5116) with the link number and the sequence number as nonce. */
class GcmKey {
 public:
  GcmKey() = default;
  GcmKey(const GcmKey&) = delete;
  GcmKey& operator=(const GcmKey&) = delete;
  ~GcmKey();

  /** Key: 16 octets. False when OpenSSL refuses. */
  bool set(Direction direction, const uint8_t* key, uint32_t linkNumber);
  bool isSet() const { return context_ != nullptr; }
  /** Writes header, ciphertext and tag to `out`, which must not overlap `message`. */
  bool seal(uint64_t seq, const uint8_t* message, size_t headerOctets, size_t octets,
            uint8_t* out) const;
  /** Verifies the tag behind `octets` of message and decrypts in place what follows the header. */
  bool open(uint64_t seq, uint8_t* message, size_t headerOctets, size_t octets) const;

 private:
  void makeNonce(uint64_t seq, uint8_t nonce[12]) const;

  EVP_CIPHER_CTX* context_ = nullptr;
  uint32_t linkNumber_ = 0;
};

}  // namespace mpfwd
