/** Bans that were added at run time outlive the process (`src/kept-bans.ts`). */
import { expect, it } from "vitest";
import { banJournal, keptBans } from "#core/kept-bans.ts";
import { type Instant, NEVER, seconds } from "#core/lib/time.ts";
import { ConfiguredPolicy } from "#core/policy/configured-policy.ts";
import type { Ban } from "#core/policy/settings.ts";
import { GroupCommit } from "#core/store/group-commit.ts";
import { MemoryEngine } from "../../support/memory-engine.ts";
import { HandClock, peerAt, requestOf, settingsWith } from "../../support/policy.ts";

const ban = (fields: Partial<Ban>): Ban => ({ until: NEVER, reason: "test", ...fields });

/** Processes one after the other, over one store. */
class Lives {
  readonly engine = new MemoryEngine();
  readonly clock = new HandClock();
  readonly #settings: ReturnType<typeof settingsWith>;
  #store!: GroupCommit;
  #due: (() => void)[] = [];
  policy!: ConfiguredPolicy;

  constructor(settings: Parameters<typeof settingsWith>[0] = {}) {
    this.#settings = settingsWith(settings);
    this.begin();
  }

  begin(): void {
    const later = (run: () => void) => this.#due.push(run);
    this.#store = new GroupCommit(this.engine, {
      ...{ window: 2, patience: 0, retry: 1000, later, onFailure: () => {}, now: () => this.clock.now() },
    });
    const kept = keptBans(this.#store, this.clock.now());
    this.policy = new ConfiguredPolicy(this.#settings, this.clock, banJournal(this.#store), kept);
  }

  async commit(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#store.whenCommitted(() => resolve());
      for (let round = 0; round < 3; round++) for (const run of this.#due.splice(0)) run();
    });
  }

  /** What was not committed is lost. */
  async restart(): Promise<void> {
    await this.commit();
    this.begin();
  }

  refuses(clientId: string): boolean {
    const listener = this.policy.listener("mqtt", "tcp");
    const verdict = listener.authenticate(requestOf({ clientId }), peerAt("192.0.2.1"), this.clock.now());
    return "ok" in verdict && !verdict.ok && verdict.refusal === "banned";
  }
}

it("a ban is there after a restart, with its end and its reason", async () => {
  const lives = new Lives();
  const until = (lives.clock.now() + 60_000) as Instant;
  lives.policy.ban(ban({ clientId: "c1" }));
  lives.policy.ban(ban({ user: "ann", address: "192.0.2.0/24", until, reason: "left us" }));
  await lives.restart();
  expect(lives.policy.bans).toEqual([
    expect.objectContaining({ clientId: "c1", until: NEVER }),
    expect.objectContaining({ user: "ann", address: "192.0.2.0/24", until, reason: "left us" }),
  ]);
  expect([lives.refuses("c1"), lives.refuses("c2")]).toEqual([true, false]);
});

it("a ban whose time is over does not come back, and leaves nothing in the store", async () => {
  const lives = new Lives();
  lives.policy.ban(ban({ clientId: "c1", until: (lives.clock.now() + 5000) as Instant }));
  await lives.commit();
  lives.clock.pass(seconds(5));
  await lives.restart();
  expect(lives.policy.bans).toEqual([]);
  await lives.commit();
  expect(lives.engine.records).toBe(0);
});

it("a ban that was lifted does not come back", async () => {
  const lives = new Lives();
  lives.policy.ban(ban({ clientId: "c1" }));
  await lives.restart();
  expect(lives.policy.unban({ clientId: "c1" })).toBe(true);
  await lives.restart();
  expect(lives.refuses("c1")).toBe(false);
  expect(lives.engine.records).toBe(0);
});

it("a ban of the same client replaces the earlier one", async () => {
  const lives = new Lives();
  lives.policy.ban(ban({ clientId: "c1", until: (lives.clock.now() + 1000) as Instant }));
  lives.policy.ban(ban({ clientId: "c1" }));
  await lives.restart();
  lives.clock.pass(seconds(2));
  expect(lives.refuses("c1")).toBe(true);
  expect(lives.engine.records).toBe(1);
});

it("a ban above the limit is refused, and is not kept either", async () => {
  const lives = new Lives({ bans: { max: 2, list: [ban({ clientId: "configured" })] } });
  expect(lives.policy.ban(ban({ clientId: "c1" }))).toBe(true);
  expect(lives.policy.ban(ban({ clientId: "c2" }))).toBe(false);
  await lives.restart();
  expect(lives.policy.bans.map(({ clientId }) => clientId)).toEqual(["configured", "c1"]);
  expect(lives.engine.records).toBe(1);
});

it("devices that flap for months do not fill the store", async () => {
  const flapping = { enable: true, threshold: 1, window: seconds(60), ban: seconds(10), clients: 10 };
  const lives = new Lives({ flapping });
  const listener = lives.policy.listener("mqtt", "tcp");
  for (let device = 0; device < 50; device++) {
    const clientId = `device-${device}`;
    const verdict = listener.authenticate(requestOf({ clientId }), peerAt("192.0.2.1"), lives.clock.now());
    if (!("ok" in verdict) || !verdict.ok) throw new Error("not accepted");
    listener.disconnected(verdict.identity, lives.clock.now());
    expect(lives.refuses(clientId)).toBe(true);
    await lives.commit();
    lives.clock.pass(seconds(11));
  }
  expect(lives.engine.records).toBe(1);
});
