/** What one engine owns: an arena's memory, its contexts, its descriptors and its poll. */
#pragma once

#include <node_api.h>

#include <vector>

#include "contexts.h"
#include "descriptor.h"
#include "machine.h"
#include "memory.h"
#include "poll.h"
#include "receive.h"
#include "send.h"
#include "tap.h"

namespace mpfwd {

class Engine {
 public:
  Engine(napi_env env, uint32_t slotCount)
      : env(env),
        memory{},
        slots(slotCount),
        tap(memory),
        receiver(memory, contexts, tap),
        sender(memory, tap) {
    memory.slotCount = slotCount;
  }
  ~Engine() { destroy(); }

  /** Idempotent. Closes every descriptor and wipes every key. */
  void destroy();
  bool destroyed() const { return destroyed_; }

  /** Starts to call `onReady`; `self` is kept alive meanwhile. */
  Status watch(napi_value self, napi_value ready, napi_value onReady);
  void unwatch();
  /** Fills the ready list; returns its pairs, or -1 when JavaScript took the list's memory away. */
  int32_t look();
  /** After packets may have been left behind or taken. */
  void noteLeftover() {
    if (!dispatching_) poll.setLeftover(descriptors);
  }

  napi_env env;
  /** Keeps the ArrayBuffer; its address is fetched on every call. */
  napi_ref memoryRef = nullptr;
  Memory memory;
  /** The batch under work, copied from JavaScript and checked. */
  std::vector<uint32_t> slots;
  Contexts contexts;
  Descriptors descriptors;
  Tap tap;
  Receiver receiver;
  Sender sender;
  Poll poll;
  Machine machine;
  napi_async_cleanup_hook_handle cleanupHook = nullptr;

 private:
  static void onPoll(void* engine);
  void dispatch();
  void dropReferences();

  bool destroyed_ = false;
  bool dispatching_ = false;
  napi_ref self_ = nullptr;
  napi_ref ready_ = nullptr;
  napi_ref onReady_ = nullptr;
  napi_async_context asyncContext_ = nullptr;
};

}  // namespace mpfwd
