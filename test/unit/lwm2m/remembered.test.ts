import { describe, expect, it } from "vitest";
import type { Peer } from "#core/contract/peer.ts";
import { Deadlines } from "#core/drive/deadlines.ts";
import { utf8 } from "#core/lib/bytes.ts";
import { type Instant, seconds } from "#core/lib/time.ts";
import {
  movedRegistration,
  recall,
  withoutRegistration,
  withRegistration,
} from "#gateways/lwm2m/registration/memo.ts";
import { formatObjectList, ObjectLists, parseObjectList } from "#gateways/lwm2m/registration/object-list.ts";
import { RememberedRegistrations } from "#gateways/lwm2m/registration/remembered.ts";

const lists = new ObjectLists(10);
const from = (fields: Partial<Peer> = {}): Peer => ({
  transport: "udp",
  address: "10.0.0.1",
  port: 5000,
  ...fields,
});

function memoOf(location: string, renewedAt: number, peer: Peer = from()): string {
  const list = parseObjectList(utf8("</3/0>"));
  if (list === undefined) throw new Error("no list");
  const registration = {
    ...{ ep: location, lt: 60, version: "1.1", lwm2m: "1.1", b: "U", queueMode: false },
    ...{ list, custom: {} },
  };
  return withRegistration(undefined, {
    location,
    username: "u",
    renewedAt: renewedAt as Instant,
    peer,
    registration,
  });
}

const alarms = new Deadlines(0 as Instant);
const ended: string[] = [];
const remembering = (...memos: unknown[]) =>
  new RememberedRegistrations(
    memos.map((memo, index) => ({ clientId: `c${index}`, memo })),
    lists,
    (lt) => seconds(lt),
    alarms,
    ({ location }) => ended.push(location),
  );

const at = (ms: number) => ms as Instant;

describe("registrations from before a restart", () => {
  it("are found by location and by address, once", () => {
    const remembered = remembering(memoOf("one", 0));
    expect(remembered.at("one", from({ port: 9 }), "anywhere", at(1))?.clientId).toBe("c0");
    expect(remembered.from(from(), at(1))?.registration.ep).toBe("one");
    remembered.forget("c0");
    expect(remembered.at("one", from(), "anywhere", at(1))).toBeUndefined();
    expect(remembered.isFrom("10.0.0.1", 5000)).toBe(false);
  });

  it.each([
    ["another identity", from({ identity: "mallory" })],
    ["no identity where one was proven", from()],
    ["another transport", from({ transport: "tcp", identity: "meter" })],
  ])("are nobody's for %s, wherever it sends from", (_what, sender) => {
    const remembered = remembering(memoOf("one", 0, from({ identity: "meter" })));
    expect(remembered.at("one", sender, "anywhere", at(1))).toBeUndefined();
    expect(remembered.from(sender, at(1))).toBeUndefined();
    expect(remembered.at("one", from({ identity: "meter" }), "never", at(1))).toBeDefined();
  });

  it("end as much later as the clock was set forward, and stay as they are where they say no time", () => {
    const remembered = remembering(movedRegistration(memoOf("one", 0), seconds(1000)));
    expect(remembered.at("one", from(), "anywhere", at(1_059_999))).toBeDefined();
    expect(remembered.at("one", from(), "anywhere", at(1_060_000))).toBeUndefined();
    expect(movedRegistration(undefined, seconds(1000))).toBeUndefined();
    expect(movedRegistration({ topics: [] }, seconds(1000))).toEqual({ topics: [] });
  });

  it("end with their lifetimes, are nobody's then, and are told of once", () => {
    const remembered = remembering(memoOf("later", 50_000), memoOf("sooner", 0));
    remembered.watch(at(0));
    expect(remembered.at("sooner", from(), "anywhere", at(59_999))).toBeDefined();
    expect(remembered.at("sooner", from(), "anywhere", at(60_000))).toBeUndefined();
    expect(remembered.from(from(), at(110_000))).toBeUndefined();
    alarms.advance(at(59_999));
    expect(ended.splice(0)).toEqual([]);
    alarms.advance(at(60_000));
    expect(ended.splice(0)).toEqual(["sooner"]);
    expect(remembered.size).toBe(1);
    alarms.advance(at(200_000));
    expect(ended.splice(0)).toEqual(["later"]);
    expect(remembered.size).toBe(0);
  });

  it("that ended before the watch begins are told of one by one, and not at all when they are here again", () => {
    const remembered = remembering(memoOf("a", 0), memoOf("b", 0), memoOf("c", 0));
    remembered.watch(at(300_000));
    remembered.forget("c1");
    alarms.advance(at(299_999));
    expect(ended.splice(0)).toEqual([]);
    alarms.advance(at(300_001));
    expect(ended.splice(0)).toEqual(["a"]);
    alarms.advance(at(300_010));
    expect(ended.splice(0)).toEqual(["c"]);
  });

  it("of lost connections are found by location, whatever the address, and by no address", () => {
    const one = remembering(memoOf("one", 400_000)).at("one", from(), "anywhere", at(400_001));
    const remembered = remembering();
    remembered.add(one as NonNullable<typeof one>);
    expect(remembered.isFrom("10.0.0.1", 5000)).toBe(false);
    expect(remembered.from(from(), at(400_001))).toBeUndefined();
    expect(remembered.at("one", from({ port: 9 }), "anywhere", at(400_001))?.clientId).toBe("c0");
    remembered.add(one as NonNullable<typeof one>);
    expect(remembered.size).toBe(1);
    alarms.advance(at(460_001));
    expect(ended.splice(0)).toEqual(["one"]);
  });

  it("of two at one address the one renewed last speaks for it", () => {
    const remembered = remembering(memoOf("new", 20), memoOf("old", 10));
    expect(remembered.from(from(), at(30))?.location).toBe("new");
  });

  it.each([
    ["nothing", undefined],
    ["of another format", JSON.stringify({ format: 2, registration: {} })],
    ["of before, without a registration", JSON.stringify({ format: 1, observations: [] })],
    ["with fields missing", JSON.stringify({ format: 1, registration: { custom: {}, objects: "" } })],
    ["no JSON", "{"],
    ["no text", { format: 1 }],
  ])("a memo that is %s is passed over", (_what, memo) => {
    expect(remembering(memo).size).toBe(0);
  });
});

describe("the memo", () => {
  it("of a registration that ended keeps the observations, or is nothing", () => {
    const observations = [{ paths: ["/3/0/9"], query: [], echo: { reqID: 1 }, automatic: false }];
    const before = JSON.stringify({ format: 1, observations });
    const both = JSON.parse(memoOf("one", 0)) as object;
    const ended = withoutRegistration(JSON.stringify({ ...both, observations }));
    expect(JSON.parse(ended as string)).toEqual(JSON.parse(before));
    expect(recall(ended).observations).toHaveLength(1);
    expect(withoutRegistration(memoOf("one", 0))).toBeUndefined();
  });
});

describe("an object list written down", () => {
  it.each([
    "",
    "</1/0>,</3/0>",
    '</1>;ver=1.1,</1/0>,</2>,</3303>;ver="1.0"',
    '</lwm2m>;rt="oma.lwm2m";ct="110 11542",</lwm2m/1/0>,</lwm2m/3/0>;ver=1.2',
    '</1>;rt="oma.lwm2m",</1/1/0>,</1/3/0>',
    '</>;rt="oma.lwm2m";ct=110,</3/0>',
  ])("is read as the same one: %s", (links) => {
    const list = parseObjectList(utf8(links));
    if (list === undefined) throw new Error("not readable");
    expect(parseObjectList(utf8(formatObjectList(list)))).toEqual(list);
  });
});
