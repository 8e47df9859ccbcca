/** Server Reference (MQTT 5 §4.11, U-064): followed where the settings say so, and never in circles. */
import { describe, expect, it } from "vitest";
import { defaultGroup } from "#core/config/server-settings.ts";
import { Deadlines } from "#core/drive/deadlines.ts";
import { type Instant, minutes, seconds } from "#core/lib/time.ts";
import type { Server, ServerChoice } from "#core/upstream/server-choice.ts";
import { Servers } from "#core/upstream/servers/servers.ts";
import { mqtt } from "#gateways/mqtt/index.ts";
import { engineOf } from "../../support/engine-of-run.ts";
import { type AnyPacket, MqttDevice, mqttDefaults } from "../../support/mqtt-device.ts";
import { type Line, ScriptedServer, virtualServer } from "../../support/scripted-server.ts";
import { World } from "../../support/world.ts";

type Answer = (line: Line, packet: AnyPacket) => boolean | undefined;

/** Two servers that know each other by name; sessions are sent to the first. */
function site(redirects: boolean, answers: { one?: Answer; two?: Answer }) {
  const choice: ServerChoice = {
    choose: () => one,
    succeeded: () => {},
    answered: () => {},
    failed: () => {},
    left: () => {},
  };
  const world: World = new World({ before: { choice: () => choice, options: { redirects } } });
  const scripts = { one: new ScriptedServer(), two: new ScriptedServer() };
  const one: Server = { ...virtualServer(() => world, scripts.one, "one"), elsewhere: (name) => known(name) };
  const two: Server = { ...virtualServer(() => world, scripts.two, "two"), elsewhere: (name) => known(name) };
  const known = (name: string): Server | undefined => ({ one, two })[name];
  for (const name of ["one", "two"] as const) {
    scripts[name].answer = (line, packet) =>
      line.clientId === "dev" ? answers[name]?.(line, packet) : undefined;
  }
  const endpoint = world.open(mqtt, mqttDefaults()).endpoint({ name: "tcp", transport: "tcp" });
  const device = new MqttDevice(world.streams("mqtt", endpoint).connect(), 5);
  const engine = engineOf(world);
  const connects = () => [scripts.one.of("dev").length, scripts.two.of("dev").length];
  return { world, scripts, device, connects, counters: engine.context.counters };
}

const KEPT = { clean: false, properties: { sessionExpiryInterval: 100_000 } };
const sends =
  (to: string, reasonCode: number): Answer =>
  (line, { cmd }) => {
    if (cmd === "connect")
      line.say({ cmd: "connack", sessionPresent: false, reasonCode, properties: { serverReference: to } });
    return cmd === "connect";
  };
const farewell = (serverReference: string, reasonCode: number) => ({
  ...{ cmd: "disconnect", reasonCode, properties: { serverReference } },
});

describe("CONNACK", () => {
  it.each([
    ["0x9C", 0x9c],
    ["0x9D", 0x9d],
  ])("%s leads to the other server, and the device notices nothing", (_name, reason) => {
    const { device, connects, counters } = site(true, { one: sends("two", reason) });
    expect(device.connect("dev", KEPT)).toMatchObject([{ cmd: "connack", reasonCode: 0 }]);
    expect([connects(), counters.redirects.value]).toEqual([[1, 1], 1]);
  });

  it("is followed three times at most; then it is backed off from, and the device is told in the end", () => {
    const answers = { one: sends("two", 0x9c), two: sends("one", 0x9c) };
    const { world, device, connects, counters } = site(true, answers);
    const heard = device.connect("dev", KEPT);
    // Four that follow each other, and one more at the server that its group would choose.
    expect([connects(), counters.redirects.value]).toEqual([[3, 2], 3]);
    world.advance(minutes(5));
    expect([...heard, ...device.take()]).toMatchObject([{ cmd: "connack", reasonCode: 0x9c }]);
    const tried = connects();
    world.advance(minutes(5));
    expect(connects()).toEqual(tried);
  });

  it("is not followed by default: the device is told", () => {
    const { device, connects, counters } = site(false, { one: sends("two", 0x9c) });
    expect(device.connect("dev", KEPT)).toMatchObject([{ cmd: "connack", reasonCode: 0x9c }]);
    expect([connects(), counters.redirects.value]).toEqual([[1, 0], 0]);
  });

  it("that names a server where we do not go is not followed", () => {
    const { device, connects } = site(true, { one: sends("nobody", 0x9c) });
    expect(device.connect("dev", KEPT)).toMatchObject([{ cmd: "connack", reasonCode: 0x9c }]);
    expect(connects()).toEqual([1, 0]);
  });
});

describe("DISCONNECT", () => {
  it("0x9D is remembered: after a cut the session goes there at once", () => {
    const { world, scripts, device, connects } = site(true, {});
    device.connect("dev", KEPT);
    scripts.one.last("dev").say(farewell("two", 0x9d));
    world.settle();
    expect([connects(), device.closed]).toEqual([[1, 1], false]);
    scripts.two.last("dev").end();
    world.settle();
    world.advance(seconds(5));
    expect(connects()).toEqual([1, 2]);
  });

  it("0x9C is for this time: after a cut the session goes where it is sent by its group", () => {
    const { world, scripts, device, connects } = site(true, {});
    device.connect("dev", KEPT);
    scripts.one.last("dev").say(farewell("two", 0x9c));
    world.settle();
    scripts.two.last("dev").end();
    world.settle();
    world.advance(seconds(5));
    expect([connects(), device.closed]).toEqual([[2, 1], false]);
  });

  it("of servers that let a session in and send it on, each to the other, is followed three times, then backed off from", () => {
    const bounce =
      (to: string): Answer =>
      (line, { cmd }) => {
        if (cmd !== "connect") return undefined;
        line.welcome();
        line.say(farewell(to, 0x9c));
        return true;
      };
    const { world, device, connects } = site(true, { one: bounce("two"), two: bounce("one") });
    device.connect("dev", KEPT);
    world.settle();
    expect(connects()).toEqual([2, 2]);
    world.advance(seconds(20));
    // One try is up to four connections; pauses are up to 1 s, 2 s, 4 s and so on.
    const [one = 0, two = 0] = connects();
    expect(one + two).toBeLessThan(80);
  });

  it("0x9D to a server that is not there does not strand the session", () => {
    const gone: Answer = (line, { cmd }) => {
      if (cmd === "connect") line.end();
      return cmd === "connect";
    };
    const { world, scripts, device, connects } = site(true, { two: gone });
    device.connect("dev", KEPT);
    scripts.one.last("dev").say(farewell("two", 0x9d));
    world.settle();
    world.advance(seconds(10));
    expect([connects()[0], device.closed]).toEqual([2, false]);
  });
});

describe("a group", () => {
  const serversOf = (url: string, redirects: readonly string[]) => {
    const group = { ...defaultGroup(), servers: [{ url, weight: 1, priority: 0 }] };
    const servers = new Servers(
      {
        groups: { default: group },
        routes: [],
        fallback: "default",
        probe: { clientId: "p", username: "", password: "" },
        redirects,
      },
      {
        alarms: new Deadlines(0 as Instant),
        clock: { now: () => 0 as Instant },
        random: () => 0.5,
        note: () => {},
        dial: () => () => ({ cancel: () => {} }),
        resolve: () => {},
      },
    );
    const info = { gateway: "mqtt", listener: "tcp", clientId: "c", protocol: "MQTT 5.0" };
    return servers.choose({ ...info, username: undefined, source: undefined })!;
  };

  it("goes to the first host of a Server Reference that the settings allow", () => {
    const server = serversOf("tcp://a:1883", ["c"]);
    expect(server.elsewhere?.("b:1883 c:1884")?.name).toBe("default tcp://c:1884");
    expect(server.elsewhere?.("b:1883")).toBeUndefined();
    expect(serversOf("tcp://a:1883", []).elsewhere?.("b:1883")?.name).toBe("default tcp://b:1883");
  });

  it("never goes from TLS to plain", () => {
    const server = serversOf("tls://a:8883", []);
    expect(server.elsewhere?.("tcp://b:1883")?.name).toBe("default tls://b:1883");
  });

  it("does not follow what names no server", () => {
    expect(serversOf("tcp://a:1883", []).elsewhere?.("  ://")).toBeUndefined();
  });
});
