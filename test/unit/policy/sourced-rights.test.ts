import { describe, expect, it } from "vitest";
import { seconds } from "#core/lib/time.ts";
import type { AuthorizationSource, Decision, Question } from "#core/policy/authorization.ts";
import { ConfiguredPolicy } from "#core/policy/configured-policy.ts";
import type { Identity } from "#core/policy/policy.ts";
import type { AccessRule, AuthorizationSettings } from "#core/policy/settings.ts";
import { HandClock, peerAt, requestOf, settingsWith } from "../../support/policy.ts";

const publish = (topic: string): Question => ({ action: "publish", topic, qos: 0, retain: false });
const subscribe = (topic: string): Question => ({ action: "subscribe", topic, qos: 0, retain: false });
const allow = (topic: string): AccessRule => ({
  permission: "allow",
  who: "all",
  action: "both",
  topics: [topic],
});
const deny = (topic: string): AccessRule => ({ ...allow(topic), permission: "deny" });

/** A source that says what a test wants, and counts how often it is asked. */
class Said implements AuthorizationSource {
  readonly name = "said";
  readonly onError: AuthorizationSource["onError"];
  asked = 0;
  answer: Decision | readonly AccessRule[] | undefined;
  readonly rules: AuthorizationSource["rules"];
  readonly decide: AuthorizationSource["decide"];

  constructor(
    answer: Decision | readonly AccessRule[] | undefined,
    onError: Said["onError"] = "deny",
    kind = "",
  ) {
    this.answer = answer;
    this.onError = onError;
    const give = async <Value>(): Promise<Value> => {
      this.asked++;
      return this.answer as Value;
    };
    if (Array.isArray(answer) || kind === "rules") this.rules = () => give();
    else this.decide = () => give();
  }
}

async function enter(sources: readonly AuthorizationSource[], more: Partial<AuthorizationSettings> = {}) {
  const clock = new HandClock();
  const authorization: AuthorizationSettings = {
    noMatch: "deny",
    cache: { entries: 10, ttl: seconds(60) },
    rules: [],
    sources,
    ...more,
  };
  const policy = new ConfiguredPolicy(settingsWith({ authorization }), clock);
  const listener = policy.listener("mqtt", "tcp");
  const verdict = await listener.authenticate(
    requestOf({ clientId: "c", username: "u" }),
    peerAt("192.0.2.1"),
    clock.now(),
  );
  if (!verdict.ok) throw new Error(verdict.reason);
  const { identity }: { identity: Identity } = verdict;
  const look = ({ action, topic }: Question) =>
    action === "publish"
      ? listener.mayPublish(identity, topic, 0, false)
      : listener.maySubscribe(identity, topic, 0);
  const ask = (question: Question) => listener.ask(identity, question);
  return { clock, policy, listener, identity, look, ask };
}

describe("a source that knows all rules of a client", () => {
  it("is asked with the login, and then its answers are at hand", async () => {
    const source = new Said([allow("t/%u/#"), deny("t/u/secret")]);
    const { look } = await enter([source]);
    expect(source.asked).toBe(1);
    expect([look(publish("t/u/1")), look(publish("t/v/1")), look(subscribe("t/u/#"))]).toEqual([
      true,
      false,
      true,
    ]);
    expect(source.asked).toBe(1);
  });

  it("is asked again when its rules are old, once for all who want to know", async () => {
    const source = new Said([allow("a")]);
    const { look, ask, clock } = await enter([source]);
    clock.pass(seconds(61));
    expect(look(publish("a"))).toBeUndefined();
    source.answer = [allow("b")];
    expect(await Promise.all([ask(publish("a")), ask(publish("b")), ask(publish("b"))])).toEqual([
      false,
      true,
      true,
    ]);
    expect(source.asked).toBe(2);
    expect(look(publish("b"))).toBe(true);
  });
});

describe("a source that answers single questions", () => {
  it("is asked once for each, for as long as decisions are remembered", async () => {
    const source = new Said("allow");
    const { look, ask, clock } = await enter([source]);
    expect(look(publish("t"))).toBeUndefined();
    expect(await Promise.all([ask(publish("t")), ask(publish("t"))])).toEqual([true, true]);
    expect(source.asked).toBe(1);
    expect(look(publish("t"))).toBe(true);
    expect(look(subscribe("t"))).toBeUndefined();
    clock.pass(seconds(61));
    expect(look(publish("t"))).toBeUndefined();
  });

  it("passes on what it ignores to the next, and at last to noMatch", async () => {
    const [first, second] = [new Said("ignore"), new Said([allow("x")])];
    const { ask } = await enter([first, second]);
    expect(await ask(publish("x"))).toBe(true);
    expect(await ask(publish("y"))).toBe(false);
    const open = await enter([first], { noMatch: "allow" });
    expect(await open.ask(publish("y"))).toBe(true);
  });

  it("remembers no more than is configured", async () => {
    const source = new Said("allow");
    const { look, ask } = await enter([source], { cache: { entries: 2, ttl: seconds(60) } });
    for (const topic of ["a", "b", "c"]) await ask(publish(topic));
    expect(["a", "b", "c"].map((topic) => look(publish(topic)))).toEqual([undefined, true, true]);
  });
});

describe("rules of the configuration", () => {
  it("decide before sources are asked, or after them", async () => {
    const rules = [deny("x"), allow("y")];
    const source = new Said("allow");
    const first = await enter([source], { rules });
    expect([first.look(publish("x")), first.look(publish("y"))]).toEqual([false, true]);
    expect(source.asked).toBe(0);
    const last = await enter([source], { rules, order: "sources-first" });
    expect(last.look(publish("x"))).toBeUndefined();
    expect(await last.ask(publish("x"))).toBe(true);
    source.answer = "ignore";
    expect(await last.ask(publish("x/1"))).toBe(false);
    expect(await last.ask(publish("y"))).toBe(true);
  });

  it("never let anybody publish under $SYS, whatever a source says", async () => {
    const { look, ask } = await enter([new Said("allow")]);
    expect(look(publish("$SYS/x"))).toBe(false);
    expect(await ask(publish("$SYS/x"))).toBe(false);
    expect(await ask(publish("$delayed/1/$SYS/x"))).toBe(false);
  });
});

describe("a source that cannot be asked", () => {
  it("denies, and is tried again with the next question", async () => {
    const source = new Said(undefined);
    const { look, ask } = await enter([source], { noMatch: "allow" });
    expect(await ask(publish("t"))).toBe(false);
    expect(look(publish("t"))).toBeUndefined();
    source.answer = "allow";
    expect(await ask(publish("t"))).toBe(true);
  });

  it("is left out where the configuration says next", async () => {
    const { ask } = await enter([new Said(undefined, "next"), new Said([allow("t")])]);
    expect(await ask(publish("t"))).toBe(true);
    expect(await ask(publish("u"))).toBe(false);
  });

  it("stays with what it said before where the configuration says keep", async () => {
    for (const kind of ["rules", "decisions"]) {
      const source = kind === "rules" ? new Said([allow("t")], "keep") : new Said("allow", "keep");
      const { ask, clock } = await enter([source]);
      expect(await ask(publish("t")), kind).toBe(true);
      source.answer = undefined;
      clock.pass(seconds(3600));
      expect(await ask(publish("t")), kind).toBe(true);
      expect(await ask(publish("never asked")), kind).toBe(false);
    }
  });
});

it("forgets all decisions when it is told to", async () => {
  const source = new Said("allow");
  const { look, ask, policy } = await enter([source]);
  await ask(publish("t"));
  policy.forgetDecisions();
  expect(look(publish("t"))).toBeUndefined();
  source.answer = "deny";
  expect(await ask(publish("t"))).toBe(false);
});
