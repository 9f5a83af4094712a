/** What the kernel tells of devices, addresses and routes. */
#include <linux/netlink.h>

#include "arguments.h"
#include "methods.h"

namespace mpfwd {

namespace {

/** Of a request: its head, and that it only asks: rtnetlink numbers a GET of whatever kind so. */
constexpr uint16_t kKindMask = 3;
constexpr uint16_t kKindGet = 2;

bool asksOnly(const Octets& request) {
  nlmsghdr head;
  if (request.length < sizeof head || request.length > Machine::kRequestMax) return false;
  std::memcpy(&head, request.data, sizeof head);
  const bool one = head.nlmsg_len == request.length && (head.nlmsg_flags & NLM_F_DUMP) == 0;
  return one && (head.nlmsg_type & kKindMask) == kKindGet;
}

}  // namespace

napi_value openMonitor(napi_env env, napi_callback_info info) {
  Call call(env, info, "openMonitor");
  Engine* engine = call.engine();
  if (engine == nullptr) return nullptr;
  auto opened = std::make_unique<Monitor>();
  const Status status = opened->open();
  if (status.failed()) return call.fail(status);
  Descriptor* monitor = call.adopt(std::move(opened), false);
  return monitor == nullptr ? nullptr : call.result(static_cast<double>(monitor->handle));
}

napi_value readMonitor(napi_env env, napi_callback_info info) {
  Call call(env, info, "readMonitor");
  if (call.engine() == nullptr) return nullptr;
  Descriptor* found = call.descriptor(0);
  if (found == nullptr) return nullptr;
  if (found->kind != Descriptor::Kind::monitor) {
    call.fail("handle is not a monitor");
    return nullptr;
  }
  return call.result(static_cast<double>(static_cast<Monitor*>(found)->read()));
}

napi_value askRoute(napi_env env, napi_callback_info info) {
  Call call(env, info, "askRoute");
  Engine* engine = call.engine();
  Octets request;
  if (engine == nullptr || !call.octets(call.at(0), "request", 0, request)) return nullptr;
  if (!asksOnly(request)) {
    call.fail("request is not one rtnetlink question");
    return nullptr;
  }
  const uint8_t* answer = nullptr;
  size_t octets = 0;
  const Status status = engine->machine.ask(request.data, request.length, answer, octets);
  return status.failed() ? call.fail(status) : call.octets(answer, octets);
}

napi_value device(napi_env env, napi_callback_info info) {
  Call call(env, info, "device");
  Engine* engine = call.engine();
  if (engine == nullptr) return nullptr;
  ifreq request = {};
  int index = 0;
  napi_valuetype type = napi_undefined;
  napi_typeof(env, call.at(0), &type);
  if (type == napi_number) {
    if (!call.integer(0, "device", 1, INT32_MAX, index)) return nullptr;
  } else if (!call.text(call.at(0), "device", request.ifr_name, sizeof request.ifr_name)) {
    return nullptr;
  }
  const Status status = engine->machine.device(request, index);
  napi_value out;
  napi_get_null(env, &out);
  if (status.error == ENODEV || status.error == ENXIO) return out;
  if (status.failed()) return call.fail(status);
  napi_create_object(env, &out);
  const auto flags = static_cast<uint16_t>(request.ifr_flags);
  call.set(out, "index", call.result(static_cast<double>(index)));
  call.set(out, "name", call.result(request.ifr_name));
  call.set(out, "up", call.result((flags & IFF_UP) != 0));
  call.set(out, "running", call.result((flags & IFF_RUNNING) != 0));
  return out;
}

}  // namespace mpfwd
