/**
 * The tables that find a message's key: by link id, by client id, by link id of a RESET; and the
 * transmit contexts by number. Each has a limit; nothing here grows because of the network.
 */
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <unordered_map>
#include <vector>

#include "memory.h"
#include "message.h"
#include "replay.h"
#include "seal.h"

namespace mpfwd {

constexpr size_t kContextsMax = 65536;
constexpr size_t kTokenOctets = 16;
/** Raw, UDP and TCP. */
constexpr size_t kTransports = 3;

enum class Suite : uint8_t { hmacSha256, aes128Gcm };

/** Keys of one direction of one link; absent ones are not set. */
struct Keys {
  Suite suite = Suite::hmacSha256;
  uint8_t dataTag = kTagOctets;
  HmacKey data;
  GcmKey cipher;
  HmacKey control;
  HmacKey attach;
  HmacKey handshake;

  /** The HMAC key of a class; null where the class has none. */
  const HmacKey* hmac(Class which) const {
    const HmacKey* key = which == Class::data        ? &data
                         : which == Class::control   ? &control
                         : which == Class::attach    ? &attach
                         : which == Class::handshake ? &handshake
                                                     : nullptr;
    return key != nullptr && key->isSet() ? key : nullptr;
  }
};

/** Where packets go, ready for `sendmsg`. */
struct Destination {
  /** Handle of the socket; 0: none yet, or closed. */
  int32_t socket = 0;
  /** False on a connected socket. */
  bool named = false;
  uint8_t path[kPathOctets] = {};
  socklen_t nameOctets = 0;
  sockaddr_storage name = {};
  bool v6 = false;
  /** DSCP and ECN. */
  uint8_t trafficClass = 0;
  /** Control messages: of the first `localOctets` one that chooses the local address (IP_PKTINFO,
   * IPV6_PKTINFO), behind it one that sets the traffic class (IP_TOS, IPV6_TCLASS). Either may be
   * absent. */
  size_t localOctets = 0;
  size_t controlOctets = 0;
  alignas(cmsghdr) uint8_t control[64] = {};
};

struct Transmit {
  Keys keys;
  Destination to;
  /** DSCP and ECN of every packet; survives a change of path. */
  uint8_t trafficClass = 0;
};

struct Receive {
  Keys keys;
  uint32_t context;
  /** By transport: transmit context whose path is compared with a packet's source; 0: none. */
  uint32_t transmits[kTransports] = {};
  ReplayWindow data;
  ReplayWindow control;
  ReplayWindow attach;

  Receive(uint64_t dataSeq, uint64_t controlSeq) : data(dataSeq), control(controlSeq) {}
};

struct Client {
  HmacKey mac1;
  uint32_t context;
};

struct Reset {
  uint8_t token[kTokenOctets];
  uint32_t context;

  ~Reset() { OPENSSL_cleanse(token, sizeof token); }
};

class Contexts {
 public:
  /** Returns the number of a new transmit context; 0 when there are too many. */
  uint32_t addTransmit(std::unique_ptr<Transmit> transmit) {
    uint32_t number = 1;
    if (!freeNumbers_.empty()) {
      number = freeNumbers_.back();
      freeNumbers_.pop_back();
    } else {
      if (transmits_.size() >= kContextsMax) return 0;
      transmits_.emplace_back();
      number = static_cast<uint32_t>(transmits_.size());
    }
    transmits_[number - 1] = std::move(transmit);
    return number;
  }

  Transmit* transmit(uint32_t number) {
    return number >= 1 && number <= transmits_.size() ? transmits_[number - 1].get() : nullptr;
  }

  void removeTransmit(uint32_t number) {
    if (transmit(number) == nullptr) return;
    transmits_[number - 1].reset();
    freeNumbers_.push_back(number);
    // The number may be given again, to another link.
    for (auto& entry : receives_) {
      for (uint32_t& tied : entry.second->transmits) {
        if (tied == number) tied = 0;
      }
    }
  }

  /** A closed socket is nobody's destination: its handle may be given again. */
  void forgetSocket(int32_t socket) {
    for (auto& transmit : transmits_) {
      if (transmit != nullptr && transmit->to.socket == socket) transmit->to.socket = 0;
    }
  }

  Receive* receive(uint32_t linkId) {
    if (lastReceive_ != nullptr && lastLinkId_ == linkId) return lastReceive_;
    const auto found = receives_.find(linkId);
    if (found == receives_.end()) return nullptr;
    lastLinkId_ = linkId;
    lastReceive_ = found->second.get();
    return lastReceive_;
  }

  bool receivesFull() const { return receives_.size() >= kContextsMax; }
  void addReceive(uint32_t linkId, std::unique_ptr<Receive> receive) {
    receives_.emplace(linkId, std::move(receive));
  }
  void removeReceive(uint32_t linkId) {
    lastReceive_ = nullptr;
    receives_.erase(linkId);
  }

  Client* client(const uint8_t* id) { return find(clients_, clientNumber(id)); }
  bool clientsFull() const { return clients_.size() >= kContextsMax; }
  void addClient(const uint8_t* id, std::unique_ptr<Client> client) {
    clients_.emplace(clientNumber(id), std::move(client));
  }
  void removeClient(const uint8_t* id) { clients_.erase(clientNumber(id)); }

  Reset* reset(uint32_t linkId) { return find(resets_, linkId); }
  bool resetsFull() const { return resets_.size() >= kContextsMax; }
  void addReset(uint32_t linkId, std::unique_ptr<Reset> reset) {
    resets_.emplace(linkId, std::move(reset));
  }
  void removeReset(uint32_t linkId) { resets_.erase(linkId); }

  /** Wipes every key. */
  void clear() {
    lastReceive_ = nullptr;
    transmits_.clear();
    freeNumbers_.clear();
    receives_.clear();
    clients_.clear();
    resets_.clear();
  }

 private:
  template <typename Table, typename Key>
  static auto find(Table& table, Key key) -> decltype(table.begin()->second.get()) {
    const auto found = table.find(key);
    return found == table.end() ? nullptr : found->second.get();
  }

  static uint64_t clientNumber(const uint8_t* id) {
    uint64_t number;
    std::memcpy(&number, id, sizeof number);
    return number;
  }

  std::vector<std::unique_ptr<Transmit>> transmits_;
  std::vector<uint32_t> freeNumbers_;
  std::unordered_map<uint32_t, std::unique_ptr<Receive>> receives_;
  std::unordered_map<uint64_t, std::unique_ptr<Client>> clients_;
  std::unordered_map<uint32_t, std::unique_ptr<Reset>> resets_;
  /** The last link found: packets come in runs of one link. */
  uint32_t lastLinkId_ = 0;
  Receive* lastReceive_ = nullptr;
};

}  // namespace mpfwd
