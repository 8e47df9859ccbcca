/** From the words of the configuration to servers that can be dialled. */
import { describe, expect, it } from "vitest";
import { groupSettings } from "#core/config/server-settings.ts";
import { SERVER_URL, type ServerGroupConfig } from "#core/config/servers-schema.ts";
import { dialOptions } from "#core/dial-servers.ts";
import { seconds } from "#core/lib/time.ts";
import type { Place } from "#core/upstream/servers/member.ts";

const config = (settings: Partial<ServerGroupConfig> = {}): ServerGroupConfig => ({
  servers: [],
  balance: "hash",
  proxyProtocol: "off",
  profile: "generic",
  caps: {},
  connectTimeout: seconds(10),
  health: {
    check: "none",
    interval: seconds(10),
    timeout: seconds(5),
    failures: 3,
    successes: 2,
    retry: { first: seconds(1), longest: seconds(60) },
    slowStart: seconds(0),
  },
  resolve: seconds(0),
  drainRate: 10,
  localAddresses: [],
  ...settings,
});

const SHARED = { packetSize: 1000, pingTimeout: seconds(10) };

const place = (url: string, name?: string): Place => ({
  url,
  address: name === undefined ? undefined : "10.0.0.1",
  settings: { url: name ?? url, weight: 1, priority: 0 },
});

describe("a group's settings", () => {
  it("are those of its profile where nothing else is said", () => {
    expect(groupSettings(config({ profile: "nats" }))).toMatchObject({
      version: "3.1.1",
      caps: { maximumQoS: 1, retain: true, shared: false, wildcards: true },
    });
    const own = groupSettings(config({ profile: "nats", version: "5.0", caps: { maximumQoS: 2 } }));
    expect(own).toMatchObject({ version: "5.0", caps: { maximumQoS: 2, shared: false } });
  });
});

describe("a server's URL", () => {
  it.each([
    ["tcp://broker", "tcp", "broker", 1883],
    ["tcp://10.0.0.1:1884", "tcp", "10.0.0.1", 1884],
    ["tls://[fd00::1]", "tls", "fd00::1", 8883],
    ["tls://broker.example:443", "tls", "broker.example", 443],
  ])("%s", (url, transport, host, port) => {
    expect(new RegExp(SERVER_URL).test(url)).toBe(true);
    expect(dialOptions(place(url), groupSettings(config()), SHARED)).toMatchObject({ transport, host, port });
  });

  it.each(["broker:1883", "mqtt://broker", "tcp://", "tcp://a b", "tcp://user@broker", "tcp://fd00::1:1"])(
    "%s is none",
    (url) => expect(new RegExp(SERVER_URL).test(url)).toBe(false),
  );

  it("has a path for a WebSocket, and MQTT's subprotocol [MQTT-6.0.0-3]", () => {
    const { websocket, port } = dialOptions(place("wss://broker/mqtt?x=1"), groupSettings(config()), SHARED);
    expect([websocket?.path, websocket?.subprotocols, port]).toEqual(["/mqtt?x=1", ["mqtt"], 443]);
  });

  it("whose name was looked up still wants a certificate for that name", () => {
    const options = dialOptions(
      place("tls://10.0.0.1", "tls://broker.example"),
      groupSettings(config()),
      SHARED,
    );
    expect([options.host, options.tls?.serverName]).toEqual(["10.0.0.1", "broker.example"]);
    const named = groupSettings(
      config({ tls: { verify: true, alpn: ["mqtt"], minVersion: "TLSv1.2", serverName: "sni" } }),
    );
    expect(dialOptions(place("tls://broker"), named, SHARED).tls).toMatchObject({
      serverName: "sni",
      alpn: ["mqtt"],
    });
  });

  it("takes a shared key in hexadecimal", () => {
    const tls = { verify: true, alpn: [], minVersion: "TLSv1.2", pskIdentity: "me", pskKey: "0a0b" } as const;
    const { psk } = dialOptions(
      place("tls://broker"),
      groupSettings(config({ tls: { ...tls, alpn: [] } })),
      SHARED,
    ).tls!;
    expect([psk?.identity, [...psk!.key]]).toEqual(["me", [10, 11]]);
  });
});
