/** Rights that change reach what exists: who is connected, subscriptions, what waits for absent sessions, wills. */
import { describe, expect, it } from "vitest";
import { seconds } from "#core/lib/time.ts";
import { CoapDevice } from "../../support/coap-device.ts";
import { pubsubWorld } from "../../support/coap-site.ts";
import { mqttSite } from "../../support/mqtt-device.ts";
import { snWorld } from "../../support/mqtt-sn-device.ts";
import { fc } from "../../support/property.ts";
import { Puppets, text } from "../../support/puppet.ts";
import { brief, StompClient, stompListener } from "../../support/stomp-client.ts";
import { World } from "../../support/world.ts";

/** Rules that a test changes: topics and filters that begin with one of these are forbidden. */
function rules(revoked: "disconnect" | "quiet" = "disconnect") {
  const denied: string[] = [];
  const gone: string[] = [];
  const may = (topic: string) => !denied.some((start) => topic.includes(start));
  const policy = {
    mayPublish: (_: unknown, topic: string) => may(topic),
    maySubscribe: (_: unknown, filter: string) => may(filter),
    mayStay: ({ clientId }: { clientId: string }) =>
      gone.includes(clientId) ? ("banned" as const) : ("accepted" as const),
    revoked,
  };
  return { denied, gone, policy };
}

describe("a client that loses the right to a subscription", () => {
  it("of MQTT 5 is told by DISCONNECT 0x87 (MQTT 5 §3.14.2.1), and its session has that subscription no more", () => {
    const { denied, policy } = rules();
    const { world, device } = mqttSite({}, {}, policy);
    const client = device(5);
    const durable = { clean: false, properties: { sessionExpiryInterval: 3600 } };
    client.connect("c", durable);
    client.subscribe("secret/#", 1);
    client.subscribe("open/#", 1);
    denied.push("secret");
    world.judge();
    expect(client.take()).toMatchObject([{ cmd: "disconnect", reasonCode: 0x87 }]);
    for (const topic of ["secret/1", "open/1"]) world.publish(topic, "m", { qos: 1 });
    const again = device(5);
    const [connack, ...rest] = again.connect("c", durable);
    expect(connack).toMatchObject({ sessionPresent: true });
    expect(rest.map(({ topic }) => topic)).toEqual(["open/1"]);
  });

  it("stays by setting, and hears nothing of it any more", () => {
    const { denied, policy } = rules("quiet");
    const { world, device } = mqttSite({}, {}, policy);
    const client = device(4);
    client.connect("c");
    client.subscribe("secret/#", 1);
    client.subscribe("open/#", 0);
    denied.push("secret");
    world.judge();
    for (const topic of ["secret/1", "open/1"]) world.publish(topic, "m", { qos: 1 });
    expect(client.take().map(({ topic }) => topic)).toEqual(["open/1"]);
  });

  it("of STOMP is told by ERROR", () => {
    const { denied, policy } = rules();
    const world = new World();
    const client = StompClient.connected(stompListener(world, {}, policy));
    client.say("SUBSCRIBE", { id: "1", destination: "secret/#" });
    denied.push("secret");
    world.judge();
    expect(client.heard().map((frame) => brief(frame))).toEqual(["ERROR"]);
    expect(client.closed).toBe(true);
  });

  it("of CoAP is told by 4.03 in its observation (RFC 7641 §4.2)", () => {
    const { denied, policy } = rules();
    const { world, network } = pubsubWorld({}, { policy });
    world.publish("secret/1", "1", { retain: true });
    const device = new CoapDevice(network);
    expect(device.ask({ code: "GET", path: "ps/secret/1", token: "t", options: [[6, 0]] }).code).toBe("2.05");
    denied.push("secret");
    world.judge();
    world.publish("secret/1", "2", { retain: true });
    const heard = device.take();
    expect(heard.map(({ code, token }) => [code, token])).toEqual([["4.03", "t"]]);
  });

  it("of MQTT-SN is told by DISCONNECT", () => {
    const { denied, policy } = rules();
    const { world, device } = snWorld({}, {}, policy);
    const client = device();
    client.connect("dev");
    client.subscribe("secret/#", 1);
    denied.push("secret");
    world.judge();
    expect(client.hear()).toEqual(["DISCONNECT"]);
  });
});

it("whatever happens before, nothing that was published after a change reaches who has lost the right to it", () => {
  const topics = ["a", "b", "c"] as const;
  const filters = ["a", "b", "c", "+", "#", "$share/g/a", "$share/g/#", "$queue/b"] as const;
  const step = fc.record({
    kind: fc.constantFrom("come", "leave", "subscribe", "publish", "deny", "allow"),
    who: fc.nat(2),
    filter: fc.constantFrom(...filters),
    topic: fc.constantFrom(...topics),
  });
  fc.assert(
    fc.property(
      fc.constantFrom("disconnect", "quiet"),
      fc.array(step, { maxLength: 60 }),
      (revoked, steps) => {
        const denied = new Set<string>();
        const may = (filter: string) => !denied.has(filter);
        const world = new World();
        const puppets = new Puppets();
        const listener = world.streams("puppet", puppets, {
          maySubscribe: (_, filter) => may(filter),
          revoked,
        });
        const clients = new Map<number, ReturnType<typeof puppets.last.connect>>();
        /** To what each is subscribed, as far as this test knows. */
        const held = [new Set<string>(), new Set<string>(), new Set<string>()];
        let sent = 0;
        const covers = (filter: string, topic: string) => {
          const plain = filter.split("/").at(-1) as string;
          return plain === topic || plain === "+" || plain === "#";
        };
        for (const { kind, who, filter, topic } of steps) {
          const client = clients.get(who);
          if (kind === "come" && client === undefined) {
            listener.connect();
            const puppet = puppets.last;
            puppet.settles = true;
            puppet.onDeliver = (_client, delivery) => {
              // All that still comes is covered by a subscription that is held.
              expect([...held[who]!].some((each) => covers(each, delivery.topic))).toBe(true);
            };
            puppet.onStop = () => clients.delete(who);
            clients.set(who, puppet.connect(`c${who}`, { sessionExpiry: seconds(600) }));
          }
          if (kind === "leave" && client !== undefined) {
            clients.delete(who);
            client.end("lost");
          }
          if (kind === "subscribe" && client?.subscribe(filter, { qos: 1 }, 1) === 1) held[who]!.add(filter);
          if (kind === "publish") world.publish(topic, String(++sent), { qos: 1 });
          if (kind === "allow") denied.delete(filter);
          if (kind === "deny") {
            denied.add(filter);
            for (const each of held) each.delete(filter);
            world.judge();
          }
        }
      },
    ),
  );
});

describe("a will", () => {
  const will = { payload: text("w"), qos: 0, retain: false, delay: seconds(10), options: {} } as const;
  const lost = (change: (rules: ReturnType<typeof rulesOf>) => void) => {
    const made = rulesOf();
    const heard = made.world.listen("secret/will");
    const stream = made.listener.connect();
    made.puppets.last.connect("c", { sessionExpiry: seconds(60), will: { topic: "secret/will", ...will } });
    stream.drop();
    change(made);
    made.world.advance(seconds(11));
    return heard.length;
  };
  const rulesOf = () => {
    const world = new World();
    const puppets = new Puppets();
    const made = rules();
    return { world, puppets, listener: world.streams("puppet", puppets, made.policy), ...made };
  };

  it("that is allowed still is published; one whose right, or whose client, is gone is not", () => {
    expect(lost(() => {})).toBe(1);
    expect(lost(({ denied }) => denied.push("secret"))).toBe(0);
    expect(lost(({ gone }) => gone.push("c"))).toBe(0);
  });
});

it("who is banned or removed is disconnected, without its will", () => {
  const { gone, policy } = rules();
  const { world, device } = mqttSite({}, {}, policy);
  const wills = world.listen("will");
  const [bad, good] = [device(5), device(5)];
  bad.connect("bad", { will: { topic: "will", payload: Buffer.from("w"), qos: 0, retain: false } });
  good.connect("good");
  gone.push("bad");
  world.judge();
  expect(bad.take()).toMatchObject([{ cmd: "disconnect", reasonCode: 0x98 }]);
  expect([bad.closed, good.closed, wills.length]).toEqual([true, false, 0]);
});
