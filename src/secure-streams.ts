/** What TLS listeners get from this process: somebody who knows the keys of devices. */
import type { Openers } from "./drive/lifecycle.ts";
import { listenStream } from "./net/listen.ts";
import type { ConfiguredPolicy } from "./policy/configured-policy.ts";
import { DeviceKeys } from "./policy/device-keys.ts";

export const streamOpener =
  (policy: ConfiguredPolicy): Openers["stream"] =>
  (options, accept, note) => {
    const { tls, name = "" } = options;
    if (tls?.keysFromAuthentication !== true) return listenStream(options, accept, note);
    const [gateway = "", listener] = name.split(":");
    const keys = new DeviceKeys(policy, gateway, listener);
    return listenStream({ ...options, tls: { ...tls, keys } }, accept, note);
  };
