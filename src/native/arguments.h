/**
 * Arguments of one call from JavaScript, checked. Each reader returns false after it has thrown a
 * TypeError; the method then returns at once and has done nothing.
 */
#pragma once

#include <node_api.h>

#include "engine.h"
#include "socket.h"
#include "tun.h"

namespace mpfwd {

/** Marks the objects that wrap an engine, so that a foreign `this` is refused. */
extern const napi_type_tag kEngineTag;

struct Octets {
  const uint8_t* data = nullptr;
  size_t length = 0;
};

class Call {
 public:
  static constexpr size_t kArgumentsMax = 4;

  Call(napi_env env, napi_callback_info info, const char* method);

  /** The engine of `this`; memory bound. Null after a TypeError: not an engine, destroyed,
   * detached. */
  Engine* engine();
  /** The same for an engine that may be destroyed, without its memory. */
  Engine* anyEngine();

  napi_env env() const { return env_; }
  napi_value self() const { return self_; }
  napi_value at(size_t index) const { return values_[index]; }
  bool isNull(size_t index) const;

  bool fail(const char* what);
  /** Throws an Error with code, errno and syscall. */
  napi_value fail(const Status& status);

  bool number(napi_value value, const char* name, double& out);
  /** An integer within `min` .. `max`. */
  bool integer(napi_value value, const char* name, double min, double max, double& out);
  template <typename Integer>
  bool integer(size_t index, const char* name, double min, double max, Integer& out) {
    double value;
    if (!integer(values_[index], name, min, max, value)) return false;
    out = static_cast<Integer>(value);
    return true;
  }
  bool number(size_t index, const char* name, double& out) {
    return number(values_[index], name, out);
  }
  bool boolean(napi_value value, const char* name, bool& out);
  bool text(napi_value value, const char* name, char* out, size_t octetsMax);
  /** A Uint8Array of `length` octets; any length when 0. */
  bool octets(napi_value value, const char* name, size_t length, Octets& out);
  /** A path's octets, or null. */
  bool path(size_t index, const Socket& socket, Octets& out);

  bool object(napi_value value, const char* name);
  /** A property; `out` is null where it is undefined. */
  bool property(napi_value object, const char* name, napi_value& out);

  Tun* tun(size_t index);
  Socket* socket(size_t index);
  Descriptor* descriptor(size_t index);
  Transmit* transmit(size_t index);

  /**
   * Watches a new descriptor; null after an exception. `idle`: a TCP socket that neither connects nor
   * listens would be ready with an error all the time, so it is watched when it does.
   */
  Descriptor* adopt(std::unique_ptr<Descriptor> opened, bool idle);

  /** Copies the first `count` slots of a batch into `engine.slots` and checks each. */
  bool batch(size_t batchIndex, size_t countIndex, uint32_t& count, int32_t** entries = nullptr);
  /** The same, and every packet with `tail` octets behind it lies inside its slot. */
  bool packets(size_t batchIndex, size_t countIndex, size_t tail, uint32_t& count);

  napi_value result(double value) const;
  napi_value result(const char* text) const;
  napi_value result(bool value) const;
  /** A Uint8Array of its own. */
  napi_value octets(const uint8_t* from, size_t count) const;
  void set(napi_value object, const char* name, napi_value value) const;

 private:
  napi_env env_;
  const char* method_;
  napi_value self_ = nullptr;
  napi_value values_[kArgumentsMax];
  Engine* engine_ = nullptr;
};

}  // namespace mpfwd
