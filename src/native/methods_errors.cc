/** What went wrong: errors of TUNs and sockets, messages that did not open. */
#include "arguments.h"
#include "methods.h"

namespace mpfwd {

namespace {

/** Errors that one call hands on one by one. */
constexpr double kErrorListMax = 1024;

napi_value describeIcmp(const Call& call, const SocketError& error) {
  napi_value icmp;
  napi_get_null(call.env(), &icmp);
  if (!error.icmp) return icmp;
  napi_create_object(call.env(), &icmp);
  call.set(icmp, "type", call.result(static_cast<double>(error.icmpType)));
  call.set(icmp, "code", call.result(static_cast<double>(error.icmpCode)));
  call.set(icmp, "from", call.result(error.from));
  return icmp;
}

napi_value describe(const Call& call, const SocketError& error) {
  napi_value out;
  napi_create_object(call.env(), &out);
  call.set(out, "count", call.result(static_cast<double>(error.count)));
  call.set(out, "code", call.result(errnoName(error.error)));
  call.set(out, "icmp", describeIcmp(call, error));
  if (error.quotedOctets > 0) {
    call.set(out, "quoted", call.octets(error.quoted, error.quotedOctets));
  }
  return out;
}

SocketError takeAll(Descriptor& descriptor, Memory& memory) {
  if (descriptor.isSocket()) return static_cast<Socket&>(descriptor).takeErrors(memory);
  SocketError taken;
  if (descriptor.kind != Descriptor::Kind::tun) return taken;
  taken.error = static_cast<Tun&>(descriptor).deviceError();
  taken.count = taken.error == 0 ? 0 : 1;
  return taken;
}

}  // namespace

napi_value takeErrors(napi_env env, napi_callback_info info) {
  Call call(env, info, "takeErrors");
  Engine* engine = call.engine();
  if (engine == nullptr) return nullptr;
  Descriptor* descriptor = call.descriptor(0);
  if (descriptor == nullptr) return nullptr;
  const SocketError taken = takeAll(*descriptor, engine->memory);
  napi_value none;
  napi_get_null(env, &none);
  return taken.count == 0 ? none : describe(call, taken);
}

napi_value takeErrorList(napi_env env, napi_callback_info info) {
  Call call(env, info, "takeErrorList");
  Engine* engine = call.engine();
  if (engine == nullptr) return nullptr;
  Descriptor* descriptor = call.descriptor(0);
  uint32_t most;
  if (descriptor == nullptr || !call.integer(1, "max", 1, kErrorListMax, most)) return nullptr;
  napi_value list;
  napi_create_array(env, &list);
  uint32_t count = 0;
  if (descriptor->isSocket()) {
    auto* socket = static_cast<Socket*>(descriptor);
    for (; count < most; count += 1) {
      const SocketError taken = socket->takeQueuedError(engine->memory);
      if (taken.count == 0) break;
      napi_set_element(env, list, count, describe(call, taken));
    }
  }
  if (count > 0) return list;
  const SocketError taken = takeAll(*descriptor, engine->memory);
  if (taken.count > 0) napi_set_element(env, list, 0, describe(call, taken));
  return list;
}

napi_value keepMangled(napi_env env, napi_callback_info info) {
  Call call(env, info, "keepMangled");
  Engine* engine = call.engine();
  bool keep;
  if (engine == nullptr || !call.boolean(call.at(0), "keep", keep)) return nullptr;
  engine->receiver.keepMangled(keep);
  return nullptr;
}

napi_value takeMangled(napi_env env, napi_callback_info info) {
  Call call(env, info, "takeMangled");
  Engine* engine = call.engine();
  if (engine == nullptr) return nullptr;
  const std::unique_ptr<Mangled> mangled = engine->receiver.takeMangled();
  napi_value out;
  napi_get_null(env, &out);
  if (mangled == nullptr) return out;
  napi_create_object(env, &out);
  call.set(out, "linkId", call.result(static_cast<double>(linkIdOf(mangled->message))));
  call.set(out, "octets", call.octets(mangled->message, mangled->octets));
  return out;
}

}  // namespace mpfwd
