/** What is said of `bus.upstream` before anything is dialled. */
import { describe, expect, it } from "vitest";
import { loadText } from "#core/config/load.ts";
import { MODULES } from "#core/modules.ts";

const load = (upstream: object, engine = "upstream") =>
  loadText(MODULES, JSON.stringify({ bus: { engine, upstream } })).config;
const one = { servers: [{ url: "tcp://a:1883" }] };

describe("bus.upstream", () => {
  it("takes servers in short, or groups and routes", () => {
    expect(load({ servers: ["tcp://a:1883"] }).bus.upstream.servers).toEqual(["tcp://a:1883"]);
    const routes = [{ id: "r", group: "other", clientId: "m-*" }];
    const { upstream } = load({ groups: { default: one, other: one }, routes }).bus;
    expect([upstream.routes[0]?.group, upstream.groups["other"]?.balance]).toEqual(["other", "hash"]);
  });

  it.each<[string, object, string]>([
    ["no server at all", {}, "bus.upstream.group"],
    [
      "a group of no servers",
      { groups: { default: { servers: [] } } },
      "bus.upstream.groups.default.servers",
    ],
    ["a server that is none", { groups: { default: { servers: [{ url: "a:1" }] } } }, "servers[0].url"],
    ["two words for one group", { servers: ["tcp://a"], groups: { default: one } }, "bus.upstream.servers"],
    ["another balance", { groups: { default: { ...one, balance: "best" } } }, "groups.default.balance"],
    [
      "a route to no group",
      { groups: { default: one }, routes: [{ id: "r", group: "x" }] },
      "routes[0].group",
    ],
    [
      "a route of a gateway that is none",
      { groups: { default: one }, routes: [{ id: "r", group: "default", gateways: ["amqp"] }] },
      "routes[0].gateways[0]",
    ],
    [
      "two routes of one name",
      {
        groups: { default: one },
        routes: [
          { id: "r", group: "default" },
          { id: "r", group: "default" },
        ],
      },
      "routes[1].id",
    ],
    [
      "a route for no address",
      { groups: { default: one }, routes: [{ id: "r", group: "default", addresses: ["10.0"] }] },
      "routes[0].addresses",
    ],
  ])("with %s names the key", (_what, upstream, key) => {
    expect(() => load(upstream)).toThrow(key);
  });

  it.each([
    ["rules", { all: { sql: 'SELECT * FROM "#"', actions: [{ kind: "republish", topic: "a" }] } }],
    ["connectors", { hook: { kind: "http", url: "http://127.0.0.1:1" } }],
  ])("says at the start that %s would see nothing", (section, settings) => {
    const bus = { engine: "upstream", upstream: { servers: ["tcp://a:1883"] } };
    const text = (engine: string) => JSON.stringify({ bus: { ...bus, engine }, [section]: settings });
    expect(() => loadText(MODULES, text("upstream"))).toThrow(/no rule sees them/);
    expect(() => loadText(MODULES, text("embedded"))).not.toThrow(/no rule sees them/);
  });
});
