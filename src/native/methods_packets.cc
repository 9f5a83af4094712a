/** Batches of packets through TUNs and sockets. */
#include "arguments.h"
#include "methods.h"

namespace mpfwd {

namespace {

napi_value receiveBatch(napi_env env, napi_callback_info info, const char* method, bool plain) {
  Call call(env, info, method);
  Engine* engine = call.engine();
  if (engine == nullptr) return nullptr;
  Socket* socket = call.socket(0);
  uint32_t capacity;
  int32_t* entries;
  if (socket == nullptr || !call.batch(1, 2, capacity, &entries)) return nullptr;
  const uint32_t count = engine->receiver.receive(*socket, engine->slots.data(), capacity, plain);
  for (uint32_t at = 0; at < capacity; at += 1) {
    entries[at] = static_cast<int32_t>(engine->slots[at]);
  }
  engine->noteLeftover();
  return call.result(static_cast<double>(count));
}

}  // namespace

napi_value readTun(napi_env env, napi_callback_info info) {
  Call call(env, info, "readTun");
  Engine* engine = call.engine();
  if (engine == nullptr) return nullptr;
  Tun* tun = call.tun(0);
  uint32_t capacity;
  if (tun == nullptr || !call.batch(1, 2, capacity)) return nullptr;
  const uint32_t count = tun->read(engine->memory, engine->slots.data(), capacity);
  engine->noteLeftover();
  return call.result(static_cast<double>(count));
}

napi_value writeTun(napi_env env, napi_callback_info info) {
  Call call(env, info, "writeTun");
  Engine* engine = call.engine();
  if (engine == nullptr) return nullptr;
  Tun* tun = call.tun(0);
  uint32_t count;
  if (tun == nullptr || !call.packets(1, 2, 0, count)) return nullptr;
  return call.result(static_cast<double>(tun->write(engine->memory, engine->slots.data(), count)));
}

napi_value receive(napi_env env, napi_callback_info info) {
  return receiveBatch(env, info, "receive", false);
}

napi_value receivePlain(napi_env env, napi_callback_info info) {
  return receiveBatch(env, info, "receivePlain", true);
}

napi_value send(napi_env env, napi_callback_info info) {
  Call call(env, info, "send");
  Engine* engine = call.engine();
  if (engine == nullptr) return nullptr;
  const Transmit* transmit = call.transmit(0);
  uint32_t count;
  if (transmit == nullptr || !call.packets(1, 2, kTagOctets, count)) return nullptr;
  const Memory& memory = engine->memory;
  for (uint32_t at = 0; at < count; at += 1) {
    const uint32_t slot = engine->slots[at];
    const double seq = memory.seq[slot];
    if (!Sender::sealable(transmit->keys, memory.packet(slot), memory.length[slot])) {
      call.fail("a packet has no preamble of a class with a key");
      return nullptr;
    }
    if (!(seq >= 0 && seq <= static_cast<double>(kSeqMax))) {
      call.fail("a sequence number is not within 0..2^53-1");
      return nullptr;
    }
  }
  auto* socket = static_cast<Socket*>(engine->descriptors.find(transmit->to.socket));
  const uint32_t done = engine->sender.send(*transmit, socket, engine->slots.data(), count);
  if (socket != nullptr) engine->poll.update(*socket);
  return call.result(static_cast<double>(done));
}

napi_value sendFailure(napi_env env, napi_callback_info info) {
  Call call(env, info, "sendFailure");
  Engine* engine = call.engine();
  if (engine == nullptr) return nullptr;
  const SendFailure& failure = engine->sender.failure();
  napi_value out;
  napi_get_null(env, &out);
  if (failure.error == 0) return out;
  napi_create_object(env, &out);
  call.set(out, "code", call.result(errnoName(failure.error)));
  call.set(out, "packets", call.result(static_cast<double>(failure.packets)));
  call.set(out, "kept", call.result(failure.kept));
  return out;
}

napi_value sendPlain(napi_env env, napi_callback_info info) {
  Call call(env, info, "sendPlain");
  Engine* engine = call.engine();
  if (engine == nullptr) return nullptr;
  Socket* socket = call.socket(0);
  uint32_t slot;
  Octets path;
  const double last = engine->memory.slotCount - 1.0;
  if (socket == nullptr || !call.integer(1, "slot", 0, last, slot)) return nullptr;
  if (!call.path(2, *socket, path)) return nullptr;
  if (!engine->memory.holdsPacket(slot, 0)) {
    call.fail("the packet does not lie inside its slot");
    return nullptr;
  }
  Destination to;
  if (path.data != nullptr) setDestination(path.data, to);
  const bool sent = engine->sender.sendPlain(*socket, slot, to);
  engine->poll.update(*socket);
  return call.result(sent);
}

}  // namespace mpfwd
