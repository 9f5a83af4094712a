#include "arguments.h"

#include <cmath>
#include <cstdio>

namespace mpfwd {

const napi_type_tag kEngineTag = {0x6d70667764313030, 0x9c1d4b7ea2f85036};

Call::Call(napi_env env, napi_callback_info info, const char* method) : env_(env), method_(method) {
  size_t count = kArgumentsMax;
  napi_get_cb_info(env, info, &count, values_, &self_, nullptr);
}

bool Call::fail(const char* what) {
  char message[160];
  std::snprintf(message, sizeof message, "%s: %s", method_, what);
  napi_throw_type_error(env_, "ERR_INVALID_ARG_VALUE", message);
  return false;
}

napi_value Call::fail(const Status& status) {
  char text[160];
  std::snprintf(text, sizeof text, "%s: %s, %s", method_, status.call, errnoName(status.error));
  napi_value message;
  napi_value code;
  napi_value error;
  napi_create_string_utf8(env_, text, NAPI_AUTO_LENGTH, &message);
  napi_create_string_utf8(env_, errnoName(status.error), NAPI_AUTO_LENGTH, &code);
  napi_create_error(env_, code, message, &error);
  set(error, "errno", result(static_cast<double>(status.error)));
  set(error, "syscall", result(status.call));
  napi_throw(env_, error);
  return nullptr;
}

Engine* Call::anyEngine() {
  bool tagged = false;
  void* engine = nullptr;
  napi_valuetype type = napi_undefined;
  napi_typeof(env_, self_, &type);
  if (type == napi_object) napi_check_object_type_tag(env_, self_, &kEngineTag, &tagged);
  if (!tagged || napi_unwrap(env_, self_, &engine) != napi_ok) {
    fail("called on something else than an engine");
    return nullptr;
  }
  return static_cast<Engine*>(engine);
}

Engine* Call::engine() {
  Engine* engine = anyEngine();
  if (engine == nullptr) return nullptr;
  if (engine->destroyed()) {
    fail("the engine is destroyed");
    return nullptr;
  }
  napi_value buffer = nullptr;
  void* base = nullptr;
  size_t octets = 0;
  napi_get_reference_value(env_, engine->memoryRef, &buffer);
  napi_get_arraybuffer_info(env_, buffer, &base, &octets);
  if (base == nullptr || octets != Memory::size(engine->memory.slotCount)) {
    fail("the arena's memory was detached");
    return nullptr;
  }
  engine->memory.bind(base, engine->memory.slotCount);
  engine_ = engine;
  return engine;
}

bool Call::isNull(size_t index) const {
  napi_valuetype type = napi_undefined;
  napi_typeof(env_, values_[index], &type);
  return type == napi_null;
}

bool Call::number(napi_value value, const char* name, double& out) {
  if (napi_get_value_double(env_, value, &out) == napi_ok && !std::isnan(out)) return true;
  char what[96];
  std::snprintf(what, sizeof what, "%s is not a number", name);
  return fail(what);
}

bool Call::integer(napi_value value, const char* name, double min, double max, double& out) {
  const bool isNumber = napi_get_value_double(env_, value, &out) == napi_ok;
  if (isNumber && out >= min && out <= max && out == std::trunc(out)) return true;
  char what[96];
  std::snprintf(what, sizeof what, "%s is not an integer within %.0f..%.0f", name, min, max);
  return fail(what);
}

bool Call::boolean(napi_value value, const char* name, bool& out) {
  if (napi_get_value_bool(env_, value, &out) == napi_ok) return true;
  char what[96];
  std::snprintf(what, sizeof what, "%s is not a boolean", name);
  return fail(what);
}

bool Call::text(napi_value value, const char* name, char* out, size_t octetsMax) {
  size_t octets = 0;
  const bool isText = napi_get_value_string_utf8(env_, value, nullptr, 0, &octets) == napi_ok;
  if (isText && octets > 0 && octets < octetsMax) {
    napi_get_value_string_utf8(env_, value, out, octetsMax, &octets);
    if (std::strlen(out) == octets) return true;
  }
  char what[96];
  std::snprintf(what, sizeof what, "%s is not a text of 1..%zu octets", name, octetsMax - 1);
  return fail(what);
}

bool Call::octets(napi_value value, const char* name, size_t length, Octets& out) {
  bool isArray = false;
  napi_typedarray_type type = napi_int8_array;
  void* data = nullptr;
  napi_is_typedarray(env_, value, &isArray);
  if (isArray) {
    napi_get_typedarray_info(env_, value, &type, &out.length, &data, nullptr, nullptr);
  }
  out.data = static_cast<const uint8_t*>(data);
  const bool fits = length == 0 || out.length == length;
  if (type == napi_uint8_array && fits && (out.data != nullptr || out.length == 0)) return true;
  char what[96];
  if (length == 0) {
    std::snprintf(what, sizeof what, "%s is not a Uint8Array", name);
  } else {
    std::snprintf(what, sizeof what, "%s is not a Uint8Array of %zu octets", name, length);
  }
  return fail(what);
}

bool Call::path(size_t index, const Socket& socket, Octets& out) {
  out = {};
  if (isNull(index)) return true;
  if (!octets(values_[index], "path", kPathOctets, out)) return false;
  return pathFits(out.data, socket.v6, socket.transport()) || fail("path does not fit the socket");
}

bool Call::object(napi_value value, const char* name) {
  napi_valuetype type = napi_undefined;
  napi_typeof(env_, value, &type);
  if (type == napi_object) return true;
  char what[96];
  std::snprintf(what, sizeof what, "%s is not an object", name);
  return fail(what);
}

bool Call::property(napi_value object, const char* name, napi_value& out) {
  napi_valuetype type = napi_undefined;
  // A getter may throw: its exception stands.
  if (napi_get_named_property(env_, object, name, &out) != napi_ok) return false;
  napi_typeof(env_, out, &type);
  if (type == napi_undefined) out = nullptr;
  return true;
}

Descriptor* Call::descriptor(size_t index) {
  int32_t handle;
  if (!integer(index, "handle", 1, INT32_MAX, handle)) return nullptr;
  Descriptor* found = engine_->descriptors.find(handle);
  if (found == nullptr) fail("handle is not open");
  return found;
}

Tun* Call::tun(size_t index) {
  Descriptor* found = descriptor(index);
  if (found == nullptr) return nullptr;
  if (found->kind == Descriptor::Kind::tun) return static_cast<Tun*>(found);
  fail("handle is not a TUN");
  return nullptr;
}

Socket* Call::socket(size_t index) {
  Descriptor* found = descriptor(index);
  if (found == nullptr) return nullptr;
  if (found->isSocket()) return static_cast<Socket*>(found);
  fail("handle is not a socket");
  return nullptr;
}

Descriptor* Call::adopt(std::unique_ptr<Descriptor> opened, bool idle) {
  if (engine_->descriptors.full()) {
    fail(Status{EMFILE, "handle"});
    return nullptr;
  }
  Descriptor* descriptor = engine_->descriptors.add(std::move(opened));
  if (idle) return descriptor;
  const Status status = engine_->poll.add(*descriptor);
  if (!status.failed()) return descriptor;
  engine_->descriptors.remove(descriptor->handle);
  fail(status);
  return nullptr;
}

Transmit* Call::transmit(size_t index) {
  uint32_t number;
  if (!integer(index, "transmit", 1, UINT32_MAX, number)) return nullptr;
  Transmit* found = engine_->contexts.transmit(number);
  if (found == nullptr) fail("there is no such transmit context");
  return found;
}

bool Call::batch(size_t batchIndex, size_t countIndex, uint32_t& count, int32_t** entries) {
  bool isArray = false;
  napi_typedarray_type type = napi_int8_array;
  void* data = nullptr;
  size_t length = 0;
  napi_is_typedarray(env_, values_[batchIndex], &isArray);
  if (isArray) {
    napi_get_typedarray_info(env_, values_[batchIndex], &type, &length, &data, nullptr, nullptr);
  }
  if (type != napi_int32_array) return fail("batch is not an Int32Array");
  const double most = static_cast<double>(std::min<size_t>(length, engine_->memory.slotCount));
  if (!integer(countIndex, "count", 0, most, count)) return false;
  auto* from = static_cast<int32_t*>(data);
  if (from == nullptr && count > 0) return fail("batch was detached");
  uint32_t* to = engine_->slots.data();
  const uint32_t slotCount = engine_->memory.slotCount;
  for (uint32_t at = 0; at < count; at += 1) {
    to[at] = static_cast<uint32_t>(from[at]);
    if (to[at] >= slotCount) return fail("batch names a slot that does not exist");
  }
  if (entries != nullptr) *entries = from;
  return true;
}

bool Call::packets(size_t batchIndex, size_t countIndex, size_t tail, uint32_t& count) {
  if (!batch(batchIndex, countIndex, count)) return false;
  for (uint32_t at = 0; at < count; at += 1) {
    if (!engine_->memory.holdsPacket(engine_->slots[at], tail)) {
      return fail("a packet does not lie inside its slot");
    }
  }
  return true;
}

napi_value Call::result(double value) const {
  napi_value out = nullptr;
  napi_create_double(env_, value, &out);
  return out;
}

napi_value Call::result(const char* text) const {
  napi_value out = nullptr;
  napi_create_string_utf8(env_, text, NAPI_AUTO_LENGTH, &out);
  return out;
}

napi_value Call::result(bool value) const {
  napi_value out = nullptr;
  napi_get_boolean(env_, value, &out);
  return out;
}

napi_value Call::octets(const uint8_t* from, size_t count) const {
  napi_value buffer = nullptr;
  napi_value out = nullptr;
  void* data = nullptr;
  napi_create_arraybuffer(env_, count, &data, &buffer);
  if (count > 0) std::memcpy(data, from, count);
  napi_create_typedarray(env_, napi_uint8_array, count, buffer, 0, &out);
  return out;
}

void Call::set(napi_value object, const char* name, napi_value value) const {
  napi_set_named_property(env_, object, name, value);
}

}  // namespace mpfwd
