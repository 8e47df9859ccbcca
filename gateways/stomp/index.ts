import type { Gateway, GatewayModule, ListenerInfo } from "#core/contract/gateway.ts";
import { StompChannel } from "./channel.ts";
import { encodeError } from "./codec/encoder.ts";
import { type StompConfig, stompSchema } from "./config.ts";
import type { Settings } from "./connection.ts";
import { Destinations } from "./destinations.ts";
import { StompDissector } from "./dissector.ts";
import { StompDescription } from "./operator.ts";
import { openSockJs, sockJsPaths } from "./sockjs.ts";

/** STOMP 1.0, 1.1 and 1.2 clients on the bus. */
export const stomp: GatewayModule<StompConfig> = {
  name: "stomp",
  schema: stompSchema,
  transports: ["tcp", "tls", "ws", "wss"],
  websocket: ({ sockjs }) => ({
    subprotocols: ["v12.stomp", "v11.stomp", "v10.stomp"],
    // Clients without a subprotocol are common, and the CONNECT frame says the version anyway.
    subprotocolRequired: false,
    frames: "mirror",
    sockjs,
  }),
  // The paths belong to the listeners; of all else a connection keeps what it was told when it began.
  restart: ["sockjs"],
  describes: StompDescription,
  dissector: ({ peer }, { sockjs }) => new StompDissector(sockJsPaths(sockjs)(peer.path)),
  open(config, host): Gateway<StompConfig> {
    const counters = {
      messages: host.counter("messages", "MESSAGE frames sent"),
      acknowledged: host.counter("acknowledgements", "ACK and NACK frames taken", "ack"),
      returned: host.counter("acknowledgements", "ACK and NACK frames taken", "nack"),
      errors: host.counter("errors", "ERROR frames sent"),
    };
    const settingsOf = (config: StompConfig): Settings => ({
      config,
      destinations: new Destinations(config.destinations),
      counters,
    });
    let settings = settingsOf(config);
    const isSockJs = sockJsPaths(config.sockjs);
    return {
      endpoint: (_listener: ListenerInfo) => ({
        open: (peer, channelHost, now) =>
          isSockJs(peer.path)
            ? openSockJs(channelHost, now, (inner) => new StompChannel(settings, inner, now), settings.config)
            : new StompChannel(settings, channelHost, now),
        // Whatever it says first: an ERROR may come at any time (STOMP 1.2 ERROR).
        turnAway: (_first, why) => encodeError("1.0", "access refused", why, undefined),
      }),
      reload(config) {
        settings = settingsOf(config);
      },
    };
  },
};
