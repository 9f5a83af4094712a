// The low-level SHA-256 calls are deprecated in OpenSSL 3 in favour of EVP, which costs several
// times more on short messages and cannot copy a precomputed pad without allocating.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "seal.h"

#include <openssl/crypto.h>

#include <cstring>

#include "octets.h"

namespace mpfwd {

namespace {

constexpr size_t kGcmKeyOctets = 16;

}  // namespace

HmacKey::~HmacKey() {
  OPENSSL_cleanse(&inner_, sizeof inner_);
  OPENSSL_cleanse(&outer_, sizeof outer_);
}

void HmacKey::set(const uint8_t* key, size_t octets) {
  uint8_t block[SHA256_CBLOCK] = {};
  if (octets > sizeof block) {
    SHA256_Init(&inner_);
    SHA256_Update(&inner_, key, octets);
    SHA256_Final(block, &inner_);
  } else if (octets > 0) {
    std::memcpy(block, key, octets);
  }
  for (uint8_t& octet : block) octet ^= 0x36;
  SHA256_Init(&inner_);
  SHA256_Update(&inner_, block, sizeof block);
  for (uint8_t& octet : block) octet ^= 0x36 ^ 0x5c;
  SHA256_Init(&outer_);
  SHA256_Update(&outer_, block, sizeof block);
  OPENSSL_cleanse(block, sizeof block);
  set_ = true;
}

void HmacKey::tag(uint32_t upper, const uint8_t* message, size_t octets,
                  uint8_t out[kHashOctets]) const {
  SHA256_CTX inner = inner_;
  uint8_t head[4];
  store32(head, upper);
  SHA256_Update(&inner, head, sizeof head);
  SHA256_Update(&inner, message, octets);
  finish(inner, out);
}

void HmacKey::plainTag(const uint8_t* message, size_t octets, uint8_t out[kHashOctets]) const {
  SHA256_CTX inner = inner_;
  SHA256_Update(&inner, message, octets);
  finish(inner, out);
}

void HmacKey::finish(SHA256_CTX& inner, uint8_t out[kHashOctets]) const {
  SHA256_Final(out, &inner);
  SHA256_CTX outer = outer_;
  SHA256_Update(&outer, out, kHashOctets);
  SHA256_Final(out, &outer);
}

bool HmacKey::verify(uint32_t upper, const uint8_t* message, size_t octets, const uint8_t* tag,
                     size_t tagOctets, const uint8_t* ready) const {
  uint8_t expected[kHashOctets];
  if (ready == nullptr) this->tag(upper, message, octets, expected);
  return CRYPTO_memcmp(ready == nullptr ? expected : ready, tag, tagOctets) == 0;
}

GcmKey::~GcmKey() {
  EVP_CIPHER_CTX_free(context_);  // Wipes the key schedule.
}

bool GcmKey::set(Direction direction, const uint8_t* key, uint32_t linkNumber) {
  static_assert(kGcmKeyOctets <= kKeyOctets);
  context_ = EVP_CIPHER_CTX_new();
  linkNumber_ = linkNumber;
  const int sealing = direction == Direction::seal ? 1 : 0;
  return context_ != nullptr &&
         EVP_CipherInit_ex(context_, EVP_aes_128_gcm(), nullptr, key, nullptr, sealing) == 1;
}

bool GcmKey::seal(uint64_t seq, const uint8_t* message, size_t headerOctets, size_t octets,
                  uint8_t* out) const {
  uint8_t nonce[12];
  makeNonce(seq, nonce);
  int written = 0;
  const int header = static_cast<int>(headerOctets);
  const int payload = static_cast<int>(octets - headerOctets);
  uint8_t* cipher = out + headerOctets;
  std::memcpy(out, message, headerOctets);
  return EVP_CipherInit_ex(context_, nullptr, nullptr, nullptr, nonce, 1) == 1 &&
         EVP_CipherUpdate(context_, nullptr, &written, message, header) == 1 &&
         EVP_CipherUpdate(context_, cipher, &written, message + headerOctets, payload) == 1 &&
         EVP_CipherFinal_ex(context_, cipher + payload, &written) == 1 &&
         EVP_CIPHER_CTX_ctrl(context_, EVP_CTRL_AEAD_GET_TAG, kTagOctets, cipher + payload) == 1;
}

bool GcmKey::open(uint64_t seq, uint8_t* message, size_t headerOctets, size_t octets) const {
  uint8_t nonce[12];
  makeNonce(seq, nonce);
  int written = 0;
  const int header = static_cast<int>(headerOctets);
  const int payload = static_cast<int>(octets - headerOctets);
  uint8_t* cipher = message + headerOctets;
  uint8_t rest[16];
  return EVP_CipherInit_ex(context_, nullptr, nullptr, nullptr, nonce, 0) == 1 &&
         EVP_CipherUpdate(context_, nullptr, &written, message, header) == 1 &&
         EVP_CipherUpdate(context_, cipher, &written, cipher, payload) == 1 &&
         EVP_CIPHER_CTX_ctrl(context_, EVP_CTRL_AEAD_SET_TAG, kTagOctets, message + octets) == 1 &&
         EVP_CipherFinal_ex(context_, rest, &written) == 1;
}

void GcmKey::makeNonce(uint64_t seq, uint8_t nonce[12]) const {
  store32(nonce, linkNumber_);
  store64(nonce + 4, seq);
}

}  // namespace mpfwd
