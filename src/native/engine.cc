#include "engine.h"

namespace mpfwd {

namespace {

void release(napi_env env, napi_ref& reference) {
  if (reference != nullptr) napi_delete_reference(env, reference);
  reference = nullptr;
}

napi_value valueOf(napi_env env, napi_ref reference) {
  napi_value value = nullptr;
  napi_get_reference_value(env, reference, &value);
  return value;
}

/** What JavaScript threw in a callback that nothing of JavaScript called is an uncaught exception.
 */
void reportPending(napi_env env) {
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (!pending) return;
  napi_value error;
  if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
}

}  // namespace

void Engine::destroy() {
  if (destroyed_) return;
  destroyed_ = true;
  auto removeHook = [](void* hook) {
    if (hook != nullptr) {
      napi_remove_async_cleanup_hook(static_cast<napi_async_cleanup_hook_handle>(hook));
    }
  };
  poll.closeHandle(removeHook, cleanupHook);
  cleanupHook = nullptr;
  descriptors.clear();
  contexts.clear();
  dropReferences();
  release(env, memoryRef);
}

Status Engine::watch(napi_value self, napi_value ready, napi_value onReady) {
  dropReferences();
  uv_loop_t* loop = nullptr;
  napi_get_uv_event_loop(env, &loop);
  const Status status = poll.watch(loop, onPoll, this);
  if (status.failed()) return status;
  napi_create_reference(env, self, 1, &self_);
  napi_create_reference(env, ready, 1, &ready_);
  napi_create_reference(env, onReady, 1, &onReady_);
  napi_value name;
  napi_create_string_utf8(env, "mpfwd", NAPI_AUTO_LENGTH, &name);
  napi_async_init(env, self, name, &asyncContext_);
  return status;
}

void Engine::unwatch() {
  poll.unwatch();
  dropReferences();
}

void Engine::dropReferences() {
  release(env, self_);
  release(env, ready_);
  release(env, onReady_);
  if (asyncContext_ != nullptr) napi_async_destroy(env, asyncContext_);
  asyncContext_ = nullptr;
}

int32_t Engine::look() {
  if (ready_ == nullptr) return 0;
  void* data = nullptr;
  size_t length = 0;
  napi_typedarray_type type;
  napi_get_typedarray_info(env, valueOf(env, ready_), &type, &length, &data, nullptr, nullptr);
  if (data == nullptr || length < 2) return -1;
  const auto pairsMax = static_cast<uint32_t>(length / 2);
  return static_cast<int32_t>(poll.look(descriptors, static_cast<int32_t*>(data), pairsMax));
}

void Engine::onPoll(void* engine) {
  static_cast<Engine*>(engine)->dispatch();
}

void Engine::dispatch() {
  napi_handle_scope scope;
  napi_open_handle_scope(env, &scope);
  // The callback may end the watch; until this scope closes, the engine stays.
  napi_value self = valueOf(env, self_);
  napi_value onReady = valueOf(env, onReady_);
  const int32_t count = look();
  if (count < 0) {
    unwatch();
    napi_throw_type_error(env, nullptr, "watch: the ready list was detached");
    reportPending(env);
  } else if (count > 0) {
    void* base = nullptr;
    size_t octets = 0;
    napi_get_arraybuffer_info(env, valueOf(env, memoryRef), &base, &octets);
    if (base != nullptr) {
      memory.bind(base, memory.slotCount);
      memory.add(Counter::wakes);
    }
    napi_value argument;
    napi_create_int32(env, count, &argument);
    dispatching_ = true;
    napi_make_callback(env, asyncContext_, self, onReady, 1, &argument, nullptr);
    dispatching_ = false;
    reportPending(env);
  }
  if (!destroyed_) poll.setLeftover(descriptors);
  napi_close_handle_scope(env, scope);
}

}  // namespace mpfwd
