/** LwM2M as a site on CoAP listeners: which paths it serves, and what a request says about its sender. */

import { isRequest } from "#gateways/coap/stack/message/codes.ts";
import type { Link } from "#gateways/coap/stack/message/link-format.ts";
import type { CoapMessage } from "#gateways/coap/stack/message/message.ts";
import { Option } from "#gateways/coap/stack/message/options.ts";
import type { CoapPeer, PeerSite, Site } from "#gateways/coap/stack/site.ts";
import { Lwm2mPeer } from "./peer.ts";
import { locationClaim } from "./registration/interface.ts";
import type { Shared } from "./shared.ts";

export class Lwm2mSite implements Site {
  readonly name = "lwm2m";
  readonly gateway = "lwm2m";
  readonly prefixes: readonly string[] = ["rd", "dp", "bs", "bspack", "fw"];
  readonly #shared: Shared;

  constructor(shared: Shared) {
    this.#shared = shared;
  }

  links(): readonly Link[] {
    return [
      { target: "/rd", attributes: { rt: "core.rd" } },
      { target: "/dp" },
      ...(this.#shared.profiles.byDefault === undefined && this.#shared.profiles.byEndpoint.size === 0
        ? []
        : [{ target: "/bs" }]),
    ];
  }

  /** Who knows the location of a registration is its device, wherever it sends from (LwM2M 1.1 §6.2.2). */
  claim(message: CoapMessage): string | undefined {
    if (!isRequest(message.code) || !message.pathStartsWith("rd") || message.pathLength() !== 2)
      return undefined;
    const location = message.strings(Option.UriPath)?.[1];
    return location === undefined ? undefined : locationClaim(location);
  }

  expects(address: string, port: number): boolean {
    return this.#shared.remembered.isFrom(address, port);
  }

  open(peer: CoapPeer): PeerSite {
    return new Lwm2mPeer(this.#shared, peer);
  }
}
