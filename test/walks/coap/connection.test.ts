import { expect, it } from "vitest";
import { seconds } from "#core/lib/time.ts";
import { CoapDevice } from "../../support/coap-device.ts";
import { pubsubWorld } from "../../support/coap-site.ts";
import type { WorldOptions } from "../../support/world.ts";

const setup = (overrides: Record<string, unknown> = {}, options: WorldOptions = {}) => {
  const stack = pubsubWorld(overrides, options);
  return { ...stack, device: new CoapDevice(stack.network) };
};
const refusing: WorldOptions = {
  policy: {
    authenticate: (request, peer) =>
      new TextDecoder().decode(request.password) === "good" || request.clientId.startsWith("auto")
        ? {
            ok: true,
            identity: {
              gateway: "coap",
              listener: "test",
              clientId: request.clientId,
              username: request.username,
              endpointName: undefined,
              peer,
              superuser: false,
              expiresAt: Number.POSITIVE_INFINITY as never,
            },
          }
        : { ok: false, refusal: "unauthenticated", reason: "wrong password" },
  },
};
const connect = (device: CoapDevice, query: string[] = ["clientid=dev"]): string =>
  device.ask({ code: "POST", path: "mqtt/connection", query }).payload;

it("gives a token, takes heartbeats with it, and ends with DELETE", () => {
  const { world, device } = setup();
  const answer = device.ask({ code: "POST", path: "mqtt/connection", query: ["c=dev", "u=name", "p=word"] });
  expect(answer.code).toBe("2.01");
  expect(answer.payload).toMatch(/^\d{10,20}$/);
  expect(world.connects).toMatchObject([{ clientId: "dev", username: "name" }]);
  const query = ["clientid=dev", `token=${answer.payload}`];
  expect(device.ask({ code: "PUT", path: "mqtt/connection", query }).code).toBe("2.04");
  expect(device.ask({ code: "DELETE", path: "mqtt/connection", query }).code).toBe("2.02");
  expect(world.disconnects).toMatchObject([{ reason: "closed" }]);
  expect(device.ask({ code: "PUT", path: "mqtt/connection", query }).code).toBe("4.01");
});

it("answers mistakes of connection mode as clients of that form expect", () => {
  const { device } = setup({}, refusing);
  const ask = (code: string, ...query: string[]) => device.ask({ code, path: "mqtt/connection", query }).code;
  expect(ask("POST")).toBe("4.00");
  expect(ask("POST", "clientid=dev", "username=u", "password=bad")).toBe("4.00");
  expect(ask("POST", "clientid=dev", "username=u", "password=good")).toBe("2.01");
  expect(ask("POST", "clientid=dev", "username=u", "password=good")).toBe("4.00");
  expect(ask("PUT", "clientid=dev")).toBe("4.00");
  expect(ask("PUT", "token=1")).toBe("4.00");
  expect(ask("PUT", "clientid=dev", "token=1")).toBe("4.01");
  expect(ask("PUT", "clientid=other", "token=1")).toBe("4.01");
  expect(ask("GET", "clientid=dev", "token=1")).toBe("4.05");
  expect(ask("DELETE", "clientid=dev", "token=1")).toBe("4.01");
  expect(ask("DELETE")).toBe("2.02");
  expect(ask("DELETE", "clientid=nobody", "token=1")).toBe("2.02");
});

it("loses a connection after one and a half heartbeats of silence; anything heard counts", () => {
  const { world, device } = setup();
  const token = connect(device);
  world.advance(seconds(44));
  device.ask({ code: "PUT", path: "ps/a", query: ["c=dev", `t=${token}`], payload: "x" });
  world.advance(seconds(44));
  expect(world.disconnects).toEqual([]);
  world.advance(seconds(2));
  expect(world.disconnects).toMatchObject([{ reason: "lost", how: "silent" }]);
  expect(device.ask({ code: "PUT", path: "ps/a", query: ["c=dev", `t=${token}`] }).code).toBe("4.01");
});

it("serves a client with its token from another port, and leaves to each port what it observes (RFC 7641 §4.1)", () => {
  const { world, network, device } = setup();
  const heard = world.listen("b");
  const query = ["c=dev", `t=${connect(device)}`];
  const other = new CoapDevice(network, 20_000);
  device.ask({ path: "ps/a", query, token: "1", options: [[6, 0]] });
  expect(other.ask({ code: "PUT", path: "mqtt/connection", query }).code).toBe("2.04");
  expect(other.ask({ path: "ps/a", query, token: "2", options: [[6, 0]] }).number(6)).toBeDefined();
  expect(other.ask({ path: "ps/b", query, token: "3", options: [[6, 0]] }).number(6)).toBeDefined();
  other.send({ code: "PUT", path: "ps/b", query, payload: "x" });
  expect(heard).toHaveLength(1);
  expect(world.connects).toHaveLength(1);
  const [answer, own] = other.take();
  expect(answer?.code).toBe("2.04");
  expect(own).toMatchObject({ type: "CON", token: "3", payload: "x" });
  other.acknowledge(own?.id ?? 0);
  world.publish("a", "to both", { qos: 1 });
  expect(device.take()).toMatchObject([{ type: "CON", token: "1", payload: "to both" }]);
  expect(other.take()).toMatchObject([{ type: "CON", token: "2", payload: "to both" }]);
});

it("retransmits to the port that observes, also when it is not the one that connected", () => {
  const { world, network, device } = setup();
  const query = ["c=dev", `t=${connect(device)}`];
  const other = new CoapDevice(network, 20_000);
  other.ask({ path: "ps/a", query, token: "2", options: [[6, 0]] });
  world.publish("a", "1", { qos: 1 });
  expect(other.take()).toMatchObject([{ type: "CON", payload: "1" }]);
  world.advance(seconds(4));
  const [again] = other.take();
  expect(again).toMatchObject({ type: "CON", payload: "1" });
  other.acknowledge(again?.id ?? 0);
  world.publish("a", "2", { qos: 1 });
  expect(other.take()).toMatchObject([{ type: "CON", payload: "2" }]);
  expect(device.take()).toEqual([]);
});

it("keeps a connection alive from whatever port, and ends it and tells all its observers", () => {
  const { world, network, device } = setup();
  const query = ["c=dev", `t=${connect(device)}`];
  const other = new CoapDevice(network, 20_000);
  device.ask({ path: "ps/a", query, token: "1", options: [[6, 0]] });
  for (let beat = 0; beat < 5; beat++) {
    world.advance(seconds(30));
    expect(other.ask({ code: "PUT", path: "mqtt/connection", query }).code).toBe("2.04");
  }
  other.ask({ path: "ps/b", query, token: "2", options: [[6, 0]] });
  device.answerPings();
  expect(device.ask({ path: "ps/a", query, token: "1", options: [[6, 0]] }).number(6)).toBeDefined();
  const third = new CoapDevice(network, 30_000);
  expect(third.ask({ code: "DELETE", path: "mqtt/connection", query }).code).toBe("2.02");
  expect(device.take()).toMatchObject([{ token: "1", code: "5.03" }]);
  expect(other.take()).toMatchObject([{ token: "2", code: "5.03" }]);
  expect(world.disconnects).toMatchObject([{ reason: "closed" }]);
});

it.each([
  ["never", "10.0.0.1", "4.01"],
  ["same-host", "10.0.0.1", "2.04"],
  ["same-host", "10.0.0.9", "4.01"],
  ["anywhere", "10.0.0.9", "2.04"],
] as const)("takes the token from elsewhere as far as roaming says (%s, %s)", (roaming, address, code) => {
  const { network, device } = setup({}, { roaming });
  const query = ["c=dev", `t=${connect(device)}`];
  const other = new CoapDevice(network, 20_000, address);
  expect(other.ask({ code: "PUT", path: "mqtt/connection", query }).code).toBe(code);
});

it("lets a client that names its token connect anew at once, from its own port and from another", () => {
  const { world, network, device } = setup();
  const token = connect(device);
  const again = connect(device, ["clientid=dev", `token=${token}`]);
  expect(again).toMatch(/^\d+$/);
  expect(again).not.toBe(token);
  const other = new CoapDevice(network, 20_000);
  expect(connect(other, ["clientid=dev", `token=${again}`])).toMatch(/^\d+$/);
  expect(world.connects).toHaveLength(3);
});

it("does not end observations by an unrelated token, whoever names himself (RFC 7641 §4.1)", () => {
  const { world, device } = setup();
  device.ask({ path: "ps/a", query: ["c=k"], token: "1", options: [[6, 0]] });
  device.ask({ path: "ps/a", query: ["c=k"], token: "9", options: [[6, 1]] });
  world.publish("a", "x");
  expect(device.take()).toMatchObject([{ token: "1", payload: "x" }]);
});

it("does not take a client over with a wrong token, or another's client id", () => {
  const { world, network, device } = setup();
  const token = connect(device);
  const stranger = new CoapDevice(network, 666);
  const steal = (...query: string[]) => stranger.ask({ code: "PUT", path: "ps/a", query, payload: "x" }).code;
  expect(steal("c=dev", "t=1")).toBe("4.01");
  expect(steal("c=other", `t=${token}`)).toBe("4.01");
  expect(steal(`t=${token}`)).toBe("4.00");
  expect(device.ask({ code: "PUT", path: "mqtt/connection", query: ["c=dev", `t=${token}`] }).code).toBe(
    "2.04",
  );
  expect(world.disconnects).toEqual([]);
});

it("insists on a connection where the setting says so", () => {
  const { device } = setup({ connection: { required: true } });
  expect(device.ask({ code: "PUT", path: "ps/a", payload: "x" }).code).toBe("4.00");
  expect(device.ask({ path: "ps/a", token: "x", options: [[6, 0]] }).code).toBe("4.00");
  const token = connect(device);
  const query = ["c=dev", `t=${token}`];
  expect(device.ask({ code: "PUT", path: "ps/a", query, payload: "x" }).code).toBe("2.04");
});

it("hands a lost connection what it missed when it connects and observes again", () => {
  const { world, network, device } = setup();
  const query = ["c=dev", `t=${connect(device)}`];
  device.ask({ path: "ps/a", query, token: "ob", options: [[6, 0]] });
  world.advance(seconds(46));
  world.publish("a", "missed", { qos: 1 });
  expect(device.take().filter((each) => each.payload === "missed")).toEqual([]);
  const later = new CoapDevice(network, 20_000);
  const again = ["c=dev", `t=${connect(later)}`];
  later.send({ path: "ps/a", query: again, token: "ob2", options: [[6, 0]] });
  expect(later.take().map((each) => [each.token, each.payload])).toEqual([
    ["ob2", ""],
    ["ob2", "missed"],
  ]);
});

it("hands over what was missed for each filter when that filter is observed again, in whatever order", () => {
  const { world, network, device } = setup();
  const query = ["c=dev", `t=${connect(device)}`];
  for (const [path, token] of [
    ["ps/a", "1"],
    ["ps/b", "2"],
  ] as const) {
    device.ask({ path, query, token, options: [[6, 0]] });
  }
  world.advance(seconds(46));
  for (const [topic, payload] of [
    ["a", "a1"],
    ["b", "b1"],
    ["a", "a2"],
    ["b", "b2"],
    ["c", "-"],
  ] as const) {
    world.publish(topic, payload, { qos: 1 });
  }
  device.take();
  const later = new CoapDevice(network, 20_000);
  const again = ["c=dev", `t=${connect(later)}`];
  const observe = (path: string, token: string): string[] => {
    later.send({ path, query: again, token, options: [[6, 0]] });
    const payloads: string[] = [];
    for (let heard = later.take(); heard.length > 0; heard = later.take()) {
      for (const each of heard.filter(({ type }) => type === "CON")) {
        payloads.push(each.payload);
        later.acknowledge(each.id);
      }
    }
    return payloads;
  };
  expect(observe("ps/b", "4")).toEqual(["b1", "b2"]);
  expect(observe("ps/a", "3")).toEqual(["a1", "a2"]);
});

it("tells the observers when the client connects elsewhere", () => {
  const { world, network, device } = setup();
  const query = ["c=dev", `t=${connect(device)}`];
  device.ask({ path: "ps/a", query, token: "ob", options: [[6, 0]] });
  connect(new CoapDevice(network, 20_000));
  expect(device.take()).toMatchObject([{ code: "5.03", token: "ob" }]);
  expect(device.ask({ code: "PUT", path: "ps/a", query }).code).toBe("4.01");
  expect(world.disconnects).toMatchObject([{ reason: "taken-over" }]);
});

// ---- connectionless

it("checks the credentials of each single request, and none sticks to the next", () => {
  const { device } = setup({}, refusing);
  const put = (...query: string[]) => device.ask({ code: "PUT", path: "ps/a", query, payload: "x" }).code;
  expect(put("clientid=d", "username=u", "password=good")).toBe("2.04");
  expect(put("clientid=d", "username=u", "password=bad")).toBe("4.01");
  expect(put("clientid=d", "username=u")).toBe("4.01");
  expect(put("clientid=d", "username=u", "password=good")).toBe("2.04");
});

it("remembers the outcome of a check for the configured time only", () => {
  let checks = 0;
  const options: WorldOptions = {
    policy: {
      authenticate: (request, peer) => {
        checks++;
        return refusing.policy?.authenticate?.(request, peer, 0 as never) as never;
      },
    },
  };
  const { world, device } = setup({ credentials: { remember: "10s" } }, options);
  const put = () => device.ask({ code: "PUT", path: "ps/a", query: ["c=d", "p=good"], payload: "x" }).code;
  expect([put(), put(), put()]).toEqual(["2.04", "2.04", "2.04"]);
  expect(checks).toBe(1);
  world.advance(seconds(11));
  put();
  expect(checks).toBe(2);
});

it("bounds the identities that it remembers of one peer", () => {
  const { device, world } = setup({ credentials: { perPeer: 2 } });
  for (let each = 0; each < 10; each++) {
    expect(device.ask({ code: "PUT", path: "ps/a", query: [`c=d${each}`], payload: "x" }).code).toBe("2.04");
  }
  world.advance(seconds(600));
  expect(world.connects).toEqual([]);
});

// ---- older forms

it("publishes, observes and keeps alive in the form /mqtt/{topic}?c=&u=&p=", () => {
  const { world, device } = setup();
  const heard = world.listen("#");
  const query = ["c=dev", "u=u", "p=p"];
  expect(device.ask({ code: "PUT", path: "mqtt/a/b", query, payload: "x" }).code).toBe("2.04");
  expect(heard).toMatchObject([{ topic: "a/b", qos: 0, retain: false }]);
  expect(device.ask({ path: "mqtt/a/b", query, token: "ob", options: [[6, 0]] }).code).toBe("2.05");
  world.publish("a/b", "to you");
  expect(device.take()).toMatchObject([{ token: "ob", payload: "to you" }]);
  expect(device.ask({ path: "mqtt/a/b", query }).code).toBe("2.05");
  expect(device.ask({ path: "mqtt/a/b", query, token: "ob", options: [[6, 1]] }).code).toBe("2.07");
  expect(device.ask({ code: "POST", path: "mqtt/a/b", query }).code).toBe("4.05");
  expect(device.ask({ code: "DELETE", path: "mqtt/a/b", query }).code).toBe("4.05");
  expect(device.ask({ code: "PUT", path: "mqtt/a/b", payload: "x" }).code).toBe("4.00");
});

it.each([
  ["PUT", "2.04"],
  ["POST", "2.01"],
])("publishes with %s in the form of 2016 and answers %s", (code, answer) => {
  const { world, device } = setup();
  const heard = world.listen("#");
  const payload = "qos=1&retain=1&message=a%20b%26c&topic=hello%2Fworld";
  expect(device.ask({ code, path: "mqtt", payload }).code).toBe(answer);
  expect(heard).toMatchObject([{ topic: "hello/world", qos: 1, retain: true }]);
  expect(Buffer.from(heard[0]?.payload ?? []).toString()).toBe("a b&c");
});

it("observes in the form of 2016 with bodies topic=X&message=Y", () => {
  const { world, device } = setup();
  device.ask({ path: "mqtt", query: ["topic=hello"], token: "ob", options: [[6, 0]] });
  world.publish("hello", "payload");
  expect(device.take()).toMatchObject([{ token: "ob", payload: "topic=hello&message=payload" }]);
});

it("says what is wrong with a body of the form of 2016", () => {
  const { device } = setup();
  const put = (payload: string) => device.ask({ code: "PUT", path: "mqtt", payload });
  expect(put("message=x")).toMatchObject({ code: "4.00", payload: "topic is missing" });
  expect(put("topic=a&qos=7")).toMatchObject({ code: "4.00", payload: "qos must be 0, 1 or 2" });
  expect(put("topic=a&retain=maybe")).toMatchObject({ code: "4.00" });
  expect(put("topic=a%23&message=x").code).toBe("4.00");
  expect(device.ask({ path: "mqtt" }).code).toBe("4.05");
});

it("serves only the forms that are switched on", () => {
  const { device } = setup({
    forms: { pubsub: false, mqttTopic: false, mqttForm: false, connection: false },
  });
  expect(device.ask({ code: "PUT", path: "ps/a" }).code).toBe("4.00");
  expect(device.ask({ code: "PUT", path: "mqtt/a", query: ["c=x"] }).code).toBe("4.00");
  expect(device.ask({ code: "PUT", path: "mqtt", payload: "topic=a" }).code).toBe("4.00");
  expect(device.ask({ code: "POST", path: "mqtt/connection", query: ["c=x"] }).code).toBe("4.00");
  expect(device.ask({ path: ".well-known/core" }).payload).not.toContain("</ps>");
});
