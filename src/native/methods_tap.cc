/** Capturing what travels on the wire. */
#include "arguments.h"
#include "methods.h"

namespace mpfwd {

namespace {

/** An array of link ids, or absent: `some` is false. */
bool readLinks(Call& call, napi_value options, bool& some, std::vector<uint32_t>& links) {
  napi_value list;
  bool isArray = false;
  uint32_t length = 0;
  some = false;
  if (!call.property(options, "links", list)) return false;
  if (list == nullptr) return true;
  some = true;
  napi_is_array(call.env(), list, &isArray);
  if (isArray) napi_get_array_length(call.env(), list, &length);
  if (!isArray || length > kTapLinksMax) return call.fail("links is not an array of at most 256");
  for (uint32_t at = 0; at < length; at += 1) {
    napi_value value;
    double number;
    if (napi_get_element(call.env(), list, at, &value) != napi_ok) return false;
    if (!call.integer(value, "links", 0, kLinkIdMax, number)) return false;
    links.push_back(static_cast<uint32_t>(number));
  }
  return true;
}

}  // namespace

napi_value tap(napi_env env, napi_callback_info info) {
  Call call(env, info, "tap");
  Engine* engine = call.engine();
  if (engine == nullptr) return nullptr;
  if (call.isNull(0)) {
    engine->tap.stop();
    return nullptr;
  }
  napi_value value;
  double snapOctets;
  bool some;
  std::vector<uint32_t> links;
  if (!call.object(call.at(0), "options")) return nullptr;
  if (!call.property(call.at(0), "snapOctets", value)) return nullptr;
  if (!call.integer(value, "snapOctets", 1, UINT16_MAX, snapOctets)) return nullptr;
  if (!readLinks(call, call.at(0), some, links)) return nullptr;
  engine->tap.start(static_cast<uint32_t>(snapOctets), some ? &links : nullptr);
  return nullptr;
}

napi_value readTap(napi_env env, napi_callback_info info) {
  Call call(env, info, "readTap");
  Engine* engine = call.engine();
  Octets into;
  if (engine == nullptr || !call.octets(call.at(0), "into", 0, into)) return nullptr;
  if (into.length < kTapRecordMax) {
    call.fail("into is shorter than the longest record");
    return nullptr;
  }
  const size_t octets = engine->tap.read(const_cast<uint8_t*>(into.data), into.length);
  return call.result(static_cast<double>(octets));
}

}  // namespace mpfwd
