/** Which sessions are suspected of being sent nothing, of what, and for how long. */
import { describe, expect, it } from "vitest";
import type { SubscribeOptions } from "#core/contract/client.ts";
import { Deadlines } from "#core/drive/deadlines.ts";
import { after, type Duration, type Instant, milliseconds, minutes, seconds } from "#core/lib/time.ts";
import { Deafness, type Listener } from "#core/upstream/deafness.ts";

const PATIENCE = seconds(30);
const BEGIN = 1_000_000 as Instant;

class Session implements Listener {
  readonly subscriptions: [filter: string, options: SubscribeOptions][];
  listens = true;
  heard = 0;
  readonly deaf: string[] = [];

  constructor(...subscriptions: (readonly [filter: string, options?: Partial<SubscribeOptions>])[]) {
    this.subscriptions = subscriptions.map(([filter, options]) => [filter, { qos: 1, ...options }]);
  }

  mounted(filter: string): string {
    return `site/${filter}`;
  }

  hears(): void {
    this.heard++;
  }

  deafTo(topic: string): void {
    this.deaf.push(topic);
  }
}

class Suspecting {
  readonly #deadlines = new Deadlines(BEGIN);
  readonly deafness = new Deafness(this.#deadlines, PATIENCE);
  now = BEGIN;

  constructor(...sessions: Session[]) {
    for (const session of sessions) this.deafness.suspect(session, this.now);
  }

  /** A server has acknowledged it. */
  taken(topic: string): void {
    this.deafness.taken(topic, this.now);
  }

  heard(session: Session, topic: string): void {
    this.deafness.heard(session, topic, this.now);
  }

  wait(length: Duration): void {
    this.now = after(this.now, length);
    this.#deadlines.advance(this.now);
  }

  get alarms(): number {
    return this.#deadlines.armed;
  }
}

describe("a session is suspected", () => {
  it("of what its filters match as they are at the server, with its patience for each", () => {
    const session = new Session(["a/+"]);
    const cluster = new Suspecting(session);
    cluster.taken("a/b");
    cluster.wait(minutes(1));
    expect(session.deaf).toEqual([]);
    cluster.taken("site/a/b");
    cluster.wait((PATIENCE - 1) as Duration);
    expect(session.deaf).toEqual([]);
    cluster.wait(milliseconds(1));
    expect([session.deaf, cluster.deafness.suspects]).toEqual([["site/a/b"], false]);
  });

  it.each([
    ["of QoS 0, which may be lost", ["a", { qos: 0 }]],
    ["without its own messages, for it may have sent that one (MQTT 5 §3.8.3.1)", ["a", { noLocal: true }]],
    ["that is shared, for another member may have it (MQTT 5 §4.8.2)", ["$share/g/a", {}]],
  ] as const)("not by a filter %s", (_what, subscription) => {
    const cluster = new Suspecting(new Session(subscription));
    expect(cluster.deafness.suspects).toBe(false);
  });

  it("only while it listens: when the message is taken, and still when it should have come", () => {
    const session = new Session(["a"]);
    const cluster = new Suspecting(session);
    session.listens = false;
    cluster.taken("site/a");
    expect(cluster.alarms).toBe(0);
    session.listens = true;
    cluster.wait(seconds(1));
    cluster.taken("site/a");
    session.listens = false;
    cluster.wait(minutes(1));
    expect([session.deaf, cluster.deafness.suspects]).toEqual([[], true]);
    // And of the next one again.
    session.listens = true;
    cluster.taken("site/a");
    cluster.wait(PATIENCE);
    expect(session.deaf).toEqual(["site/a"]);
  });

  it("of one message at a time: it is the first that counts", () => {
    const session = new Session(["a"], ["b"]);
    const cluster = new Suspecting(session);
    cluster.taken("site/a");
    cluster.wait(seconds(20));
    cluster.taken("site/b");
    cluster.wait(seconds(10));
    expect([session.deaf, cluster.alarms]).toEqual([["site/a"], 0]);
  });

  it("for ten minutes", () => {
    const session = new Session(["a"]);
    const cluster = new Suspecting(session);
    cluster.wait((minutes(10) - 1) as Duration);
    cluster.taken("site/b");
    expect(cluster.deafness.suspects).toBe(true);
    cluster.wait(seconds(1));
    cluster.taken("site/a");
    cluster.wait(minutes(1));
    expect([cluster.deafness.suspects, session.deaf]).toEqual([false, []]);
  });

  it("anew, as it is then, when its connection breaks again", () => {
    const session = new Session(["a"]);
    const cluster = new Suspecting(session);
    cluster.taken("site/a");
    cluster.wait(seconds(20));
    cluster.deafness.suspect(session, cluster.now);
    cluster.wait(seconds(20));
    expect([session.deaf, cluster.deafness.suspects]).toEqual([[], true]);
    session.subscriptions.pop();
    cluster.deafness.suspect(session, cluster.now);
    expect(cluster.deafness.suspects).toBe(false);
  });

  it("not any more when it is gone, whatever was to come", () => {
    const session = new Session(["a"]);
    const cluster = new Suspecting(session);
    cluster.taken("site/a");
    cluster.deafness.acquit(session);
    expect([cluster.alarms, cluster.deafness.suspects]).toEqual([0, false]);
  });

  it("with no more than 1,000 others", () => {
    const many = Array.from({ length: 1_001 }, () => new Session(["a"]));
    const cluster = new Suspecting(...many);
    cluster.taken("site/a");
    cluster.wait(PATIENCE);
    expect(many.map(({ deaf }) => deaf.length).lastIndexOf(1)).toBe(999);
  });
});

describe("one message in 100 ms is looked at", () => {
  it("for all sessions that it should reach", () => {
    const sessions = [new Session(["a"]), new Session(["#"]), new Session(["b"])];
    const cluster = new Suspecting(...sessions);
    cluster.taken("site/a");
    cluster.wait(milliseconds(99));
    cluster.taken("site/b");
    expect(cluster.alarms).toBe(2);
    cluster.wait(milliseconds(1));
    cluster.taken("site/b");
    expect(cluster.alarms).toBe(3);
  });
});

describe("what comes acquits it", () => {
  it("where by each of its filters something has come", () => {
    const session = new Session(["a"], ["b/#"]);
    const cluster = new Suspecting(session);
    cluster.heard(session, "site/c");
    cluster.heard(session, "site/b/x");
    expect([session.heard, cluster.deafness.suspects]).toEqual([0, true]);
    cluster.heard(session, "site/a");
    expect([session.heard, cluster.deafness.suspects]).toEqual([1, false]);
  });

  it("of the message that it was waited for; of what its other filters should bring it is suspected still", () => {
    const session = new Session(["a"], ["b"]);
    const cluster = new Suspecting(session);
    cluster.taken("site/a");
    cluster.heard(session, "site/a");
    expect(cluster.alarms).toBe(0);
    cluster.wait(minutes(1));
    cluster.taken("site/b");
    cluster.wait(PATIENCE);
    expect(session.deaf).toEqual(["site/b"]);
  });

  it("for as long again of a message that waits behind it", () => {
    const session = new Session(["a"], ["b"]);
    const cluster = new Suspecting(session);
    cluster.taken("site/a");
    cluster.wait(seconds(20));
    cluster.heard(session, "site/b");
    cluster.wait(seconds(29));
    expect(session.deaf).toEqual([]);
    cluster.wait(seconds(1));
    expect(session.deaf).toEqual(["site/a"]);
  });

  it("and nobody else", () => {
    const [session, other] = [new Session(["a"]), new Session(["a"])];
    const cluster = new Suspecting(session, other);
    cluster.taken("site/a");
    cluster.heard(session, "site/a");
    cluster.heard(new Session(["a"]), "site/a");
    cluster.wait(PATIENCE);
    expect([session.deaf, other.deaf]).toEqual([[], ["site/a"]]);
  });
});
