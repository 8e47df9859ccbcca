import type { CoapConfig } from "../config.ts";
import type { Connections } from "../pubsub/connections.ts";
import type { Link } from "../stack/message/link-format.ts";
import type { CoapPeer, PeerSite, Site } from "../stack/site.ts";
import { CollectionPeer } from "./peer.ts";
import type { Topics } from "./topics.ts";

/** `/pubsub`: the topic collection of draft-ietf-core-coap-pubsub-21, whose data are retained messages. */
export class CollectionSite implements Site {
  readonly observable = true;
  readonly name = "collection";
  readonly gateway = "coap";
  readonly prefixes = ["pubsub"];
  readonly #config: CoapConfig;
  readonly #topics: Topics;
  readonly #connections: Connections;

  constructor(config: CoapConfig, topics: Topics, connections: Connections) {
    this.#config = config;
    this.#connections = connections;
    this.#topics = topics;
  }

  /** Topics are listed by the collection itself, where the client is known. */
  links(): readonly Link[] {
    return [{ target: "/pubsub", attributes: { rt: "core.ps core.ps.coll", ct: 40 } }];
  }

  open(peer: CoapPeer): PeerSite {
    return new CollectionPeer(this.#config, peer, this.#topics, this.#connections);
  }
}
