import { describe, expect, it } from "vitest";
import { snWorld } from "../../support/mqtt-sn-device.ts";

const seconds = (count: number): number => count * 1000;

describe("MQTT-SN 1.2 §6.2, connection set-up", () => {
  it("C1 answers CONNECT without will by CONNACK at once", () => {
    const device = snWorld().device();
    expect(device.connect("d1")).toEqual(["CONNACK code 0"]);
  });

  it("C1 prompts for will topic and will message before CONNACK", () => {
    const device = snWorld().device();
    expect(device.connect("d1", { will: true })).toEqual(["WILLTOPICREQ"]);
    expect(device.willTopic("state/d1", 1, true)).toEqual(["WILLMSGREQ"]);
    expect(device.willMessage("gone")).toEqual(["CONNACK code 0"]);
  });

  it("C2 takes an empty WILLTOPIC for no will and asks for no message (§5.4.7)", () => {
    const device = snWorld().device();
    device.connect("d1", { will: true });
    expect(device.willTopic(undefined)).toEqual(["CONNACK code 0"]);
  });

  it("C3 refuses a protocol id other than 0x01 (§5.3.8)", () => {
    const device = snWorld().device();
    expect(device.connect("d1", { version: 2 })).toEqual(["CONNACK code 3"]);
    expect(device.connect("d1", { version: 0 })).toEqual(["CONNACK code 3"]);
  });

  it("C4 takes client ids of 1 to 128 octets and refuses others with code 3", () => {
    const device = snWorld().device();
    expect(device.connect("a".repeat(23))).toEqual(["CONNACK code 0"]);
    expect(device.connect("a".repeat(128))).toEqual(["CONNACK code 0"]);
    expect(device.connect("a".repeat(129))).toEqual(["CONNACK code 3"]);
    expect(device.connect("")).toEqual(["CONNACK code 3"]);
    expect(device.connect("a\0b")).toEqual(["CONNACK code 3"]);
    expect(device.raw("08 04 04 01 00 3C C3 28")).toEqual(["CONNACK code 3"]);
  });

  it("C4 gives a configured client id to a device that has none", () => {
    const { world, device } = snWorld({ emptyClientId: "nameless" });
    expect(device().connect("")).toEqual(["CONNACK code 0"]);
    expect(world.connects.map((event) => event.clientId)).toEqual(["nameless"]);
  });

  it("C5 says congestion when the session limit is reached, and not supported when policy refuses", () => {
    const full = snWorld({}, { sessions: 1 });
    full.device(1).connect("d1");
    expect(full.device(2).connect("d2")).toEqual(["CONNACK code 1"]);
    for (const [refusal, code] of [
      ["unauthenticated", 3],
      ["banned", 3],
      ["unavailable", 1],
      ["congested", 1],
    ] as const) {
      const strict = snWorld({}, {}, { authenticate: () => ({ ok: false, refusal, reason: "test" }) });
      expect(strict.device().connect("d1")).toEqual([`CONNACK code ${code}`]);
    }
  });

  it("C6 repeats the pending reply when CONNECT is repeated in the handshake", () => {
    const device = snWorld().device();
    device.connect("d1", { will: true });
    expect(device.connect("d1", { will: true })).toEqual(["WILLTOPICREQ"]);
    device.willTopic("w");
    expect(device.connect("d1", { will: true })).toEqual(["WILLMSGREQ"]);
    expect(device.willMessage("gone")).toEqual(["CONNACK code 0"]);
  });

  it("C7 takes CONNECT of an active client for a new connection", () => {
    const { world, device } = snWorld();
    const d1 = device();
    d1.connect("d1");
    d1.subscribe("a/b", 1);
    expect(d1.connect("d1")).toEqual(["CONNACK code 0"]);
    world.publish("a/b", "x", { qos: 1 });
    expect(d1.hear()).toEqual([]);
  });

  it("C7 answers the repeat of a CONNECT whose CONNACK was lost without starting again (§6.13)", () => {
    const { world, device } = snWorld();
    const d1 = device();
    expect(d1.connect("d1")).toEqual(["CONNACK code 0"]);
    expect(d1.connect("d1")).toEqual(["CONNACK code 0"]);
    expect(world.connects).toHaveLength(1);
  });

  it("C8 lets the newer endpoint win, tells the old one, and publishes no will", () => {
    const { world, device } = snWorld();
    const wills = world.listen("will");
    const [old, young] = [device(1), device(2)];
    old.connect("d1", { clean: false, will: true });
    old.willTopic("will");
    old.willMessage("gone");
    old.subscribe("a/b", 1);
    expect(young.connect("d1", { clean: false })).toEqual(["CONNACK code 0"]);
    expect(old.hear()).toEqual(["DISCONNECT"]);
    world.publish("a/b", "x", { qos: 1 });
    expect(young.hear()).toEqual(['REGISTER 1 #1 "a/b"']);
    expect(old.hear()).toEqual([]);
    expect(wills).toHaveLength(0);
  });

  it("C8 compares client ids octet for octet", () => {
    const { device } = snWorld();
    const [long, short] = [device(1), device(2)];
    long.connect("abcdef");
    expect(short.connect("abc")).toEqual(["CONNACK code 0"]);
    expect(long.hear()).toEqual([]);
    expect(long.ping()).toEqual(["PINGRESP"]);
  });

  it("C9 ends the old binding when another client id comes from its endpoint; its session lives on", () => {
    const { world, device } = snWorld();
    const here = device(1);
    here.connect("d1", { clean: false });
    here.subscribe("a/b", 1);
    expect(here.connect("d2")).toEqual(["CONNACK code 0"]);
    world.publish("a/b", "kept", { qos: 1 });
    expect(here.hear()).toEqual([]);
    const elsewhere = device(2);
    expect(elsewhere.connect("d1", { clean: false })).toEqual(["CONNACK code 0", 'REGISTER 1 #1 "a/b"']);
    expect(elsewhere.regack(1, 1)).toEqual(['PUBLISH 1 #1 qos1 "kept"']);
    expect(here.ping()).toEqual(["PINGRESP"]);
  });

  it("C10 refuses requests in the will handshake and goes on with it", () => {
    const device = snWorld().device();
    device.connect("d1", { will: true });
    expect(device.publish(1, "x", { qos: 1, id: 7 })).toEqual(["PUBACK 1 #7 code 3"]);
    expect(device.publish(1, "x", { qos: 2, id: 8 })).toEqual(["PUBACK 1 #8 code 3"]);
    expect(device.publish(1, "x")).toEqual([]);
    expect(device.subscribe("a", 0, 0, 9)).toEqual(["SUBACK 0 #9 qos0 code 3"]);
    expect(device.register("a", 10)).toEqual(["REGACK 0 #10 code 3"]);
    expect(device.willMessage("too early")).toEqual([]);
    expect(device.ping()).toEqual([]);
    expect(device.willTopic("w")).toEqual(["WILLMSGREQ"]);
    expect(device.willMessage("gone")).toEqual(["CONNACK code 0"]);
  });

  it("C10 aborts the handshake at DISCONNECT", () => {
    const { world, device } = snWorld();
    const d1 = device();
    d1.connect("d1", { will: true });
    expect(d1.disconnect()).toEqual(["DISCONNECT"]);
    expect(d1.willTopic("w")).toEqual(["DISCONNECT"]);
    expect(world.connects).toEqual([]);
  });

  it("C11 repeats its question N_retry times, then forgets the half-open client", () => {
    const { world, device, wait } = snWorld();
    const d1 = device();
    d1.connect("d1", { will: true });
    for (let repeat = 0; repeat < 3; repeat++) {
      wait(seconds(10));
      expect(d1.hear()).toEqual(["WILLTOPICREQ"]);
    }
    wait(seconds(10));
    expect(d1.hear()).toEqual(["DISCONNECT"]);
    wait(seconds(100));
    expect(d1.hear()).toEqual([]);
    expect(world.connects).toEqual([]);
  });

  it("C12 does not supervise keep-alive 0, but forgets after the idle limit", () => {
    const { device, wait, world } = snWorld({ idleTimeout: "1h" });
    const d1 = device();
    d1.connect("d1", { keepAlive: 0 });
    wait(seconds(3599));
    expect(d1.hear()).toEqual([]);
    expect(d1.ping()).toEqual(["PINGRESP"]);
    wait(seconds(3601));
    expect(d1.hear()).toEqual(["DISCONNECT"]);
    expect(world.disconnects).toHaveLength(1);
  });

  it("C13 says CONNACK only when the session exists: the client can publish at once", () => {
    const { world, device } = snWorld();
    const heard = world.listen("ab");
    const d1 = device();
    expect(d1.connect("d1")).toEqual(["CONNACK code 0"]);
    expect(d1.publish(0x6162, "x", { qos: 1, type: 2 })).toEqual([`PUBACK ${0x6162} #1 code 0`]);
    expect(heard).toHaveLength(1);
  });

  it("C13 waits for a slow authentication before CONNACK", async () => {
    let allow = (): void => {};
    const { world, device } = snWorld(
      {},
      {},
      {
        authenticate: (request, peer) =>
          new Promise((resolve) => {
            allow = () =>
              resolve({
                ok: true,
                identity: {
                  gateway: "mqtt-sn",
                  listener: "test",
                  clientId: request.clientId,
                  username: undefined,
                  endpointName: undefined,
                  peer,
                  superuser: false,
                  expiresAt: Number.POSITIVE_INFINITY as never,
                },
              });
          }),
      },
    );
    const d1 = device();
    expect(d1.connect("d1")).toEqual([]);
    expect(d1.connect("d1")).toEqual([]);
    allow();
    await new Promise((resolve) => setImmediate(resolve));
    world.settle();
    expect(d1.hear()).toEqual(["CONNACK code 0"]);
  });
});

describe("MQTT-SN 1.2 §6.3, clean session", () => {
  const withSession = () => {
    const made = snWorld();
    const d1 = made.device();
    d1.connect("d1", { clean: false, will: true });
    d1.willTopic("will", 1, true);
    d1.willMessage("first");
    d1.subscribe("a/b", 1);
    return { ...made, d1 };
  };
  const silence = seconds(200);

  it("clean=1, will=1 deletes subscriptions and will data and prompts", () => {
    const { world, d1, wait } = withSession();
    const wills = world.listen("#");
    d1.disconnect();
    expect(d1.connect("d1", { clean: true, will: true })).toEqual(["WILLTOPICREQ"]);
    d1.willTopic("other");
    d1.willMessage("second");
    world.publish("a/b", "x", { qos: 1 });
    expect(d1.hear()).toEqual([]);
    wait(silence);
    expect(wills.map((each) => each.topic)).toEqual(["a/b", "other"]);
  });

  it("clean=1, will=0 deletes subscriptions and will data", () => {
    const { world, d1, wait } = withSession();
    d1.disconnect();
    expect(d1.connect("d1", { clean: true })).toEqual(["CONNACK code 0"]);
    const wills = world.listen("#");
    wait(silence);
    expect(wills).toEqual([]);
    expect(d1.hear()).toEqual(["DISCONNECT"]);
    world.publish("a/b", "x", { qos: 1 });
    expect(d1.connect("d1", { clean: false })).toEqual(["CONNACK code 0"]);
  });

  it("clean=0, will=1 keeps all and replaces the will", () => {
    const { world, d1, wait } = withSession();
    const wills = world.listen("#");
    d1.disconnect();
    expect(d1.connect("d1", { clean: false, will: true })).toEqual(["WILLTOPICREQ"]);
    d1.willTopic("other");
    expect(d1.willMessage("second")).toEqual(["CONNACK code 0"]);
    world.publish("a/b", "x", { qos: 1 });
    expect(d1.hear()).toEqual(['REGISTER 1 #1 "a/b"']);
    wait(silence);
    expect(wills.map((each) => each.topic)).toEqual(["a/b", "other"]);
  });

  it("clean=0, will=1 and an empty WILLTOPIC deletes the will alone", () => {
    const { world, d1, wait } = withSession();
    const wills = world.listen("will");
    d1.disconnect();
    d1.connect("d1", { clean: false, will: true });
    expect(d1.willTopic(undefined)).toEqual(["CONNACK code 0"]);
    world.publish("a/b", "x", { qos: 1 });
    expect(d1.hear()).toEqual(['REGISTER 1 #1 "a/b"']);
    wait(silence);
    expect(wills).toEqual([]);
  });

  it("clean=0, will=0 keeps all, the will too", () => {
    const { world, d1, wait } = withSession();
    const wills = world.listen("will");
    d1.disconnect();
    expect(d1.connect("d1", { clean: false })).toEqual(["CONNACK code 0"]);
    wait(silence);
    expect(wills.map((each) => [new TextDecoder().decode(each.payload), each.qos, each.retain])).toEqual([
      ["first", 1, true],
    ]);
  });

  it("W1 keeps topic ids over a reconnect, and announces each before it uses it (§6.5)", () => {
    const { world, d1 } = withSession();
    d1.register("up/x", 5);
    d1.disconnect();
    d1.connect("d1", { clean: false });
    const heard = world.listen("up/x");
    expect(d1.publish(2, "still known", { qos: 1 })).toEqual(["PUBACK 2 #1 code 0"]);
    expect(heard).toHaveLength(1);
    world.publish("a/b", "x", { qos: 1 });
    expect(d1.hear()).toEqual(['REGISTER 1 #1 "a/b"']);
  });

  it("W1 forgets topic ids and queue with a clean session", () => {
    const { world, d1 } = withSession();
    d1.disconnect();
    world.publish("a/b", "queued", { qos: 1 });
    d1.connect("d1", { clean: true });
    expect(d1.hear()).toEqual([]);
    expect(d1.publish(1, "x", { qos: 1 })).toEqual(["PUBACK 1 #1 code 2"]);
  });

  it("W2 keeps a persistent session over DISCONNECT, and ends one that began clean", () => {
    const { world, device } = snWorld();
    const d1 = device(1);
    d1.connect("d1", { clean: true });
    d1.subscribe("a/b", 1);
    d1.disconnect();
    d1.connect("d1", { clean: false });
    world.publish("a/b", "x", { qos: 1 });
    expect(d1.hear()).toEqual([]);
    expect(world.sessions.count).toBe(1);
  });
});
