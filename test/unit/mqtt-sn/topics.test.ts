import { describe, expect, it } from "vitest";
import { PredefinedTopics, shortTopic, shortTopicId, Topics } from "#gateways/mqtt-sn/topics.ts";

describe("normal topic ids (MQTT-SN 1.2 §6.5)", () => {
  it("F7 go from 1 to 65,534 and no further", () => {
    const topics = new Topics(Array.from({ length: 65_533 }, (_, index) => `t${index}`));
    expect(topics.assign("last", 100_000)).toBe(0xfffe);
    expect(topics.assign("one too many", 100_000)).toBe(0);
    expect(topics.assign("t0", 100_000)).toBe(1);
  });

  it("keep for each what the client knows, however many there are", () => {
    const topics = new Topics();
    for (let index = 1; index <= 200; index++) expect(topics.assign(`t${index}`, 200)).toBe(index);
    for (let id = 1; id <= 200; id++) {
      if (id % 3 === 0) topics.learnt(id);
      if (id % 3 === 1) topics.refused(id);
    }
    for (let id = 1; id <= 200; id++) {
      expect([topics.isKnown(id), topics.isRefused(id)]).toEqual([id % 3 === 0, id % 3 === 1]);
    }
    topics.forgotten(3);
    expect(topics.isKnown(3)).toBe(false);
    topics.forgetAll();
    expect([topics.isKnown(6), topics.isKnown(198), topics.nameOf(198)]).toEqual([false, false, "t198"]);
  });

  it("take no notice of ids that were never given", () => {
    const topics = new Topics(["a"]);
    for (const id of [0, 2, 0xffff]) topics.learnt(id);
    expect([topics.isKnown(0), topics.isKnown(2), topics.nameOf(0), topics.nameOf(2)]).toEqual([
      false,
      false,
      undefined,
      undefined,
    ]);
  });
});

describe("short topic names (MQTT-SN 1.2 §6.7)", () => {
  it("are any two octets that make a topic, and back", () => {
    for (const name of ["ab", "//", "$a", "é", "߿"]) expect(shortTopic(shortTopicId(name))).toBe(name);
  });
  it("are no names of another length in octets", () => {
    for (const name of ["", "a", "abc", "éa", "☂"]) expect(shortTopicId(name)).toBe(0);
  });
  it("have no wildcards, no NUL, and are UTF-8", () => {
    for (const id of [0x6123, 0x2b61, 0x0061, 0x2300, 0xc300, 0xc328, 0x61c3, 0xffff])
      expect(shortTopic(id)).toBeUndefined();
  });
  it("of one octet are filled up with NUL by clients that call them short", () => {
    expect(shortTopic(0x6100)).toBe("a");
  });
});

describe("predefined topic ids (MQTT-SN 1.2 §6.7)", () => {
  const topics = new PredefinedTopics([
    { id: 1, topic: "all/1" },
    { id: 2, topic: "all/2" },
    { id: 1, topic: "own/1", client: "d1" },
  ]);
  it("are a client's own before everybody's", () => {
    expect([topics.nameOf(1, "d1"), topics.nameOf(1, "d2"), topics.nameOf(2, "d1")]).toEqual([
      "own/1",
      "all/1",
      "all/2",
    ]);
  });
  it("never stand for two names with one client", () => {
    expect([topics.idOf("all/1", "d1"), topics.idOf("own/1", "d1"), topics.idOf("all/1", "d2")]).toEqual([
      0, 1, 1,
    ]);
    expect(topics.idOf("unknown", "d1")).toBe(0);
  });
});
