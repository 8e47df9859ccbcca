/** Groups of servers: who is chosen, who is well, who is drained (src/upstream/servers). */
import { describe, expect, it } from "vitest";
import { Deadlines } from "#core/drive/deadlines.ts";
import { after, type Duration, type Instant, milliseconds, minutes, seconds, ZERO } from "#core/lib/time.ts";
import {
  type AcceptStream,
  DialError,
  type StreamConnection,
  type StreamReceiver,
} from "#core/net/transport.ts";
import { PROFILES } from "#core/upstream/profiles.ts";
import type { Server, SessionInfo } from "#core/upstream/server-choice.ts";
import type { Dial, Member } from "#core/upstream/servers/member.ts";
import { Servers } from "#core/upstream/servers/servers.ts";
import type { GroupSettings, HealthSettings, RouteSettings } from "#core/upstream/servers/settings.ts";
import { fc } from "../../support/property.ts";
import { mulberry32 } from "../../support/random.ts";

const HEALTH: HealthSettings = {
  check: "none",
  interval: seconds(10),
  timeout: seconds(5),
  failures: 3,
  successes: 2,
  retry: { first: seconds(1), longest: seconds(60) },
  slowStart: ZERO,
};

type Urls = readonly (string | { url: string; weight?: number; priority?: number })[];

const groupOf = (servers: Urls, settings: Partial<GroupSettings> = {}): GroupSettings => ({
  servers: servers.map((each) => ({
    weight: 1,
    priority: 0,
    ...(typeof each === "string" ? { url: each } : each),
  })),
  balance: "hash",
  profile: "generic",
  version: "auto",
  caps: PROFILES.generic.caps,
  connectTimeout: seconds(10),
  health: HEALTH,
  resolve: ZERO,
  drainRate: 10,
  localAddresses: [],
  ...settings,
});

const session = (clientId: string, more: Partial<SessionInfo> = {}): SessionInfo => ({
  gateway: "mqtt",
  listener: "tcp",
  clientId,
  username: undefined,
  source: { address: "10.0.0.1", port: 5000 },
  protocol: "MQTT 5.0",
  ...more,
});

/** What a server does to a connection: bytes that it answers with, nothing, or a refusal to be dialled. */
type Answer = readonly Uint8Array[] | "silent" | "refused";

class Site {
  readonly deadlines = new Deadlines(0 as Instant);
  now = 0 as Instant;
  readonly servers: Servers;
  readonly notes: string[] = [];
  readonly answers = new Map<string, Answer>();
  readonly sent: Uint8Array[] = [];
  readonly #later: (() => void)[] = [];
  names: Record<string, readonly string[] | undefined> = {};

  constructor(groups: Record<string, GroupSettings>, routes: readonly RouteSettings[] = [], seed = 1) {
    const random = mulberry32(seed);
    this.servers = new Servers(
      { groups, routes, fallback: "default", probe: { clientId: "probe-", username: "", password: "" } },
      {
        alarms: this.deadlines,
        clock: { now: () => this.now },
        random,
        note: ({ event }) => this.notes.push(event),
        dial: ({ url }) => this.#dial(url),
        resolve: (host, done) => {
          const found = this.names[host];
          done(found === undefined ? new Error("no such name") : undefined, found ?? []);
        },
      },
    );
  }

  #dial(url: string): Dial {
    return (connected, failed) => {
      this.#later.push(() => {
        const answer = this.answers.get(url) ?? "silent";
        if (answer === "refused") failed(new DialError("connection-refused", "connection refused"));
        else this.#accept(connected, answer === "silent" ? [] : [...answer]);
      });
      return { cancel: () => {} };
    };
  }

  #accept(connected: AcceptStream, left: Uint8Array[]): void {
    let receiver: StreamReceiver | undefined;
    const connection = {
      write: (bytes: Uint8Array) => {
        this.sent.push(bytes);
        const next = left.shift();
        if (next !== undefined) this.#later.push(() => receiver?.received(next));
        return true;
      },
      end: () => {},
    };
    receiver = connected(connection as unknown as StreamConnection);
  }

  #settle(): void {
    for (let run = this.#later.shift(); run !== undefined; run = this.#later.shift()) run();
  }

  advance(by: Duration): void {
    const target = after(this.now, by);
    for (let due = this.deadlines.next(); due <= target; due = this.deadlines.next()) {
      if (due > this.now) this.now = due;
      this.deadlines.advance(this.now);
      this.#settle();
    }
    this.now = target;
    this.deadlines.advance(target);
    this.#settle();
  }

  choose(clientId: string, more: Partial<SessionInfo> = {}): string | undefined {
    return (this.servers.choose(session(clientId, more)) as Member | undefined)?.url;
  }

  /** Chooses, and is let in. */
  connect(clientId: string): Server {
    const server = this.servers.choose(session(clientId))!;
    this.servers.succeeded(server, 5);
    return server;
  }

  fail(clientId: string): void {
    this.servers.failed(this.servers.choose(session(clientId))!, { kind: "dial", detail: "refused" });
  }
}

const names = (count: number): string[] => Array.from({ length: count }, (_, n) => `device-${n}`);
const spread = (chosen: readonly (string | undefined)[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const url of chosen) counts[url ?? "none"] = (counts[url ?? "none"] ?? 0) + 1;
  return counts;
};

describe("hash", () => {
  const urls = ["tcp://a:1", "tcp://b:1", "tcp://c:1", "tcp://d:1"];

  it("chooses the same server for a client id in every gateway, whatever the order of the list", () => {
    const one = new Site({ default: groupOf(urls) }, [], 1);
    const two = new Site({ default: groupOf([...urls].reverse()) }, [], 2);
    for (const name of names(200)) expect(two.choose(name)).toBe(one.choose(name));
  });

  it("moves only the share of a server that goes, and only the share of one that comes", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 8 }), fc.integer({ min: 0, max: 7 }), (count, gone) => {
        const all = Array.from({ length: count }, (_, n) => `tcp://s${n}:1883`);
        const lost = all[gone % count]!;
        const before = new Site({ default: groupOf(all) });
        const after = new Site({ default: groupOf(all.filter((url) => url !== lost)) });
        for (const name of names(300)) {
          const was = before.choose(name);
          if (was !== lost) expect(after.choose(name)).toBe(was);
        }
      }),
      { numRuns: 20 },
    );
  });

  it("spreads evenly, and by weight", () => {
    const even = spread(
      names(8000)
        .map((name) => new Site({ default: groupOf(urls) }).choose(name))
        .slice(0, 0),
    );
    expect(even).toEqual({});
    const site = new Site({ default: groupOf(urls) });
    for (const count of Object.values(spread(names(8000).map((name) => site.choose(name))))) {
      expect(count).toBeGreaterThan(1800);
      expect(count).toBeLessThan(2200);
    }
    const weighted = new Site({ default: groupOf([{ url: "tcp://a:1", weight: 3 }, "tcp://b:1"]) });
    const counts = spread(names(8000).map((name) => weighted.choose(name)));
    expect(counts["tcp://a:1"]! / counts["tcp://b:1"]!).toBeCloseTo(3, 0);
  });

  it("sends nobody to a server of weight 0, and says that there is none when there is none", () => {
    const site = new Site({ default: groupOf([{ url: "tcp://a:1", weight: 0 }]) });
    expect(site.choose("x")).toBeUndefined();
  });
});

describe("the other balances", () => {
  const urls = ["tcp://a:1", "tcp://b:1", "tcp://c:1"];

  it("round-robin goes in turn, and by weight", () => {
    const site = new Site({ default: groupOf(urls, { balance: "round-robin" }) });
    expect(spread(names(30).map((name) => site.choose(name)))).toEqual({
      "tcp://a:1": 10,
      "tcp://b:1": 10,
      "tcp://c:1": 10,
    });
    const weighted = new Site({
      default: groupOf([{ url: "tcp://a:1", weight: 2 }, "tcp://b:1"], { balance: "round-robin" }),
    });
    const turns = names(6)
      .map((name) => weighted.choose(name)?.charAt(6))
      .join("");
    expect(turns).toBe("abaaba");
  });

  it("least-connections fills up who has least, counting who is on the way", () => {
    const site = new Site({ default: groupOf(urls, { balance: "least-connections" }) });
    expect(spread(names(9).map((name) => site.choose(name)))).toEqual({
      "tcp://a:1": 3,
      "tcp://b:1": 3,
      "tcp://c:1": 3,
    });
    const [one] = names(3).map((name) => site.connect(name));
    site.advance(minutes(1));
    site.servers.left(one!);
    expect(site.choose("next")).toBe((one as Member).url);
  });

  it("random spreads by weight", () => {
    const site = new Site({
      default: groupOf([{ url: "tcp://a:1", weight: 3 }, "tcp://b:1"], { balance: "random" }),
    });
    const counts = spread(names(4000).map((name) => site.choose(name)));
    expect(counts["tcp://a:1"]! / counts["tcp://b:1"]!).toBeCloseTo(3, 0);
  });

  it("primary-backup takes the first that is well", () => {
    const site = new Site({ default: groupOf(urls, { balance: "primary-backup" }) });
    expect(site.choose("x")).toBe("tcp://a:1");
    for (let n = 0; n < 3; n++) site.fail("x");
    expect(site.choose("x")).toBe("tcp://b:1");
    site.advance(seconds(2));
    const back = site.servers.choose(session("x"))!;
    expect((back as Member).url).toBe("tcp://a:1");
    // While one tries, the others stay away.
    expect(site.choose("y")).toBe("tcp://b:1");
    site.servers.succeeded(back, 5);
    expect(site.choose("y")).toBe("tcp://a:1");
  });

  it("prefers the lowest priority at which a server is well", () => {
    const site = new Site({
      default: groupOf(["tcp://a:1", "tcp://b:1", { url: "tcp://c:1", priority: 1 }], {
        balance: "round-robin",
      }),
    });
    expect(spread(names(10).map((name) => site.choose(name)))).toEqual({ "tcp://a:1": 5, "tcp://b:1": 5 });
    for (let n = 0; n < 6; n++) site.fail("x");
    expect(site.choose("x")).toBe("tcp://c:1");
  });
});

describe("a server that fails", () => {
  it("gets nobody after so many failures in a row, and one to try when its time has come", () => {
    const site = new Site({ default: groupOf(["tcp://a:1"]) });
    for (let n = 0; n < 2; n++) site.fail("x");
    site.connect("x");
    for (let n = 0; n < 3; n++) site.fail("x");
    expect([site.choose("x"), site.notes]).toEqual([undefined, ["server-unwell"]]);
    site.advance(seconds(1));
    expect([site.choose("x"), site.choose("y")]).toEqual(["tcp://a:1", undefined]);
  });

  it("is tried at longer and longer intervals, with chance in them, up to the longest", () => {
    const site = new Site({ default: groupOf(["tcp://a:1"]) });
    for (let n = 0; n < 3; n++) site.fail("x");
    const waits: number[] = [];
    for (let n = 0; n < 10; n++) {
      const from = site.now;
      let server = site.servers.choose(session("x"));
      while (server === undefined) {
        site.advance(milliseconds(100));
        server = site.servers.choose(session("x"));
      }
      waits.push((site.now - from) / 1000);
      site.servers.failed(server, { kind: "silent", detail: "no CONNACK" });
    }
    expect(waits[0]).toBeLessThanOrEqual(1.1);
    expect(Math.max(...waits)).toBeLessThanOrEqual(60.1);
    expect(Math.min(...waits.slice(-3))).toBeGreaterThanOrEqual(30);
    expect(new Set(waits.slice(-3)).size).toBe(3);
  });

  it("does not wait longer because many fail at the same time", () => {
    const site = new Site({ default: groupOf(["tcp://a:1"]) });
    const sessions = names(1000).map((name) => site.connect(name));
    for (const server of sessions) site.servers.failed(server, { kind: "broken", detail: "reset" });
    site.advance(milliseconds(1001));
    expect(site.choose("x")).toBe("tcp://a:1");
  });

  it("comes back little by little (slow start), and by hash only its own come back", () => {
    const health = { ...HEALTH, slowStart: seconds(100) };
    const site = new Site({ default: groupOf(["tcp://a:1", "tcp://b:1"], { health }) });
    const before = names(2000).map((name) => site.choose(name));
    const ofA = names(2000).filter((_, n) => before[n] === "tcp://a:1");
    for (let n = 0; n < 3; n++) site.fail(ofA[0]!);
    site.advance(seconds(1));
    site.servers.succeeded(site.servers.choose(session(ofA[0]!))!, 5);
    const share = (): number => names(2000).filter((name) => site.choose(name) === "tcp://a:1").length / 2000;
    const shares = [share()];
    for (const wait of [25, 25, 50]) {
      site.advance(seconds(wait));
      shares.push(share());
    }
    expect(shares[0]).toBeLessThan(0.15);
    expect(shares).toEqual([...shares].sort((a, b) => a - b));
    expect(names(2000).map((name) => site.choose(name))).toEqual(before);
  });
});

describe("a server that is drained", () => {
  const urls = ["tcp://a:1", "tcp://b:1"];

  it("gets nobody new, and loses who is there at the set rate", () => {
    const site = new Site({ default: groupOf(urls, { drainRate: 10 }) });
    const there = names(200).map((name) => site.connect(name));
    let left = there.filter((server) => (server as Member).url === "tcp://a:1");
    const count = left.length;
    site.servers.move = (server) => {
      const one = left.pop();
      if (one !== undefined) site.servers.left(server);
      return one !== undefined;
    };
    expect(site.servers.drain("default", "tcp://a:1", true)).toBe(true);
    expect(new Set(names(50).map((name) => site.choose(name)))).toEqual(new Set(["tcp://b:1"]));
    site.advance(seconds(5));
    expect(count - left.length).toBeGreaterThanOrEqual(49);
    expect(count - left.length).toBeLessThanOrEqual(51);
    site.servers.drain("default", "tcp://a:1", false);
    const now = left.length;
    site.advance(seconds(5));
    expect(left.length).toBe(now);
    left = [];
  });

  it("is said not to exist when it does not", () => {
    expect(new Site({ default: groupOf(urls) }).servers.drain("default", "tcp://z:1", true)).toBe(false);
  });
});

describe("health checks", () => {
  const CONNACK = Uint8Array.of(0x20, 2, 0, 0);
  const PINGRESP = Uint8Array.of(0xd0, 0);
  const checked = (
    check: HealthSettings["check"],
    answer: Answer,
    version: GroupSettings["version"] = "auto",
  ) => {
    const site = new Site({ default: groupOf(["tcp://a:1"], { health: { ...HEALTH, check }, version }) });
    site.answers.set("tcp://a:1", answer);
    return site;
  };
  const CONNACK5 = Uint8Array.of(0x20, 3, 0, 0, 0);

  it.each<[string, HealthSettings["check"], Answer]>([
    ["a connection", "connect", []],
    ["CONNACK", "mqtt", [CONNACK]],
    ["CONNACK and PINGRESP", "ping", [CONNACK, PINGRESP]],
    ["a CONNACK that refuses the probe's name and password", "ping", [Uint8Array.of(0x20, 2, 0, 5)]],
  ])("are content with %s", (_what, check, answer) => {
    const site = checked(check, answer);
    site.advance(minutes(2));
    expect([site.choose("x"), site.notes]).toEqual(["tcp://a:1", []]);
    if (check !== "connect") expect(site.sent.length).toBeGreaterThan(10);
  });

  it.each<[string, HealthSettings["check"], Answer, GroupSettings["version"]]>([
    ["that cannot be connected to", "connect", "refused", "auto"],
    ["that never answers CONNECT", "mqtt", "silent", "auto"],
    ["that answers CONNECT with something else", "mqtt", [PINGRESP, PINGRESP], "auto"],
    ["that says that it is unavailable", "mqtt", [Uint8Array.of(0x20, 2, 0, 3)], "auto"],
    ["that says that it is busy", "mqtt", [Uint8Array.of(0x20, 3, 0, 0x89, 0)], "5.0"],
    ["that never answers PINGREQ", "ping", [CONNACK], "auto"],
    ["that never answers PINGREQ of MQTT 5", "ping", [CONNACK5], "5.0"],
  ])("find a server %s", (_what, check, answer, version) => {
    const site = checked(check, answer, version);
    site.advance(minutes(2));
    expect([site.choose("x"), site.notes]).toEqual([undefined, ["server-unwell"]]);
    expect(site.servers.status()[0]).toMatchObject({ state: "open" });
    expect(site.servers.status()[0]!.lastFailure).toBeDefined();
  });

  it("send nobody there before so many have gone well again", () => {
    const site = checked("ping", "refused");
    site.advance(minutes(2));
    site.answers.set("tcp://a:1", [CONNACK, PINGRESP]);
    site.advance(seconds(10));
    expect(site.choose("x")).toBeUndefined();
    site.advance(seconds(10));
    expect([site.choose("x"), site.notes]).toEqual(["tcp://a:1", ["server-unwell", "server-well"]]);
  });

  it("end with the servers", () => {
    const site = checked("ping", [CONNACK, PINGRESP]);
    site.servers.stop();
    site.advance(minutes(1));
    expect(site.sent).toEqual([]);
  });
});

describe("names", () => {
  it("stand for a server for each address, looked up again, and only who went loses its sessions", () => {
    const site = new Site({});
    site.names = { broker: ["10.0.0.1", "10.0.0.2"] };
    const group = groupOf(["tcp://broker:1883"], {
      resolve: seconds(30),
      balance: "round-robin",
      drainRate: 1000,
    });
    site.servers.takeMade(new Map(), new Map([["default", group]]));
    expect(site.servers.status().map(({ url }) => url)).toEqual([
      "tcp://10.0.0.1:1883",
      "tcp://10.0.0.2:1883",
    ]);
    const [one, two] = [site.connect("x"), site.connect("y")];
    const moved: Server[] = [];
    site.servers.move = (server) => {
      moved.push(server);
      site.servers.left(server);
      return true;
    };
    site.names = { broker: ["10.0.0.2", "fd00::1"] };
    site.advance(seconds(31));
    expect(moved).toEqual([one]);
    const urls = site.servers.status().map(({ url }) => url);
    expect(urls).toEqual(["tcp://10.0.0.2:1883", "tcp://[fd00::1]:1883"]);
    expect(site.servers.status()[0]!.sessions).toBe(1);
    // A name that cannot be looked up keeps what it had.
    site.names = {};
    site.advance(seconds(31));
    expect(site.servers.status().map(({ url }) => url)).toEqual(urls);
    expect([site.notes.includes("server-name-unknown"), (two as Member).draining]).toEqual([true, false]);
  });
});

describe("routes", () => {
  const route = (id: string, group: string, more: Partial<RouteSettings> = {}): RouteSettings => ({
    id,
    group,
    order: 0,
    ...more,
  });
  const groups = {
    default: groupOf(["tcp://default:1"]),
    a: groupOf(["tcp://a:1"]),
    b: groupOf(["tcp://b:1"]),
  };

  it.each<[string, Partial<RouteSettings>, Partial<SessionInfo>, Partial<SessionInfo>]>([
    ["gateway", { gateways: ["coap", "lwm2m"] }, { gateway: "coap" }, { gateway: "mqtt" }],
    ["listener", { listeners: ["tls"] }, { listener: "tls" }, { listener: undefined }],
    [
      "address",
      { addresses: ["127.0.0.1", "10.1.0.0/16"] },
      { source: { address: "10.1.2.3", port: 5000 } },
      { source: { address: "10.2.2.3", port: 5000 } },
    ],
    ["client id", { clientId: "meter-*" }, { clientId: "meter-1" }, { clientId: "ameter-1" }],
    ["user", { username: "tenant?" }, { username: "tenant1" }, { username: "tenant12" }],
    ["protocol level", { protocols: ["MQTT 3.1.1"] }, { protocol: "MQTT 3.1.1" }, { protocol: "MQTT 5.0" }],
    ["protocol", { protocols: ["mqtt"] }, { protocol: "MQTT 5.0" }, { protocol: "MQTT-SN 1.2" }],
  ])("choose the group by %s", (_what, conditions, inside, outside) => {
    const site = new Site(groups, [route("1", "a", conditions)]);
    expect([site.choose("x", inside), site.choose("x", outside)]).toEqual(["tcp://a:1", "tcp://default:1"]);
  });

  it("are asked in their order; all conditions of one must hold", () => {
    const site = new Site(groups, [
      route("late", "a", { order: 2 }),
      route("early", "b", { order: 1, gateways: ["mqtt"], clientId: "b*" }),
    ]);
    expect([site.choose("b1"), site.choose("a1"), site.choose("b1", { gateway: "coap" })]).toEqual([
      "tcp://b:1",
      "tcp://a:1",
      "tcp://a:1",
    ]);
  });

  it("change while sessions run: who is connected stays, who comes goes where the new ones lead", () => {
    const site = new Site(groups);
    const stays = site.connect("x") as Member;
    const made = new Map([["1", route("1", "mine")]]);
    site.servers.takeMade(made, new Map([["mine", groupOf(["tcp://mine:1"])]]));
    expect([site.choose("x"), stays.draining, stays.sessions]).toEqual(["tcp://mine:1", false, 1]);
    site.servers.takeMade(new Map(), new Map());
    expect([site.choose("x"), stays.sessions]).toEqual(["tcp://default:1", 1]);
  });

  it("that take a server away with them move its sessions", () => {
    const site = new Site(groups);
    site.servers.takeMade(
      new Map([["1", route("1", "mine")]]),
      new Map([["mine", groupOf(["tcp://mine:1"])]]),
    );
    const server = site.connect("x");
    let moved = 0;
    site.servers.move = () => {
      moved++;
      site.servers.left(server);
      return true;
    };
    site.servers.takeMade(new Map(), new Map());
    site.advance(seconds(1));
    expect(moved).toBe(1);
  });
});
