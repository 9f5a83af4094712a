/** TUNs and sockets: opening them, and what they say of themselves. */
#include "arguments.h"
#include "methods.h"

namespace mpfwd {

namespace {

/** Connections that wait to be accepted; the kernel has a limit of its own (net.core.somaxconn). */
constexpr double kBacklogMax = 4096;
/** Entries of a TUN's queue; the kernel allocates 8 octets for each. */
constexpr double kTunQueueMax = 65536;

bool hasRoom(const Engine& engine) {
  size_t accepted = 0;
  engine.descriptors.each([&](const Descriptor& descriptor) {
    accepted += descriptor.isSocket() && static_cast<const Socket&>(descriptor).accepted ? 1 : 0;
  });
  return accepted < kAcceptedMax && !engine.descriptors.full();
}

bool readSocketPlace(Call& call, napi_value from, SocketOptions& options) {
  napi_value value;
  if (!call.property(from, "source", value)) return false;
  if (value != nullptr) {
    if (!call.text(value, "source", options.source, sizeof options.source)) return false;
    SocketAddress address;
    const bool fits = parseAddress(options.source, options.v6, 0, address) != 0;
    if (!fits) return call.fail("source is not an address of this family");
  }
  if (!call.property(from, "device", value)) return false;
  if (value != nullptr && !call.text(value, "device", options.device, sizeof options.device)) {
    return false;
  }
  double number;
  if (!call.property(from, "port", value)) return false;
  if (value != nullptr) {
    if (!call.integer(value, "port", 0, UINT16_MAX, number)) return false;
    options.port = static_cast<uint16_t>(number);
  }
  return true;
}

bool readSocketTuning(Call& call, napi_value from, SocketOptions& options) {
  napi_value value;
  double number;
  if (!call.property(from, "mark", value)) return false;
  if (value != nullptr) {
    if (!call.integer(value, "mark", 0, UINT32_MAX, number)) return false;
    options.mark = static_cast<uint32_t>(number);
    options.marked = true;
  }
  if (!call.property(from, "hopLimit", value)) return false;
  if (value != nullptr) {
    if (!call.integer(value, "hopLimit", 1, 255, number)) return false;
    options.hopLimit = static_cast<int>(number);
  }
  if (!call.property(from, "bufferBytes", value)) return false;
  if (value != nullptr) {
    if (!call.integer(value, "bufferBytes", 1, 1 << 30, number)) return false;
    options.bufferBytes = static_cast<int>(number);
  }
  if (!call.property(from, "segmentation", value)) return false;
  if (value != nullptr && !call.boolean(value, "segmentation", options.segmentation)) return false;
  if (!call.property(from, "arrivalHopLimit", value)) return false;
  return value == nullptr || call.boolean(value, "arrivalHopLimit", options.arrivalHopLimit);
}

bool readSocketOptions(Call& call, napi_value from, SocketOptions& options) {
  napi_value value;
  double number;
  char kind[8];
  if (!call.object(from, "options") || !call.property(from, "kind", value)) return false;
  if (!call.text(value, "kind", kind, sizeof kind)) return false;
  using Kind = Descriptor::Kind;
  const bool raw = std::strcmp(kind, "raw") == 0;
  const bool tcp = std::strcmp(kind, "tcp") == 0;
  if (!raw && !tcp && std::strcmp(kind, "udp") != 0) {
    return call.fail("kind is not raw, udp or tcp");
  }
  options.kind = raw ? Kind::raw : tcp ? Kind::tcp : Kind::udp;
  if (!call.property(from, "family", value)) return false;
  if (!call.integer(value, "family", 4, 6, number)) return false;
  if (number == 5) return call.fail("family is not 4 or 6");
  options.v6 = number == 6;
  if (raw) {
    if (!call.property(from, "protocol", value)) return false;
    // The kernel takes 255 (IPPROTO_RAW) for sending whole IP packets, never for receiving.
    if (!call.integer(value, "protocol", 1, 254, number)) return false;
    options.protocol = static_cast<int>(number);
  }
  return readSocketPlace(call, from, options) && readSocketTuning(call, from, options);
}

}  // namespace

napi_value openTun(napi_env env, napi_callback_info info) {
  Call call(env, info, "openTun");
  Engine* engine = call.engine();
  if (engine == nullptr) return nullptr;
  char name[IFNAMSIZ];
  bool offload;
  napi_value value;
  if (!call.object(call.at(0), "options")) return nullptr;
  if (!call.property(call.at(0), "name", value)) return nullptr;
  if (!call.text(value, "name", name, sizeof name)) return nullptr;
  if (!call.property(call.at(0), "offload", value)) return nullptr;
  if (!call.boolean(value, "offload", offload)) return nullptr;
  double queuePackets = 0;
  if (!call.property(call.at(0), "queuePackets", value)) return nullptr;
  if (value != nullptr && !call.integer(value, "queuePackets", 1, kTunQueueMax, queuePackets)) {
    return nullptr;
  }
  auto opened = std::make_unique<Tun>();
  const Status status = opened->open(name, offload, static_cast<int>(queuePackets));
  if (status.failed()) return call.fail(status);
  Tun* tun = static_cast<Tun*>(call.adopt(std::move(opened), false));
  if (tun == nullptr) return nullptr;
  napi_value out;
  napi_create_object(env, &out);
  call.set(out, "handle", call.result(static_cast<double>(tun->handle)));
  call.set(out, "name", call.result(tun->name()));
  call.set(out, "offloads", call.result(static_cast<double>(tun->offloads())));
  return out;
}

napi_value openSocket(napi_env env, napi_callback_info info) {
  Call call(env, info, "openSocket");
  Engine* engine = call.engine();
  SocketOptions options;
  if (engine == nullptr || !readSocketOptions(call, call.at(0), options)) return nullptr;
  auto opened = std::make_unique<Socket>(options.kind);
  const Status status = opened->open(options);
  if (status.failed()) return call.fail(status);
  const bool idle = opened->tcp();
  Descriptor* descriptor = call.adopt(std::move(opened), idle);
  return descriptor == nullptr ? nullptr : call.result(static_cast<double>(descriptor->handle));
}

napi_value connectSocket(napi_env env, napi_callback_info info) {
  Call call(env, info, "connectSocket");
  Engine* engine = call.engine();
  if (engine == nullptr) return nullptr;
  Socket* socket = call.socket(0);
  char text[kAddressTextMax];
  uint16_t port;
  if (socket == nullptr || !call.text(call.at(1), "address", text, sizeof text)) return nullptr;
  if (!call.integer(2, "port", 0, UINT16_MAX, port)) return nullptr;
  SocketAddress remote;
  if (socket->kind == Descriptor::Kind::raw) port = 0;
  const socklen_t octets = parseAddress(text, socket->v6, port, remote);
  if (octets == 0) {
    call.fail("address is not one of the socket's family");
    return nullptr;
  }
  Status status = socket->connect(remote, octets);
  if (!status.failed() && socket->tcp()) status = engine->poll.add(*socket);
  return status.failed() ? call.fail(status) : nullptr;
}

napi_value listenSocket(napi_env env, napi_callback_info info) {
  Call call(env, info, "listenSocket");
  Engine* engine = call.engine();
  if (engine == nullptr) return nullptr;
  Socket* socket = call.socket(0);
  int backlog;
  if (socket == nullptr || !call.integer(1, "backlog", 1, kBacklogMax, backlog)) return nullptr;
  if (!socket->tcp()) {
    call.fail("handle is not a TCP socket");
    return nullptr;
  }
  const bool again = socket->listening;
  Status status = socket->listen(backlog);
  if (!status.failed() && !again) status = engine->poll.add(*socket);
  return status.failed() ? call.fail(status) : nullptr;
}

napi_value acceptSocket(napi_env env, napi_callback_info info) {
  Call call(env, info, "acceptSocket");
  Engine* engine = call.engine();
  if (engine == nullptr) return nullptr;
  Socket* listener = call.socket(0);
  if (listener == nullptr) return nullptr;
  if (!listener->listening) {
    call.fail("handle is not a listener");
    return nullptr;
  }
  bool refused;
  auto opened = listener->accept(hasRoom(*engine), refused);
  if (refused) engine->memory.add(Counter::acceptsRefused);
  napi_value out;
  napi_get_null(env, &out);
  if (opened == nullptr) return out;
  auto* socket = static_cast<Socket*>(engine->descriptors.add(std::move(opened)));
  // What cannot be watched is of no use, and strangers must not be able to make this throw.
  if (engine->poll.add(*socket).failed()) {
    engine->descriptors.remove(socket->handle);
    engine->memory.add(Counter::acceptsRefused);
    return out;
  }
  napi_create_object(env, &out);
  call.set(out, "handle", call.result(static_cast<double>(socket->handle)));
  call.set(out, "path", call.octets(socket->path, kPathOctets));
  return out;
}

napi_value setHopLimit(napi_env env, napi_callback_info info) {
  Call call(env, info, "setHopLimit");
  if (call.engine() == nullptr) return nullptr;
  Socket* socket = call.socket(0);
  int hops;
  if (socket == nullptr || !call.integer(1, "hops", 1, 255, hops)) return nullptr;
  const Status status = socket->setHopLimit(hops);
  return status.failed() ? call.fail(status) : nullptr;
}

napi_value setArrivalHopLimit(napi_env env, napi_callback_info info) {
  Call call(env, info, "setArrivalHopLimit");
  if (call.engine() == nullptr) return nullptr;
  Socket* socket = call.socket(0);
  bool told;
  if (socket == nullptr || !call.boolean(call.at(1), "told", told)) return nullptr;
  const Status status = socket->setArrivalHopLimit(told);
  return status.failed() ? call.fail(status) : nullptr;
}

napi_value localAddress(napi_env env, napi_callback_info info) {
  Call call(env, info, "localAddress");
  if (call.engine() == nullptr) return nullptr;
  Socket* socket = call.socket(0);
  if (socket == nullptr) return nullptr;
  SocketAddress local;
  const Status status = socket->localAddress(local);
  if (status.failed()) return call.fail(status);
  char text[kAddressTextMax];
  addressText(local, text);
  napi_value out;
  napi_create_object(env, &out);
  const double port = socket->kind == Descriptor::Kind::raw ? 0 : portOf(local);
  call.set(out, "address", call.result(text));
  call.set(out, "port", call.result(port));
  return out;
}

napi_value bufferBytes(napi_env env, napi_callback_info info) {
  Call call(env, info, "bufferBytes");
  if (call.engine() == nullptr) return nullptr;
  const Socket* socket = call.socket(0);
  if (socket == nullptr) return nullptr;
  napi_value out;
  napi_create_object(env, &out);
  call.set(out, "receive", call.result(static_cast<double>(socket->bufferBytes(SO_RCVBUF))));
  call.set(out, "send", call.result(static_cast<double>(socket->bufferBytes(SO_SNDBUF))));
  return out;
}

}  // namespace mpfwd
