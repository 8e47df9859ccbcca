import type { CoapConfig } from "../config.ts";
import type { Link } from "../stack/message/link-format.ts";
import type { CoapPeer, PeerSite, Site } from "../stack/site.ts";
import type { Connections } from "./connections.ts";
import { PubSubPeer } from "./peer.ts";

/** `ps` and `mqtt` on a listener: the ways in which a CoAP client reaches the bus. */
export class PubSubSite implements Site {
  readonly observable = true;
  readonly name = "pubsub";
  readonly gateway = "coap";
  readonly prefixes: readonly string[];
  readonly #config: CoapConfig;
  readonly #connections: Connections;

  constructor(config: CoapConfig, connections: Connections) {
    this.#config = config;
    this.#connections = connections;
    this.prefixes = [config.topicPrefix, "mqtt"];
  }

  links(): readonly Link[] {
    const { forms, topicPrefix } = this.#config;
    const links: Link[] = [];
    if (forms.pubsub) {
      links.push({
        target: `/${topicPrefix}`,
        attributes: { rt: "core.ps", title: "topics of the bus" },
      });
    }
    if (forms.mqttTopic || forms.mqttForm) links.push({ target: "/mqtt" });
    if (forms.connection) links.push({ target: "/mqtt/connection" });
    return links;
  }

  open(peer: CoapPeer): PeerSite {
    return new PubSubPeer(this.#config, peer, this.#connections);
  }
}
