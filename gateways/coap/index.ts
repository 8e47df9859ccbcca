import type { GatewayModule } from "#core/contract/gateway.ts";
import { CollectionSite } from "./collection/site.ts";
import { Topics } from "./collection/topics.ts";
import { type CoapConfig, schema } from "./config.ts";
import { CoapDescription, CoapOperations } from "./operator.ts";
import { Connections } from "./pubsub/connections.ts";
import { PubSubSite } from "./pubsub/site.ts";
import { createCoapEndpoint } from "./stack/endpoint.ts";
import { CoapDissector } from "./stack/message/dissector.ts";
import { COAP_SITES, type Site } from "./stack/site.ts";

/** CoAP over UDP, DTLS, TCP, TLS and WebSocket. */
export const coap: GatewayModule<CoapConfig> = {
  name: "coap",
  schema,
  // RFC 9952 §2 for DTLS, and the name of CoAP over TLS (RFC 8323 §8.2), which devices use as well.
  protocolNames: ["co", "coap"],
  // RFC 8323 §4.1, §8.1: the subprotocol is mandatory, and the path a well-known one.
  websocket: () => ({
    path: "/.well-known/coap",
    subprotocols: ["coap"],
    subprotocolRequired: true,
    frames: "binary",
  }),
  transports: ["udp", "dtls", "tcp", "tls", "ws", "wss"],
  describes: CoapDescription,
  // What listeners are made from.
  restart: ["stack", "topicPrefix", "forms.collection", "collection"],
  dissector: (of) => new CoapDissector(of),
  open(given, host) {
    // All that serve requests look at it, so that what a reload puts in is in force at once.
    const config = { ...given };
    const topics = new Topics(config.collection.topics, host);
    const connections = new Connections();
    const sites = (): Site[] => [
      new PubSubSite(config, connections),
      ...(config.forms.collection ? [new CollectionSite(config, topics, connections)] : []),
      // LwM2M is CoAP: it is served on the same listeners.
      ...(host.offered(COAP_SITES) as readonly Site[]),
    ];
    return {
      endpoint: () => createCoapEndpoint(sites(), config.stack, host),
      operations: new CoapOperations(host, () => config.operator.results),
      reload: (next) => void Object.assign(config, next),
      stop: () => topics.close(),
    };
  },
};
