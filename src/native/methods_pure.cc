/** The pure parts by themselves, octets in and octets out: for test vectors, properties and
 * fuzzing. */
#include "arguments.h"
#include "coalesce.h"
#include "lanes.h"
#include "methods.h"
#include "seal.h"

namespace mpfwd {

namespace {

napi_value copyOut(napi_env env, const uint8_t* octets, size_t count) {
  napi_value buffer;
  napi_value out;
  void* data = nullptr;
  napi_create_arraybuffer(env, count, &data, &buffer);
  if (count > 0) std::memcpy(data, octets, count);
  napi_create_typedarray(env, napi_uint8_array, count, buffer, 0, &out);
  return out;
}

/** Copies: an element may be a getter that takes the memory of those before it away. */
bool readPackets(Call& call, std::vector<std::vector<uint8_t>>& packets) {
  uint32_t count = 0;
  bool isArray = false;
  napi_is_array(call.env(), call.at(0), &isArray);
  if (!isArray) return call.fail("packets is not an array");
  napi_get_array_length(call.env(), call.at(0), &count);
  if (count > kPlanMax) return call.fail("there are more than 256 packets");
  packets.resize(count);
  for (uint32_t at = 0; at < count; at += 1) {
    napi_value value;
    Octets packet;
    if (napi_get_element(call.env(), call.at(0), at, &value) != napi_ok) return false;
    if (!call.octets(value, "packet", 0, packet)) return false;
    if (packet.length > kPacketMax) return call.fail("packet is longer than a slot holds");
    packets[at].assign(packet.data, packet.data + packet.length);
  }
  return true;
}

}  // namespace

/** `hmac(key, message, octets)`. */
napi_value hmac(napi_env env, napi_callback_info info) {
  Call call(env, info, "hmac");
  Octets key;
  Octets message;
  size_t octets;
  if (!call.octets(call.at(0), "key", 0, key)) return nullptr;
  if (!call.octets(call.at(1), "message", 0, message)) return nullptr;
  if (!call.integer(2, "octets", 1, kHashOctets, octets)) return nullptr;
  HmacKey keyed;
  uint8_t tag[kHashOctets];
  keyed.set(key.data, key.length);
  keyed.plainTag(message.data, message.length, tag);
  return copyOut(env, tag, octets);
}

/** `tagBatch(packets, key, upper)`. */
napi_value tagBatch(napi_env env, napi_callback_info info) {
  Call call(env, info, "tagBatch");
  std::vector<std::vector<uint8_t>> packets;
  Octets octets;
  uint32_t upper;
  if (!readPackets(call, packets)) return nullptr;
  if (!call.octets(call.at(1), "key", 0, octets)) return nullptr;
  if (!call.integer(2, "upper", 0, UINT32_MAX, upper)) return nullptr;
  HmacKey key;
  key.set(octets.data, octets.length);
  auto tags = std::make_unique<TagBatch>();
  for (const auto& packet : packets) tags->add(key, upper, packet.data(), packet.size());
  tags->compute();
  napi_value out;
  napi_get_null(env, &out);
  if (!tags->available()) return out;
  napi_create_array(env, &out);
  for (uint32_t at = 0; at < packets.size(); at += 1) {
    const uint8_t* tag = tags->take(upper, packets[at].data());
    napi_value value;
    napi_get_null(env, &value);
    if (tag != nullptr) value = copyOut(env, tag, kHashOctets);
    napi_set_element(env, out, at, value);
  }
  return out;
}

/** `segment(superPacket)`: offload header and packet to packets; null when refused. */
napi_value segment(napi_env env, napi_callback_info info) {
  Call call(env, info, "segment");
  Octets from;
  napi_value out;
  if (!call.octets(call.at(0), "superPacket", 0, from)) return nullptr;
  napi_get_null(env, &out);
  VnetHeader vnet;
  if (from.length < sizeof vnet) return out;
  std::memcpy(&vnet, from.data, sizeof vnet);
  // A copy of exact size, so that a sanitizer sees every step beyond it.
  std::vector<uint8_t> packet(from.data + sizeof vnet, from.data + from.length);
  uint8_t segment[kPacketMax];
  uint32_t index = 0;
  if ((vnet.gsoType & ~kVnetGsoEcn) == kVnetGsoNone) {
    if (packet.size() > kPacketMax) return out;
    const size_t length = ipLength(packet.data(), packet.size());
    const bool open = (vnet.flags & kVnetNeedsChecksum) != 0;
    if (length == 0 || (open && !completeChecksum(vnet, packet.data(), length))) return out;
    napi_create_array(env, &out);
    napi_set_element(env, out, index, copyOut(env, packet.data(), length));
    return out;
  }
  Segmenter segmenter;
  const auto begun = segmenter.begin(vnet, packet.data(), packet.size(), sizeof segment);
  if (begun != Segmenter::Begun::yes) return out;
  napi_create_array(env, &out);
  while (!segmenter.done()) {
    const size_t octets = segmenter.next(segment);
    napi_set_element(env, out, index, copyOut(env, segment, octets));
    index += 1;
  }
  return out;
}

/** `coalesce(packets)`: what would be written to a TUN, offload header first. */
napi_value coalesce(napi_env env, napi_callback_info info) {
  Call call(env, info, "coalesce");
  std::vector<std::vector<uint8_t>> packets;
  if (!readPackets(call, packets)) return nullptr;
  auto coalescer = std::make_unique<Coalescer>();
  coalescer->clear();
  for (uint32_t at = 0; at < packets.size(); at += 1) {
    coalescer->add(at, packets[at].data(), packets[at].size());
  }
  napi_value out;
  napi_create_array(env, &out);
  for (uint32_t at = 0; at < coalescer->groupCount(); at += 1) {
    const Group& group = coalescer->group(at);
    std::vector<uint8_t> written(sizeof(VnetHeader));
    size_t skip = 0;
    if (group.count > 1) {
      VnetHeader vnet;
      uint8_t headers[kMergedHeaderMax];
      skip = Coalescer::writeHeaders(group, vnet, headers);
      std::memcpy(written.data(), &vnet, sizeof vnet);
      written.insert(written.end(), headers, headers + skip);
    }
    for (uint32_t one = group.first; one != kNoPacket; one = coalescer->next(one)) {
      const std::vector<uint8_t>& packet = packets[one];
      written.insert(written.end(), packet.begin() + static_cast<ptrdiff_t>(skip), packet.end());
    }
    napi_set_element(env, out, at, copyOut(env, written.data(), written.size()));
  }
  return out;
}

}  // namespace mpfwd
