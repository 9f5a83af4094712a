/** The addon's entry: what `require` gives, and how an engine is born and dies with its
 * environment. */
#include "arguments.h"
#include "methods.h"

namespace mpfwd {

namespace {

napi_property_descriptor method(const char* name, napi_callback function) {
  return {name, nullptr, function, nullptr, nullptr, nullptr, napi_enumerable, nullptr};
}

void onEnvironmentEnd(napi_async_cleanup_hook_handle, void* engine) {
  static_cast<Engine*>(engine)->destroy();
}

void onCollected(napi_env, void* engine, void*) {
  delete static_cast<Engine*>(engine);
}

/** `new Engine(memory, slotCount)`, reached through `createEngine`. */
napi_value construct(napi_env env, napi_callback_info info) {
  Call call(env, info, "createEngine");
  napi_value target = nullptr;
  napi_get_new_target(env, info, &target);
  uint32_t slotCount;
  bool isBuffer = false;
  void* base = nullptr;
  size_t octets = 0;
  if (target == nullptr) {
    call.fail("an engine is made with new");
    return nullptr;
  }
  napi_is_arraybuffer(env, call.at(0), &isBuffer);
  if (isBuffer) napi_get_arraybuffer_info(env, call.at(0), &base, &octets);
  if (base == nullptr) {
    call.fail("memory is not an ArrayBuffer");
    return nullptr;
  }
  if (!call.integer(1, "slotCount", 2, INT32_MAX, slotCount)) return nullptr;
  if (slotCount % 2 != 0 || octets != Memory::size(slotCount)) {
    call.fail("memory is not laid out for this many slots");
    return nullptr;
  }
  auto engine = std::make_unique<Engine>(env, slotCount);
  const Status status = engine->poll.open();
  if (status.failed()) return call.fail(status);
  napi_create_reference(env, call.at(0), 1, &engine->memoryRef);
  napi_add_async_cleanup_hook(env, onEnvironmentEnd, engine.get(), &engine->cleanupHook);
  napi_type_tag_object(env, call.self(), &kEngineTag);
  napi_wrap(env, call.self(), engine.release(), onCollected, nullptr, nullptr);
  return call.self();
}

napi_value createEngine(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  size_t count = 2;
  void* constructor = nullptr;
  napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr);
  napi_get_instance_data(env, &constructor);
  napi_value engineClass = nullptr;
  napi_value engine = nullptr;
  napi_get_reference_value(env, static_cast<napi_ref>(constructor), &engineClass);
  napi_new_instance(env, engineClass, 2, arguments, &engine);
  return engine;
}

napi_value defineEngine(napi_env env) {
  const napi_property_descriptor methods[] = {
      method("nowUs", nowUs),
      method("watch", watch),
      method("watchNow", watchNow),
      method("unwatch", unwatch),
      method("setInterest", setInterest),
      method("setTimer", setTimer),
      method("openTun", openTun),
      method("readTun", readTun),
      method("writeTun", writeTun),
      method("openSocket", openSocket),
      method("connectSocket", connectSocket),
      method("listenSocket", listenSocket),
      method("acceptSocket", acceptSocket),
      method("localAddress", localAddress),
      method("bufferBytes", bufferBytes),
      method("receive", receive),
      method("receivePlain", receivePlain),
      method("send", send),
      method("sendFailure", sendFailure),
      method("sendPlain", sendPlain),
      method("setHopLimit", setHopLimit),
      method("setArrivalHopLimit", setArrivalHopLimit),
      method("takeErrors", takeErrors),
      method("takeErrorList", takeErrorList),
      method("keepMangled", keepMangled),
      method("takeMangled", takeMangled),
      method("tap", tap),
      method("readTap", readTap),
      method("close", close),
      method("openMonitor", openMonitor),
      method("readMonitor", readMonitor),
      method("askRoute", askRoute),
      method("device", device),
      method("addTransmit", addTransmit),
      method("setPath", setPath),
      method("setTrafficClass", setTrafficClass),
      method("removeTransmit", removeTransmit),
      method("addReceive", addReceive),
      method("removeReceive", removeReceive),
      method("addClient", addClient),
      method("removeClient", removeClient),
      method("addReset", addReset),
      method("removeReset", removeReset),
      method("destroy", destroy),
  };
  napi_value engineClass = nullptr;
  napi_define_class(env, "Engine", NAPI_AUTO_LENGTH, construct, nullptr,
                    sizeof methods / sizeof methods[0], methods, &engineClass);
  return engineClass;
}

}  // namespace

}  // namespace mpfwd

NAPI_MODULE_INIT() {
  napi_ref constructor = nullptr;
  napi_create_reference(env, mpfwd::defineEngine(env), 1, &constructor);
  napi_set_instance_data(env, constructor, nullptr, nullptr);
  const napi_property_descriptor functions[] = {
      mpfwd::method("createEngine", mpfwd::createEngine), mpfwd::method("hmac", mpfwd::hmac),
      mpfwd::method("tagBatch", mpfwd::tagBatch),         mpfwd::method("segment", mpfwd::segment),
      mpfwd::method("coalesce", mpfwd::coalesce),
  };
  napi_define_properties(env, exports, sizeof functions / sizeof functions[0], functions);
  return exports;
}
