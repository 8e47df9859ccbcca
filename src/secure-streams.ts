/** What TLS listeners get from this process: somebody who knows the keys of devices. */
import type { Openers } from "./drive/lifecycle.ts";
import { listenStream } from "./net/listen.ts";
import type { ConfiguredPolicy } from "./policy/configured-policy.ts";
import { DeviceKeys } from "./policy/device-keys.ts";

/** `shared`: the port is one that several workers have, of `node:cluster`, which knows sockets of Node only. */
export const streamOpener =
  (policy: ConfiguredPolicy, shared: boolean): Openers["stream"] =>
  (configured, accept, note) => {
    const options = shared ? { ...configured, epoll: false } : configured;
    const { tls, name = "" } = options;
    if (tls?.keysFromAuthentication !== true) return listenStream(options, accept, note);
    const [gateway = "", listener] = name.split(":");
    const keys = new DeviceKeys(policy, gateway, listener);
    return listenStream({ ...options, tls: { ...tls, keys } }, accept, note);
  };
