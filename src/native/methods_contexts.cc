/** Keys, paths and the tables that find them. */
#include "arguments.h"
#include "methods.h"

namespace mpfwd {

namespace {

bool readKey(Call& call, napi_value from, const char* name, HmacKey& key) {
  napi_value value;
  Octets octets;
  if (!call.property(from, name, value)) return false;
  if (value == nullptr) return true;
  if (!call.octets(value, name, kKeyOctets, octets)) return false;
  key.set(octets.data, octets.length);
  return true;
}

bool readSuite(Call& call, napi_value from, Keys& keys, uint32_t& linkNumber) {
  napi_value value;
  double number;
  if (!call.property(from, "suite", value)) return false;
  if (!call.integer(value, "suite", 0, 1, number)) return false;
  keys.suite = number == 0 ? Suite::hmacSha256 : Suite::aes128Gcm;
  if (!call.property(from, "dataTag", value)) return false;
  if (!call.integer(value, "dataTag", kShortestTag, kTagOctets, number)) return false;
  const bool known = number == 8 || number == 10 || number == 12 || number == 16;
  if (!known) return call.fail("dataTag is not 8, 10, 12 or 16");
  keys.dataTag = static_cast<uint8_t>(number);
  if (keys.suite == Suite::aes128Gcm && number != 16) {
    return call.fail("dataTag is not 16 with aes128Gcm");
  }
  if (!call.property(from, "linkNumber", value)) return false;
  if (!call.integer(value, "linkNumber", 0, 255, number)) return false;
  linkNumber = static_cast<uint32_t>(number);
  return true;
}

bool readKeys(Call& call, napi_value from, Direction direction, Keys& keys) {
  uint32_t linkNumber = 0;
  if (!call.object(from, "keys") || !readSuite(call, from, keys, linkNumber)) return false;
  const bool read = readKey(call, from, "data", keys.data) &&
                    readKey(call, from, "control", keys.control) &&
                    readKey(call, from, "attach", keys.attach) &&
                    readKey(call, from, "handshake", keys.handshake);
  if (!read || keys.suite != Suite::aes128Gcm || !keys.data.isSet()) return read;
  napi_value value;
  Octets octets;
  // Read again: a getter may give other octets now, which is checked like the first.
  if (!call.property(from, "data", value)) return false;
  if (!call.octets(value, "data", kKeyOctets, octets)) return false;
  return keys.cipher.set(direction, octets.data, linkNumber) ||
         call.fail("OpenSSL refuses the key");
}

bool readSeq(Call& call, napi_value from, const char* name, uint64_t& seq) {
  napi_value value;
  double number;
  seq = 0;
  if (!call.property(from, name, value)) return false;
  if (value == nullptr) return true;
  if (!call.integer(value, name, 0, static_cast<double>(kSeqMax), number)) return false;
  seq = static_cast<uint64_t>(number);
  return true;
}

bool readNumber(Call& call, napi_value from, const char* name, uint32_t& out) {
  napi_value value;
  double number;
  if (!call.property(from, name, value)) return false;
  if (!call.integer(value, name, 0, UINT32_MAX, number)) return false;
  out = static_cast<uint32_t>(number);
  return true;
}

/** One number a transport: an array of three. */
bool readTransmits(Call& call, napi_value from, uint32_t out[kTransports]) {
  napi_value list;
  bool isArray = false;
  uint32_t length = 0;
  if (!call.property(from, "transmits", list)) return false;
  napi_is_array(call.env(), list, &isArray);
  if (isArray) napi_get_array_length(call.env(), list, &length);
  if (length != kTransports) return call.fail("transmits is not an array of three numbers");
  for (uint32_t at = 0; at < kTransports; at += 1) {
    napi_value value;
    double number;
    if (napi_get_element(call.env(), list, at, &value) != napi_ok) return false;
    if (!call.integer(value, "transmits", 0, UINT32_MAX, number)) return false;
    out[at] = static_cast<uint32_t>(number);
  }
  return true;
}

constexpr Status kFull = {ENOSPC, "context"};

}  // namespace

napi_value addTransmit(napi_env env, napi_callback_info info) {
  Call call(env, info, "addTransmit");
  Engine* engine = call.engine();
  auto transmit = std::make_unique<Transmit>();
  if (engine == nullptr || !readKeys(call, call.at(0), Direction::seal, transmit->keys)) {
    return nullptr;
  }
  const uint32_t number = engine->contexts.addTransmit(std::move(transmit));
  return number == 0 ? call.fail(kFull) : call.result(static_cast<double>(number));
}

napi_value setPath(napi_env env, napi_callback_info info) {
  Call call(env, info, "setPath");
  if (call.engine() == nullptr) return nullptr;
  Transmit* transmit = call.transmit(0);
  if (transmit == nullptr) return nullptr;
  const Socket* socket = call.socket(1);
  Octets path;
  if (socket == nullptr || !call.path(2, *socket, path)) return nullptr;
  if (socket->listening) {
    call.fail("a listener sends nothing");
    return nullptr;
  }
  transmit->to = Destination{};
  if (path.data != nullptr) setDestination(path.data, transmit->to);
  transmit->to.socket = socket->handle;
  transmit->to.v6 = socket->v6;
  setTrafficClass(transmit->trafficClass, transmit->to);
  return nullptr;
}

napi_value setTrafficClass(napi_env env, napi_callback_info info) {
  Call call(env, info, "setTrafficClass");
  if (call.engine() == nullptr) return nullptr;
  Transmit* transmit = call.transmit(0);
  uint32_t trafficClass;
  if (transmit == nullptr || !call.integer(1, "trafficClass", 0, 255, trafficClass)) return nullptr;
  transmit->trafficClass = static_cast<uint8_t>(trafficClass);
  setTrafficClass(transmit->trafficClass, transmit->to);
  return nullptr;
}

napi_value removeTransmit(napi_env env, napi_callback_info info) {
  Call call(env, info, "removeTransmit");
  Engine* engine = call.engine();
  uint32_t number;
  if (engine == nullptr || !call.integer(0, "transmit", 1, UINT32_MAX, number)) return nullptr;
  engine->contexts.removeTransmit(number);
  return nullptr;
}

napi_value addReceive(napi_env env, napi_callback_info info) {
  Call call(env, info, "addReceive");
  Engine* engine = call.engine();
  uint32_t linkId;
  if (engine == nullptr || !call.integer(0, "linkId", 0, kLinkIdMax, linkId)) return nullptr;
  napi_value from = call.at(1);
  uint64_t dataSeq;
  uint64_t controlSeq;
  if (!call.object(from, "context")) return nullptr;
  if (!readSeq(call, from, "dataSeq", dataSeq)) return nullptr;
  if (!readSeq(call, from, "controlSeq", controlSeq)) return nullptr;
  auto receive = std::make_unique<Receive>(dataSeq, controlSeq);
  if (!readKeys(call, from, Direction::open, receive->keys)) return nullptr;
  if (!readNumber(call, from, "context", receive->context)) return nullptr;
  if (!readTransmits(call, from, receive->transmits)) return nullptr;
  Contexts& contexts = engine->contexts;
  for (const uint32_t tied : receive->transmits) {
    if (tied == 0 || contexts.transmit(tied) != nullptr) continue;
    call.fail("there is no such transmit context");
    return nullptr;
  }
  if (contexts.receive(linkId) != nullptr) {
    call.fail("linkId is in use");
    return nullptr;
  }
  if (contexts.receivesFull()) return call.fail(kFull);
  contexts.addReceive(linkId, std::move(receive));
  return nullptr;
}

napi_value removeReceive(napi_env env, napi_callback_info info) {
  Call call(env, info, "removeReceive");
  Engine* engine = call.engine();
  uint32_t linkId;
  if (engine == nullptr || !call.integer(0, "linkId", 0, kLinkIdMax, linkId)) return nullptr;
  engine->contexts.removeReceive(linkId);
  return nullptr;
}

napi_value addClient(napi_env env, napi_callback_info info) {
  Call call(env, info, "addClient");
  Engine* engine = call.engine();
  Octets id;
  Octets key;
  if (engine == nullptr || !call.octets(call.at(0), "clientId", kClientIdOctets, id))
    return nullptr;
  if (!call.octets(call.at(1), "mac1Key", kKeyOctets, key)) return nullptr;
  auto client = std::make_unique<Client>();
  if (!call.integer(2, "context", 0, UINT32_MAX, client->context)) return nullptr;
  if (engine->contexts.client(id.data) != nullptr) {
    call.fail("clientId is in use");
    return nullptr;
  }
  if (engine->contexts.clientsFull()) return call.fail(kFull);
  client->mac1.set(key.data, key.length);
  engine->contexts.addClient(id.data, std::move(client));
  return nullptr;
}

napi_value removeClient(napi_env env, napi_callback_info info) {
  Call call(env, info, "removeClient");
  Engine* engine = call.engine();
  Octets id;
  if (engine == nullptr || !call.octets(call.at(0), "clientId", kClientIdOctets, id))
    return nullptr;
  engine->contexts.removeClient(id.data);
  return nullptr;
}

napi_value addReset(napi_env env, napi_callback_info info) {
  Call call(env, info, "addReset");
  Engine* engine = call.engine();
  uint32_t linkId;
  Octets token;
  if (engine == nullptr || !call.integer(0, "linkId", 0, kLinkIdMax, linkId)) return nullptr;
  if (!call.octets(call.at(1), "token", kTokenOctets, token)) return nullptr;
  auto reset = std::make_unique<Reset>();
  if (!call.integer(2, "context", 0, UINT32_MAX, reset->context)) return nullptr;
  if (engine->contexts.reset(linkId) != nullptr) {
    call.fail("linkId is in use");
    return nullptr;
  }
  if (engine->contexts.resetsFull()) return call.fail(kFull);
  std::memcpy(reset->token, token.data, kTokenOctets);
  engine->contexts.addReset(linkId, std::move(reset));
  return nullptr;
}

napi_value removeReset(napi_env env, napi_callback_info info) {
  Call call(env, info, "removeReset");
  Engine* engine = call.engine();
  uint32_t linkId;
  if (engine == nullptr || !call.integer(0, "linkId", 0, kLinkIdMax, linkId)) return nullptr;
  engine->contexts.removeReset(linkId);
  return nullptr;
}

}  // namespace mpfwd
