/** A gateway that others wrote, as the core runs it: its faults cost its own channels, and are told under its name. */
import type { Channel, ChannelHost } from "../contract/channel.ts";
import type { Dissector } from "../contract/dissection.ts";
import type { Endpoint } from "../contract/endpoint.ts";
import type { Gateway, GatewayHost, GatewayModule, Shelf } from "../contract/gateway.ts";
import type { Peer } from "../contract/peer.ts";
import type { GatewayPlugIn } from "../contract/plug-in.ts";
import type { Alarm, Alarms } from "../lib/alarm.ts";
import { type Instant, NEVER } from "../lib/time.ts";
import { GuardedChannel } from "./guarded-channel.ts";
import { type Patience, type Stopwatch, Supervision } from "./supervision.ts";

const NO_SETTINGS = { type: "object", properties: {} };

/** `name`: as the configuration calls it. */
export function guardedModule(
  name: string,
  plugIn: GatewayPlugIn<never>,
  stopwatch: Stopwatch,
): GatewayModule<Patience> {
  const { contract: _, dissector, ...rest } = plugIn;
  return {
    ...rest,
    name,
    schema: (plugIn.schema ?? NO_SETTINGS) as GatewayModule<Patience>["schema"],
    ...(dissector === undefined
      ? {}
      : { dissector: (of, config) => guardedDissector(dissector.call(plugIn, of, config as never)) }),
    open(config, host) {
      const supervision = new Supervision(name, stopwatch, config, host);
      const gateway = plugIn.open(config as never, guardedHost(host, supervision));
      if (typeof gateway?.endpoint !== "function")
        throw new TypeError("its open gave nothing with an endpoint");
      return guardedGateway(gateway, supervision);
    },
  } as GatewayModule<Patience>;
}

function guardedGateway(gateway: Gateway, supervision: Supervision): Gateway<Patience> {
  const { offers, operations } = gateway;
  return {
    ...(offers === undefined ? {} : { offers }),
    operations,
    endpoint: (listener) => guardedEndpoint(gateway.endpoint(listener), supervision),
    // What this throws is told by whoever asked for it.
    reload: (config) => gateway.reload?.(config as never),
    stop: () => supervision.run("stop", () => gateway.stop?.(), undefined),
  };
}

function guardedEndpoint(endpoint: Endpoint, supervision: Supervision): Endpoint {
  if (typeof endpoint?.open !== "function") throw new TypeError("its endpoint has no function open");
  const { beacon, unprovenFactor } = endpoint;
  return {
    unprovenFactor,
    ...(endpoint.route === undefined
      ? {}
      : {
          route: (datagram, known, now) =>
            supervision.run("route", () => endpoint.route!(datagram, known, now), {
              to: "nobody",
              why: "the plug-in failed",
            }),
        }),
    ...(beacon === undefined
      ? {}
      : {
          beacon: {
            period: beacon.period,
            bytes: () => supervision.run("beacon", () => beacon.bytes(), undefined),
          },
        }),
    open: (peer, host, now) => openChannel(endpoint, supervision, peer, host, now),
  };
}

function openChannel(
  endpoint: Endpoint,
  supervision: Supervision,
  peer: Peer,
  host: ChannelHost,
  now: Instant,
): Channel {
  const open = (): Channel => new GuardedChannel(endpoint.open(peer, host, now), host, supervision);
  const channel = supervision.run("open", open, NO_CHANNEL);
  if (channel === NO_CHANNEL) host.close("internal error");
  return channel;
}

/** In the place of one that could not be made, until it is closed. */
const NO_CHANNEL: Channel = {
  receive: () => {},
  deliver: () => {},
  answered: () => {},
  connected: () => {},
  wake: () => {},
  stop: () => {},
  closed: () => {},
  deadline: () => NEVER,
  status: () => "failed",
  describe: () => ({}),
};

function guardedHost(host: GatewayHost, supervision: Supervision): GatewayHost {
  return {
    ...host,
    channelOf: (clientId) => {
      const channel = host.channelOf(clientId);
      return channel instanceof GuardedChannel ? channel.channel : channel;
    },
    shelf: guardedShelf(host.shelf, supervision),
    alarms: guardedAlarms(host.alarms, supervision),
    lastWord: (clientId, word, memo, said) =>
      host.lastWord(
        clientId,
        word,
        (before) => supervision.run("memo", () => memo(before), before),
        () => supervision.run("said", said, undefined),
      ),
  };
}

const guardedShelf = (shelf: Shelf, supervision: Supervision): Shelf => ({
  put: (key, value) => shelf.put(key, () => supervision.run("shelf", value, undefined)),
  remove: (key) => shelf.remove(key),
  entries: () => shelf.entries(),
});

/** The wheel rings an alarm by itself: what it throws would end up there. */
function guardedAlarms(alarms: Alarms, supervision: Supervision): Alarms {
  const guarded = new WeakSet<Alarm>();
  return {
    arm(alarm, due) {
      if (!guarded.has(alarm)) {
        guarded.add(alarm);
        const fire = alarm.fire.bind(alarm);
        alarm.fire = (now) => supervision.run("alarm", () => fire(now), undefined);
      }
      alarms.arm(alarm, due);
    },
    disarm: (alarm) => alarms.disarm(alarm),
  };
}

/** A trace looks after what `dissect` throws. */
function guardedDissector(dissector: Dissector): Dissector {
  const { lengthOf } = dissector;
  if (lengthOf === undefined) return dissector;
  return {
    dissect: (frame, from) => dissector.dissect(frame, from),
    lengthOf(bytes, at, from) {
      try {
        return lengthOf.call(dissector, bytes, at, from);
      } catch {
        return bytes.length - at;
      }
    },
  };
}
