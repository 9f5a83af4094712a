/** Clock, readiness, timer, and the end of descriptors and engines. */
#include <time.h>

#include "arguments.h"
#include "methods.h"

namespace mpfwd {

namespace {

/** `ready` has room for this many pairs at least. */
constexpr size_t kReadyPairsMin = 64;

}  // namespace

napi_value nowUs(napi_env env, napi_callback_info) {
  timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  napi_value out = nullptr;
  const auto us = static_cast<int64_t>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1'000;
  napi_create_double(env, static_cast<double>(us), &out);
  return out;
}

napi_value watch(napi_env env, napi_callback_info info) {
  Call call(env, info, "watch");
  Engine* engine = call.engine();
  if (engine == nullptr) return nullptr;
  bool isArray = false;
  napi_typedarray_type type = napi_int8_array;
  size_t length = 0;
  napi_is_typedarray(env, call.at(0), &isArray);
  if (isArray) {
    napi_get_typedarray_info(env, call.at(0), &type, &length, nullptr, nullptr, nullptr);
  }
  napi_valuetype callback = napi_undefined;
  napi_typeof(env, call.at(1), &callback);
  if (type != napi_int32_array || length < 2 * kReadyPairsMin) {
    call.fail("ready is not an Int32Array of at least 128 entries");
    return nullptr;
  }
  if (callback != napi_function) {
    call.fail("onReady is not a function");
    return nullptr;
  }
  const Status status = engine->watch(call.self(), call.at(0), call.at(1));
  return status.failed() ? call.fail(status) : nullptr;
}

napi_value watchNow(napi_env env, napi_callback_info info) {
  Call call(env, info, "watchNow");
  Engine* engine = call.engine();
  if (engine == nullptr) return nullptr;
  if (!engine->poll.watching()) {
    call.fail("nothing is watched");
    return nullptr;
  }
  const int32_t count = engine->look();
  if (count >= 0) return call.result(static_cast<double>(count));
  call.fail("the ready list was detached");
  return nullptr;
}

napi_value unwatch(napi_env env, napi_callback_info info) {
  Call call(env, info, "unwatch");
  Engine* engine = call.engine();
  if (engine != nullptr) engine->unwatch();
  return nullptr;
}

napi_value setInterest(napi_env env, napi_callback_info info) {
  Call call(env, info, "setInterest");
  Engine* engine = call.engine();
  uint32_t events;
  if (engine == nullptr) return nullptr;
  Descriptor* descriptor = call.descriptor(0);
  if (descriptor == nullptr) return nullptr;
  if (!call.integer(1, "events", 0, kReadable | kWritable | kError, events)) return nullptr;
  engine->poll.setInterest(*descriptor, events & (kReadable | kWritable));
  engine->noteLeftover();
  return nullptr;
}

napi_value setTimer(napi_env env, napi_callback_info info) {
  Call call(env, info, "setTimer");
  Engine* engine = call.engine();
  double deadlineUs;
  if (engine == nullptr || !call.number(size_t{0}, "deadlineUs", deadlineUs)) return nullptr;
  engine->poll.setTimer(deadlineUs);
  return nullptr;
}

napi_value close(napi_env env, napi_callback_info info) {
  Call call(env, info, "close");
  Engine* engine = call.engine();
  if (engine == nullptr) return nullptr;
  Descriptor* descriptor = call.descriptor(0);
  if (descriptor == nullptr) return nullptr;
  const int32_t handle = descriptor->handle;
  engine->poll.remove(*descriptor);
  engine->contexts.forgetSocket(handle);
  engine->descriptors.remove(handle);
  engine->noteLeftover();
  return nullptr;
}

napi_value destroy(napi_env env, napi_callback_info info) {
  Call call(env, info, "destroy");
  Engine* engine = call.anyEngine();
  if (engine != nullptr) engine->destroy();
  return nullptr;
}

}  // namespace mpfwd
