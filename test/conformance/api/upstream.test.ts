/** Routes and servers over HTTP: the forms of Apache APISIX's mqtt-proxy, and our own. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { UpstreamPort } from "#core/api/ports.ts";
import { defaultGroup } from "#core/config/server-settings.ts";
import { Deadlines } from "#core/drive/deadlines.ts";
import { KeptRoutes } from "#core/kept-routes.ts";
import { after, type Duration, type Instant, milliseconds, seconds } from "#core/lib/time.ts";
import type { SessionInfo } from "#core/upstream/server-choice.ts";
import type { Member } from "#core/upstream/servers/member.ts";
import { Servers } from "#core/upstream/servers/servers.ts";
import type { GroupSettings } from "#core/upstream/servers/settings.ts";
import { startApi, type TestApi } from "../../support/api.ts";

const groupOf = (url: string) => ({ ...defaultGroup(), servers: [{ url, weight: 1, priority: 0 }] });

const GROUPS = { default: groupOf("tcp://default:1"), meters: groupOf("tcp://meters:1") };
/** Of routes that lead nowhere. */
let notes: unknown[] = [];
let now = 0 as Instant;
let alarms = new Deadlines(now);

const newServers = (groups: Readonly<Record<string, GroupSettings>>) =>
  new Servers(
    {
      groups,
      routes: [{ id: "fixed", order: 5, group: "meters", gateways: ["lwm2m"] }],
      fallback: "default",
      probe: { clientId: "probe", username: "", password: "" },
    },
    {
      alarms,
      clock: { now: () => now },
      random: () => 0.5,
      note: ({ event, detail }) => void (event === "route-nowhere" && notes.push(detail)),
      dial: () => () => ({ cancel: () => {} }),
      resolve: () => {},
    },
  );

/** What a store keeps of one table. */
class Table extends Map<string, unknown> {
  put = (_table: string, key: unknown, value: () => unknown) => void this.set(String(key), value());
  remove = (_table: string, key: unknown) => void this.delete(String(key));
  override entries = () => super.entries() as never;
}

const session = (more: Partial<SessionInfo> = {}): SessionInfo => ({
  gateway: "mqtt",
  listener: "tcp",
  clientId: "c",
  username: undefined,
  source: { address: "127.0.0.1", port: 5000 },
  protocol: "MQTT 3.1.1",
  ...more,
});

let api: TestApi;
let servers: Servers;
let table: Table;
const chosen = (more: Partial<SessionInfo> = {}) => (servers.choose(session(more)) as Member).url;
/** Time passes, and what is due then happens. */
function pass(length: Duration): void {
  const target = after(now, length);
  for (let due = alarms.next(); due <= target; due = alarms.next()) {
    if (due > now) now = due;
    alarms.advance(now);
  }
  now = target;
}
const use = (groups: Readonly<Record<string, GroupSettings>> = GROUPS) => {
  notes = [];
  now = 0 as Instant;
  alarms = new Deadlines(now);
  servers = newServers(groups);
  (api.ports as { upstream?: UpstreamPort }).upstream = new KeptRoutes(servers, table as never);
};

beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.stop());
beforeEach(() => {
  table = new Table();
  use();
});

const put = (id: string, body: unknown) => api.ask("PUT", `/api/v1/upstream/routes/${id}`, { body });

const PLAIN = { "mqtt-proxy": { protocol_name: "MQTT", protocol_level: 4 } };

/** The request of APISIX's manual. */
const APISIX = {
  remote_addr: "127.0.0.1",
  plugins: {
    "mqtt-proxy": {
      protocol_name: "MQTT",
      protocol_level: 4,
      upstream: { ip: "127.0.0.1", port: 1980 },
    },
  },
};

describe("a route in APISIX's form", () => {
  it("leads clients of that address and protocol level to that server, at once", async () => {
    const reply = await put("1", APISIX);
    expect(reply.status).toBe(201);
    expect(reply.body).toMatchObject({
      id: "1",
      addresses: ["127.0.0.1"],
      protocols: ["MQTT 3.1", "MQTT 3.1.1"],
      servers: [{ url: "tcp://127.0.0.1:1980" }],
      configured: false,
    });
    expect(chosen()).toBe("tcp://127.0.0.1:1980");
    expect([
      chosen({ protocol: "MQTT 5.0" }),
      chosen({ source: { address: "10.0.0.1", port: 5000 } }),
    ]).toEqual(["tcp://default:1", "tcp://default:1"]);
  });

  it("may have level 5, several nodes, and a balance by client id", async () => {
    const mqtt = { "mqtt-proxy": { protocol_name: "MQTT", protocol_level: 5 } };
    const nodes = [
      { host: "10.0.0.1", port: 1883, weight: 1 },
      { host: "10.0.0.2", port: 1883, weight: 1 },
    ];
    const reply = await put("1", {
      plugins: mqtt,
      upstream: { type: "chash", key: "mqtt_client_id", nodes },
    });
    expect(reply.body).toMatchObject({ balance: "hash", protocols: ["MQTT 5.0"] });
    const urls = new Set(
      Array.from({ length: 50 }, (_, n) => chosen({ protocol: "MQTT 5.0", clientId: `c${n}` })),
    );
    expect(urls).toEqual(new Set(["tcp://10.0.0.1:1883", "tcp://10.0.0.2:1883"]));
    const older = await put("2", {
      plugins: mqtt,
      upstream: { type: "roundrobin", nodes: { "10.0.0.3:1883": 1 } },
    });
    expect(older.body).toMatchObject({ balance: "round-robin", servers: [{ url: "tcp://10.0.0.3:1883" }] });
  });

  it.each<[string, object, string]>([
    [
      "another protocol",
      { plugins: { "mqtt-proxy": { ...APISIX.plugins["mqtt-proxy"], protocol_name: "AMQP" } } },
      "/plugins/mqtt-proxy/protocol_name",
    ],
    [
      "another level",
      { plugins: { "mqtt-proxy": { ...APISIX.plugins["mqtt-proxy"], protocol_level: 6 } } },
      "/plugins/mqtt-proxy/protocol_level",
    ],
    ["another plug-in", { plugins: { "limit-conn": {} } }, "/plugins"],
    ["no address", { ...APISIX, remote_addr: "localhost" }, "/remote_addr"],
    [
      "no port",
      { plugins: { "mqtt-proxy": { protocol_name: "MQTT", protocol_level: 4, upstream: { ip: "::1" } } } },
      "/plugins/mqtt-proxy/upstream",
    ],
    ["no node", { plugins: PLAIN, upstream: { type: "roundrobin", nodes: {} } }, "/upstream/nodes"],
    [
      "an empty list of nodes",
      { plugins: PLAIN, upstream: { type: "roundrobin", nodes: [] } },
      "/upstream/nodes",
    ],
    [
      "a weight below 0",
      { plugins: PLAIN, upstream: { type: "roundrobin", nodes: { "a:1": -1 } } },
      "/upstream/nodes",
    ],
    ["an unknown field", { ...APISIX, sni: "x" }, ""],
  ])("with %s is refused, and the field is named", async (_what, body, field) => {
    const reply = await put("1", body);
    expect([reply.status, reply.body.code]).toEqual([400, "invalid-request"]);
    const errors = (reply.body.errors as { field: string }[]).map((error) => error.field);
    expect(errors.some((named) => named.startsWith(field))).toBe(true);
    expect(chosen()).toBe("tcp://default:1");
  });

  it("is gone when it is deleted", async () => {
    await put("1", APISIX);
    expect((await api.ask("DELETE", "/api/v1/upstream/routes/1")).status).toBe(204);
    expect(chosen()).toBe("tcp://default:1");
    expect((await api.ask("DELETE", "/api/v1/upstream/routes/1")).status).toBe(404);
  });
});

describe("the servers of a route in APISIX's form", () => {
  const levels = { "mqtt-proxy": { protocol_name: "MQTT", protocol_level: 5 } };
  const [one, two] = ["tcp://10.0.0.1:1883", "tcp://10.0.0.2:1883"];
  const nodesOf = (...hosts: string[]) => hosts.map((host) => ({ host, port: 1883, weight: 1 }));
  const chash = (...hosts: string[]) =>
    put("1", {
      plugins: levels,
      upstream: { type: "chash", key: "mqtt_client_id", nodes: nodesOf(...hosts) },
    });
  const client = (n: number) => session({ protocol: "MQTT 5.0", clientId: `c${n}` });

  /** So many clients are let in; who has been moved since is where the second list says. */
  function letIn(count: number) {
    const there = Array.from({ length: count }, (_, n) => servers.choose(client(n)) as Member);
    for (const server of there) servers.succeeded(server, 5);
    const moved: string[] = [];
    servers.move = (server) => {
      const at = there.indexOf(server as Member);
      if (at < 0) return false;
      there.splice(at, 1);
      moved.push((server as Member).url);
      servers.left(server);
      return true;
    };
    return { there, moved };
  }

  it("are left, a hundred sessions a second, when it is deleted", async () => {
    await chash("10.0.0.1");
    const { moved } = letIn(300);
    await api.ask("DELETE", "/api/v1/upstream/routes/1");
    pass(seconds(1));
    expect(moved.length).toBeGreaterThan(80);
    expect(moved.length).toBeLessThan(120);
    pass(seconds(3));
    expect(moved.length).toBe(300);
    expect((servers.choose(client(1)) as Member).url).toBe("tcp://default:1");
  });

  it("keep their sessions when another one is taken out, whose sessions are moved", async () => {
    await chash("10.0.0.1", "10.0.0.2");
    const { there, moved } = letIn(200);
    const stay = there.filter(({ url }) => url === one).length;
    await chash("10.0.0.1");
    pass(seconds(10));
    expect([new Set(moved), there.length]).toEqual([new Set([two]), stay]);
  });

  it("take sessions back little by little when they are well again (slow start)", async () => {
    await chash("10.0.0.1", "10.0.0.2");
    const before = Array.from({ length: 400 }, (_, n) => (servers.choose(client(n)) as Member).url);
    const own = before.indexOf(one);
    for (let failure = 0; failure < 3; failure++)
      servers.failed(servers.choose(client(own)) as Member, { kind: "dial", detail: "refused" });
    const share = () =>
      before.filter((_, n) => (servers.choose(client(n)) as Member).url === one).length / before.length;
    expect(share()).toBe(0);
    // One may try when its time has come, and is let in.
    pass(seconds(1));
    servers.succeeded(servers.choose(client(own)) as Member, 5);
    expect(share()).toBeLessThan(0.2);
    pass(seconds(15));
    expect(share()).toBeGreaterThan(0.15);
    pass(seconds(15));
    expect(before.map((_, n) => (servers.choose(client(n)) as Member).url)).toEqual(before);
  });
});

describe("a route in our form", () => {
  it("is changed in its place, listed in the order of asking, and read alone", async () => {
    expect((await put("a", { group: "meters", clientId: "m-*", order: 9 })).status).toBe(201);
    expect((await put("a", { group: "meters", clientId: "n-*", order: 9 })).status).toBe(200);
    const list = await api.ask("GET", "/api/v1/upstream/routes");
    expect(list.body.items).toMatchObject([
      { id: "fixed", configured: true },
      { id: "a", clientId: "n-*", configured: false },
    ]);
    expect((await api.ask("GET", "/api/v1/upstream/routes/a")).body).toMatchObject({ group: "meters" });
    expect([chosen({ clientId: "n-1" }), chosen({ clientId: "m-1" })]).toEqual([
      "tcp://meters:1",
      "tcp://default:1",
    ]);
  });

  it("outlives a restart, with its servers", async () => {
    await put("1", APISIX);
    await put("2", { group: "meters", username: "meter" });
    use();
    expect([chosen(), chosen({ username: "meter", protocol: "MQTT 5.0" })]).toEqual([
      "tcp://127.0.0.1:1980",
      "tcp://meters:1",
    ]);
    await api.ask("DELETE", "/api/v1/upstream/routes/1");
    use();
    expect(chosen()).toBe("tcp://default:1");
  });

  it("to a group that is not there any more is said in the log when it is found again", async () => {
    await put("1", { group: "meters", username: "meter" });
    use({ default: groupOf("tcp://default:1") });
    expect(notes).toEqual([{ route: "1", group: "meters" }]);
    expect(servers.choose(session({ username: "meter" }))).toBeUndefined();
    expect(chosen({ username: "other" })).toBe("tcp://default:1");
    expect(servers.leftBehind({ default: groupOf("tcp://default:1") })?.id).toBe("1");
    expect(servers.leftBehind({ meters: groupOf("tcp://meters:1") })).toBeUndefined();
  });

  it("does not touch sessions that are connected", async () => {
    const server = servers.choose(session())!;
    servers.succeeded(server, 5);
    await put("1", APISIX);
    expect((server as Member).sessions).toBe(1);
    expect((server as Member).draining).toBe(false);
  });

  it("of the configuration is changed there, and a group must be one", async () => {
    expect((await put("fixed", { group: "default" })).body.code).toBe("conflict");
    expect((await api.ask("DELETE", "/api/v1/upstream/routes/fixed")).body.code).toBe("conflict");
    const unknown = await put("x", { group: "metres" });
    expect(unknown.body.errors).toMatchObject([{ field: "/group", value: "metres" }]);
  });
});

describe("servers", () => {
  it("are listed with how they fare, and drained", async () => {
    const chosen = servers.choose(session())!;
    servers.succeeded(chosen, 5);
    servers.answered(chosen, milliseconds(3));
    const list = await api.ask("GET", "/api/v1/upstream/servers");
    expect(list.body.items).toMatchObject([
      {
        ...{
          group: "default",
          url: "tcp://default:1",
          state: "closed",
          sessions: 1,
          draining: false,
          weight: 1,
        },
        ...{ version: "5.0", roundTrip: 3 },
      },
      { group: "meters" },
    ]);
    const drain = (url: string) =>
      api.ask("PUT", "/api/v1/upstream/servers/drain", { body: { group: "default", url } });
    expect((await drain("tcp://default:1")).status).toBe(204);
    expect(servers.choose(session())).toBeUndefined();
    expect((await drain("tcp://nobody:1")).status).toBe(404);
  });
});
