/** Acknowledgements that promise something of a session which outlives its connection: each waits for the store. */
import { describe, expect, it } from "vitest";
import { commitWhenTold } from "../../support/commit-when-told.ts";
import { type SnDevice, snWorld } from "../../support/mqtt-sn-device.ts";

function held(config = {}) {
  const store = commitWhenTold();
  const { world, device } = snWorld(config, { commits: store.commits });
  /** What comes when everything written so far is committed, or could not be. */
  const commit = (who: SnDevice): string[] => {
    store.commitAll();
    world.settle();
    return who.hear();
  };
  const fail = (who: SnDevice): string[] => {
    store.failAll();
    world.settle();
    return who.hear();
  };
  const connected = (): SnDevice => {
    const d1 = device();
    expect(d1.connect("d1", { clean: false })).toEqual([]);
    expect(commit(d1)).toEqual(["CONNACK code 0"]);
    return d1;
  };
  return { world, device, commit, fail, connected };
}

describe("while the store has not committed", () => {
  it("CONNACK waits, and a CONNECT that comes again with it", () => {
    const { device, commit } = held();
    const d1 = device();
    expect(d1.connect("d1", { clean: false })).toEqual([]);
    expect(d1.connect("d1", { clean: false })).toEqual([]);
    expect(commit(d1)).toEqual(["CONNACK code 0"]);
    expect(d1.connect("d1", { clean: false })).toEqual(["CONNACK code 0"]);
  });

  it("a clean session waits for nothing", () => {
    const { device } = held();
    const d1 = device();
    expect(d1.connect("d1", { clean: true })).toEqual(["CONNACK code 0"]);
    expect(d1.register("a/b", 7)).toEqual(["REGACK 1 #7 code 0"]);
    expect(d1.pubrel(9)).toEqual(["PUBCOMP #9"]);
  });

  it("REGACK waits: after a crash the id must not mean another topic", () => {
    const { commit, connected } = held();
    const d1 = connected();
    expect(d1.register("a/b", 7)).toEqual([]);
    expect(commit(d1)).toEqual(["REGACK 1 #7 code 0"]);
  });

  it("SUBACK waits, and UNSUBACK", () => {
    const { commit, connected } = held();
    const d1 = connected();
    expect(d1.subscribe("a/b", 1, 0, 6)).toEqual([]);
    expect(commit(d1)).toEqual(["SUBACK 1 #6 qos1 code 0"]);
    expect(d1.unsubscribe("a/b", 0, 7)).toEqual([]);
    expect(commit(d1)).toEqual(["UNSUBACK #7"]);
  });

  it("PUBREC waits, also of a repeat from another address, and then PUBCOMP", () => {
    const { world, device, commit, connected } = held();
    const heard = world.listen("#");
    const d1 = connected();
    expect(d1.publish(0x6162, "x", { qos: 2, id: 5, type: 2 })).toEqual([]);
    const moved = device(20_000);
    moved.connect("d1", { clean: false });
    expect(commit(moved)).toEqual(["CONNACK code 0"]);
    expect(moved.publish(0x6162, "x", { qos: 2, id: 5, type: 2, dup: true })).toEqual([]);
    expect(commit(moved)).toEqual(["PUBREC #5"]);
    expect(moved.pubrel(5)).toEqual([]);
    expect(commit(moved)).toEqual(["PUBCOMP #5"]);
    expect(heard).toHaveLength(1);
  });

  it("DISCONNECT with a duration waits: the device is known when it wakes", () => {
    const { commit, connected } = held();
    const d1 = connected();
    expect(d1.disconnect(3600)).toEqual([]);
    expect(commit(d1)).toEqual(["DISCONNECT"]);
  });

  it("a new will is acknowledged when it is kept", () => {
    const { commit, connected } = held();
    const d1 = connected();
    expect(d1.willTopic("w", 1, false, true)).toEqual([]);
    expect(commit(d1)).toEqual(["WILLTOPICRESP code 0"]);
    expect(d1.willMessage("gone", true)).toEqual([]);
    expect(commit(d1)).toEqual(["WILLMSGRESP code 0"]);
  });
});

describe("when a commit fails", () => {
  it("a client is let in all the same, and hears nothing of what it asked for but gets it when it asks again", () => {
    const { device, commit, fail } = held();
    const d1 = device();
    d1.connect("d1", { clean: false });
    expect(fail(d1)).toEqual(["CONNACK code 0"]);
    d1.register("a/b", 7);
    expect(fail(d1)).toEqual([]);
    d1.register("a/b", 7);
    expect(commit(d1)).toEqual(["REGACK 1 #7 code 0"]);
  });

  it("no more answers are due than inboundMax says", () => {
    const { commit, connected } = held({ inboundMax: 2 });
    const d1 = connected();
    for (const id of [1, 2, 3]) expect(d1.pubrel(id)).toEqual([]);
    expect(commit(d1).sort()).toEqual(["PUBCOMP #1", "PUBCOMP #2"]);
  });
});
