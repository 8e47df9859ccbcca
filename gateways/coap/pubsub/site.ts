import type { CoapConfig } from "../config.ts";
import type { Link } from "../stack/link-format.ts";
import type { CoapMessage } from "../stack/message.ts";
import type { CoapPeer, PeerSite, Site } from "../stack/site.ts";
import { PubSubPeer } from "./peer.ts";
import { claimOf } from "./query.ts";

/** `ps` and `mqtt` on a listener: the ways in which a CoAP client reaches the bus. */
export class PubSubSite implements Site {
  readonly name = "pubsub";
  readonly prefixes: readonly string[];
  readonly #config: CoapConfig;

  constructor(config: CoapConfig) {
    this.#config = config;
    this.prefixes = [config.topicPrefix, "mqtt"];
  }

  links(): readonly Link[] {
    const { forms, topicPrefix } = this.#config;
    const links: Link[] = [];
    if (forms.pubsub) {
      links.push({
        target: `/${topicPrefix}`,
        attributes: { rt: "core.ps", title: "topics of the bus", obs: true },
      });
    }
    if (forms.mqttTopic || forms.mqttForm) links.push({ target: "/mqtt", attributes: { obs: true } });
    if (forms.connection) links.push({ target: "/mqtt/connection" });
    return links;
  }

  claim(message: CoapMessage): string | undefined {
    return claimOf(message);
  }

  open(peer: CoapPeer): PeerSite {
    return new PubSubPeer(this.#config, peer);
  }
}
