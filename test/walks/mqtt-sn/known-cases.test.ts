/** Cases of a widely used gateway's own suite that the walks beside this one do not name already. */
import { describe, expect, it } from "vitest";
import { snWorld } from "../../support/mqtt-sn-device.ts";

const AB = 0x6162;

describe("known cases: connect, policy", () => {
  it("t_duplicate_connect: the specification lets a client connect at any time, and keeps the session (§6.3)", () => {
    const { world, device } = snWorld();
    const d1 = device();
    d1.connect("d1", { clean: false });
    d1.subscribe("a/b", 1);
    expect(d1.connect("d1", { clean: false })).toEqual(["CONNACK code 0"]);
    world.publish("a/b", "x", { qos: 1 });
    expect(d1.hear()).toEqual(['REGISTER 1 #1 "a/b"']);
  });

  it("t_pub_sub_allowed_by_ipaddr_rule: rules may look at the device's address", () => {
    const { world, device } = snWorld(
      {},
      {},
      {
        mayPublish: ({ peer }) => peer.address === "10.0.0.1",
        maySubscribe: ({ peer }) => peer.address === "10.0.0.1",
      },
    );
    const heard = world.listen("ab");
    const [inside, outside] = [device(1, "10.0.0.1"), device(1, "10.0.0.2")];
    for (const [d, id] of [
      [inside, "in"],
      [outside, "out"],
    ] as const) {
      d.connect(id);
      d.publish(AB, id, { qos: 1, type: 2 });
    }
    expect(heard.map((each) => each.publisher)).toEqual(["mqtt-sn:in"]);
    expect(inside.subscribe("x")).toEqual(["SUBACK 1 #1 qos0 code 0"]);
    expect(outside.subscribe("x")).toEqual(["SUBACK 0 #1 qos0 code 3"]);
  });

  it("t_clients_api_complex_id: a client id may be any text", () => {
    const { world, device } = snWorld();
    for (const [port, id] of ["a/b#+", "名前 ☂", " \t", "%c"].entries()) {
      const d = device(port + 1).asleep(id, `to/${port}`);
      world.publish(`to/${port}`, "x", { qos: 1 });
      expect(d.move(port + 100).ping(id)).toEqual(['PUBLISH 1 #1 qos1 "x"']);
    }
  });
});

describe("known cases: subscribe and publish", () => {
  const pre = { predefinedTopics: [{ id: 1, topic: "pre/1" }] };

  it("case02: a predefined name that was registered, subscribed and unsubscribed by its predefined id", () => {
    const { world, device } = snWorld(pre);
    const d1 = device();
    d1.connect("d1");
    expect(d1.register("pre/1")).toEqual(["REGACK 1 #1 code 0"]);
    expect(d1.subscribe(1, 0, 1)).toEqual(["SUBACK 1 #1 qos0 code 0"]);
    world.publish("pre/1", "x");
    expect(d1.hear()).toEqual(['PUBLISH predefined 1 qos0 "x"']);
    expect(d1.unsubscribe(1, 1)).toEqual(["UNSUBACK #1"]);
    world.publish("pre/1", "x");
    expect(d1.hear()).toEqual([]);
  });

  it("case05: wildcards get id 0 and plain names rising ids", () => {
    const d1 = snWorld().device();
    d1.connect("d1");
    expect(
      ["a/#", "a/b", "+/c", "a/c", "#", "a/d"].map((filter) => d1.subscribe(filter)[0]?.split(" ")[1]),
    ).toEqual(["0", "1", "0", "2", "0", "3"]);
  });

  it("t_subscribe_predefined_topic: a known id, then an unknown one, and both unsubscribed", () => {
    const d1 = snWorld(pre).device();
    d1.connect("d1");
    expect(d1.subscribe(1, 1, 1)).toEqual(["SUBACK 1 #1 qos1 code 0"]);
    expect(d1.subscribe(2, 1, 1)).toEqual(["SUBACK 0 #1 qos0 code 2"]);
    expect(d1.unsubscribe(1, 1)).toEqual(["UNSUBACK #1"]);
    expect(d1.unsubscribe(2, 1)).toEqual(["UNSUBACK #1"]);
  });

  it.each([
    ["normal", 0, 1],
    ["predefined", 1, 1],
    ["short", 2, AB],
  ] as const)("qos0, qos1, qos2: a %s topic comes back to a subscriber of it", (form, type, id) => {
    const { device } = snWorld(pre);
    const d1 = device();
    d1.connect("d1");
    d1.register("any/name");
    if (form === "normal") d1.subscribe("any/name", 2);
    else d1.subscribe(id, 2, type);
    const shown = { normal: "1", predefined: "predefined 1", short: "short ab" }[form];
    expect(d1.publish(id, "0", { type })).toEqual([`PUBLISH ${shown} qos0 "0"`]);
    expect(d1.publish(id, "1", { type, qos: 1, id: 7 })).toEqual([
      `PUBACK ${id} #7 code 0`,
      `PUBLISH ${shown} #1 qos1 "1"`,
    ]);
    d1.puback(id, 1);
    expect(d1.publish(id, "2", { type, qos: 2, id: 8 })).toEqual([
      "PUBREC #8",
      `PUBLISH ${shown} #2 qos2 "2"`,
    ]);
    expect(d1.pubrel(8)).toEqual(["PUBCOMP #8"]);
    expect(d1.pubrec(2)).toEqual(["PUBREL #2"]);
    expect(d1.pubcomp(2)).toEqual([]);
  });

  it("qos0_case05: a wildcard subscriber gets a two-octet topic as a short name", () => {
    const d1 = snWorld().device();
    d1.connect("d1");
    d1.subscribe("#");
    expect(d1.publish(AB, "x", { type: 2 })).toEqual(['PUBLISH short ab qos0 "x"']);
  });

  it("qos0_case3: a topic of slashes is a topic", () => {
    const { world, device } = snWorld();
    const heard = world.listen("#");
    const d1 = device();
    d1.connect("d1");
    d1.register("/");
    d1.publish(1, "x");
    d1.publish(0x2f2f, "x", { type: 2 });
    expect(heard.map((each) => each.topic)).toEqual(["/", "//"]);
  });
});

describe("known cases: addresses", () => {
  it("t_disconnected_same_*: after DISCONNECT the same client comes back, or another one, and the session stays", () => {
    const { world, device } = snWorld();
    const here = device(1);
    here.connect("d1", { clean: false });
    here.subscribe("a/b", 1);
    here.disconnect();
    world.publish("a/b", "1", { qos: 1 });
    expect(here.connect("d2")).toEqual(["CONNACK code 0"]);
    expect(device(2).connect("d1", { clean: false })).toEqual(["CONNACK code 0", 'REGISTER 1 #1 "a/b"']);
    here.disconnect();
    expect(here.connect("d1", { clean: false })).toEqual(["CONNACK code 0", 'REGISTER 1 #1 "a/b"']);
  });

  it("awake_same_source_tuple_reused: another client takes the port in the middle of a flush, and nothing is lost", () => {
    const { world, device } = snWorld();
    const d1 = device(1).asleep("d1", "a/b");
    for (const payload of ["1", "2"]) world.publish("a/b", payload, { qos: 1 });
    expect(d1.ping("d1")).toEqual(['PUBLISH 1 #1 qos1 "1"']);
    const other = device(1);
    expect(other.connect("d2")).toEqual(["CONNACK code 0"]);
    expect(other.hear()).toEqual([]);
    d1.move(2);
    expect(d1.ping("d1")).toEqual(['REGISTER 1 #1 "a/b"']);
    expect(d1.regack(1, 1)).toEqual(['PUBLISH 1 #1 qos1 dup "1"']);
    expect(d1.puback(1, 1)).toEqual(['PUBLISH 1 #2 qos1 "2"']);
    expect(d1.puback(1, 2)).toEqual(["PINGRESP"]);
  });

  it("t_connected_*: PINGREQ with the id of a connected client from another port moves nothing", () => {
    const { world, device } = snWorld();
    const d1 = device(1);
    d1.connect("d1");
    d1.subscribe("a/b");
    expect(device(2).ping("d1")).toEqual(["DISCONNECT"]);
    world.publish("a/b", "x");
    expect(d1.hear()).toEqual(['PUBLISH 1 qos0 "x"']);
  });

  it("awake_test01, 02: awake, DISCONNECT is disconnected and CONNECT is active", () => {
    const { world, device } = snWorld();
    const d1 = device(1).asleep("d1", "a/b");
    world.publish("a/b", "1", { qos: 1 });
    d1.ping("d1");
    expect(d1.connect("d1", { clean: false })[0]).toBe("CONNACK code 0");
    d1.puback(1, 1);
    expect(d1.disconnect()).toEqual(["DISCONNECT"]);
    expect(world.sessions.connected).toBe(0);
  });
});
