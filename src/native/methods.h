/** The methods of an engine as JavaScript sees them; grouped in `methods_*.cc` by what they are
 * about. */
#pragma once

#include <node_api.h>

namespace mpfwd {

napi_value nowUs(napi_env env, napi_callback_info info);
napi_value watch(napi_env env, napi_callback_info info);
napi_value watchNow(napi_env env, napi_callback_info info);
napi_value unwatch(napi_env env, napi_callback_info info);
napi_value setInterest(napi_env env, napi_callback_info info);
napi_value setTimer(napi_env env, napi_callback_info info);
napi_value close(napi_env env, napi_callback_info info);
napi_value destroy(napi_env env, napi_callback_info info);

napi_value openTun(napi_env env, napi_callback_info info);
napi_value readTun(napi_env env, napi_callback_info info);
napi_value writeTun(napi_env env, napi_callback_info info);
napi_value openSocket(napi_env env, napi_callback_info info);
napi_value connectSocket(napi_env env, napi_callback_info info);
napi_value listenSocket(napi_env env, napi_callback_info info);
napi_value acceptSocket(napi_env env, napi_callback_info info);
napi_value localAddress(napi_env env, napi_callback_info info);
napi_value bufferBytes(napi_env env, napi_callback_info info);
napi_value receive(napi_env env, napi_callback_info info);
napi_value receivePlain(napi_env env, napi_callback_info info);
napi_value send(napi_env env, napi_callback_info info);
napi_value sendFailure(napi_env env, napi_callback_info info);
napi_value sendPlain(napi_env env, napi_callback_info info);
napi_value setHopLimit(napi_env env, napi_callback_info info);
napi_value setArrivalHopLimit(napi_env env, napi_callback_info info);

napi_value takeErrors(napi_env env, napi_callback_info info);
napi_value takeErrorList(napi_env env, napi_callback_info info);
napi_value keepMangled(napi_env env, napi_callback_info info);
napi_value takeMangled(napi_env env, napi_callback_info info);

napi_value tap(napi_env env, napi_callback_info info);
napi_value readTap(napi_env env, napi_callback_info info);

napi_value openMonitor(napi_env env, napi_callback_info info);
napi_value readMonitor(napi_env env, napi_callback_info info);
napi_value askRoute(napi_env env, napi_callback_info info);
napi_value device(napi_env env, napi_callback_info info);

napi_value addTransmit(napi_env env, napi_callback_info info);
napi_value setPath(napi_env env, napi_callback_info info);
napi_value setTrafficClass(napi_env env, napi_callback_info info);
napi_value removeTransmit(napi_env env, napi_callback_info info);
napi_value addReceive(napi_env env, napi_callback_info info);
napi_value removeReceive(napi_env env, napi_callback_info info);
napi_value addClient(napi_env env, napi_callback_info info);
napi_value removeClient(napi_env env, napi_callback_info info);
napi_value addReset(napi_env env, napi_callback_info info);
napi_value removeReset(napi_env env, napi_callback_info info);

/** Functions of the addon itself. */
napi_value hmac(napi_env env, napi_callback_info info);
napi_value tagBatch(napi_env env, napi_callback_info info);
napi_value segment(napi_env env, napi_callback_info info);
napi_value coalesce(napi_env env, napi_callback_info info);

}  // namespace mpfwd
