/** Acknowledgements that promise something of a durable session: each waits until the store has it. */
import { describe, expect, it } from "vitest";
import { commitWhenTold } from "../../support/commit-when-told.ts";
import { type AnyPacket, type MqttDevice, mqttSite, type Site } from "../../support/mqtt-device.ts";

const DURABLE = { clean: false, properties: { sessionExpiryInterval: 60 } };
const names = (packets: readonly AnyPacket[]): string[] => packets.map(({ cmd }) => String(cmd));

interface Held {
  readonly site: Site;
  /** Everything written so far is committed: what comes of it. */
  commit(device: MqttDevice): string[];
  fail(device: MqttDevice): AnyPacket[];
  connected(clientId: string, version?: 3 | 4 | 5): MqttDevice;
}

function held(config: Parameters<typeof mqttSite>[0] = {}): Held {
  const store = commitWhenTold();
  const site = mqttSite(config, { commits: store.commits });
  const commit = (device: MqttDevice): string[] => {
    store.commitAll();
    site.world.settle();
    return names(device.take());
  };
  return {
    site,
    commit,
    fail(device) {
      store.failAll();
      site.world.settle();
      return device.take();
    },
    connected(clientId, version = 5) {
      const device = site.device(version);
      expect(device.connect(clientId, DURABLE)).toEqual([]);
      expect(commit(device)).toEqual(["connack"]);
      return device;
    },
  };
}

describe("CONNACK", () => {
  it("of a durable session waits for the store, and what is behind CONNECT waits for it", () => {
    const { site, commit } = held();
    const device = site.device(5);
    expect(device.connect("dev", DURABLE)).toEqual([]);
    expect(device.send({ cmd: "pingreq" })).toEqual([]);
    expect(commit(device)).toEqual(["connack", "pingresp"]);
    expect(device.stream.readingPaused).toBe(false);
  });

  it("of a session that ends with its connection waits for nothing", () => {
    const { site } = held();
    expect(names(site.device(5).connect("dev"))).toEqual(["connack"]);
  });

  it("is not overtaken by what waits in the session", () => {
    const { site, commit, connected } = held();
    const before = connected("dev");
    before.subscribe("a", 1);
    expect(commit(before)).toEqual(["suback"]);
    before.stream.end();
    site.world.settle();
    site.world.publish("a", "x", { qos: 1 });
    const device = site.device(5);
    expect(device.connect("dev", DURABLE)).toEqual([]);
    expect(commit(device)).toEqual(["connack", "publish"]);
  });

  it("goes to the connection that has taken the session over, and to no other", () => {
    const { site, commit } = held();
    const [first, second] = [site.device(5), site.device(5)];
    first.connect("dev", DURABLE);
    second.connect("dev", DURABLE);
    expect(commit(second)).toEqual(["connack"]);
    expect(first.take()).toEqual([]);
    expect(first.closed).toBe(true);
  });
});

describe("PUBCOMP", () => {
  it("waits until the packet id is released in the store [MQTT-4.3.3-11]", () => {
    const { commit, connected } = held();
    const device = connected("dev");
    device.publish("a", "x", { qos: 2, messageId: 7 });
    expect(commit(device)).toEqual(["pubrec"]);
    expect(device.send({ cmd: "pubrel", messageId: 7 })).toEqual([]);
    expect(commit(device)).toEqual(["pubcomp"]);
  });

  it("comes when a later try succeeds, if the store could not be written", () => {
    const { commit, fail, connected } = held();
    const device = connected("dev");
    device.publish("a", "x", { qos: 2, messageId: 7 });
    commit(device);
    device.send({ cmd: "pubrel", messageId: 7 });
    expect(fail(device)).toEqual([]);
    expect(fail(device)).toEqual([]);
    expect(commit(device)).toEqual(["pubcomp"]);
  });

  it("is due for no more PUBREL than Receive Maximum, while the store is slow", () => {
    const { commit, connected } = held({ receiveMaximum: 2 });
    const device = connected("dev", 4);
    for (const messageId of [1, 2, 3]) device.send({ cmd: "pubrel", messageId });
    expect(device.stream.readingPaused).toBe(true);
    expect(commit(device)).toEqual(["pubcomp", "pubcomp"]);
    expect(device.stream.readingPaused).toBe(false);
    expect(commit(device)).toEqual(["pubcomp"]);
  });
});

describe("PUBREC", () => {
  it("of a publish repeated on a new connection waits for the store as the first one did", () => {
    const { site, commit, connected } = held();
    const heard = site.world.listen("a");
    const before = connected("dev");
    before.publish("a", "x", { qos: 2, messageId: 7 });
    before.stream.end();
    site.world.settle();
    const device = connected("dev");
    expect(device.publish("a", "x", { qos: 2, messageId: 7, dup: true })).toEqual([]);
    expect(commit(device)).toEqual(["pubrec"]);
    expect(heard).toHaveLength(1);
  });
});

describe("UNSUBACK", () => {
  it("waits until the subscription is gone from the store", () => {
    const { commit, connected } = held();
    const device = connected("dev");
    device.subscribe("a", 1);
    commit(device);
    expect(device.send({ cmd: "unsubscribe", messageId: 3, unsubscriptions: ["a", "b"] })).toEqual([]);
    expect(commit(device)).toEqual(["unsuback"]);
  });

  it("says that the store could not be written, in MQTT 5", () => {
    const { commit, fail, connected } = held();
    const device = connected("dev");
    device.subscribe("a", 1);
    commit(device);
    device.send({ cmd: "unsubscribe", messageId: 3, unsubscriptions: ["a"] });
    expect(fail(device)).toMatchObject([{ cmd: "unsuback", granted: [0x83] }]);
  });
});
