/** Logins that wait for a slow source, and all that does not have to wait for them (17.4). */
import { expect, it } from "vitest";
import { Outside } from "#core/authenticate/outside.ts";
import type { Credentials } from "#core/contract/client.ts";
import type { Peer } from "#core/contract/peer.ts";
import type { Duration, Instant } from "#core/lib/time.ts";
import { type AuthenticatorAnswer, runChain } from "#core/policy/authentication.ts";
import type { ListenerPolicy, Verdict } from "#core/policy/policy.ts";
import { mqttSite } from "../../support/mqtt-device.ts";
import { permissive } from "../../support/world.ts";

const LOGINS = 5_000;
const TIMES = {
  timeout: 60_000 as Duration,
  concurrent: LOGINS,
  waiting: LOGINS,
  breaker: { failures: 5, pause: 5_000 as Duration },
  onError: "deny" as const,
  known: { entries: 1, ttl: 1_000 as Duration },
};

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

it("5,000 logins that wait for a source hold up neither those who are there nor those who need no source", async () => {
  const waiting: (() => void)[] = [];
  const source = {
    ask: () =>
      new Promise<AuthenticatorAnswer>((resolve) => {
        waiting.push(() => resolve({ answer: "accepted" }));
      }),
  };
  const host = {
    now: () => 0 as Instant,
    count: () => {},
    note: () => {},
  };
  const slow = new Outside("slow", TIMES, host as never, source);
  const open = permissive("mqtt");
  const policy: Partial<ListenerPolicy> = {
    authenticate(request: Credentials, peer: Peer, now: Instant): Verdict | Promise<Verdict> {
      const settings = { anonymous: true, chain: request.username === undefined ? [] : [slow] };
      const login = runChain(settings, request, peer, now);
      const verdict = async (): Promise<Verdict> =>
        (await login).ok
          ? open.authenticate(request, peer, now)
          : { ok: false, refusal: "unauthenticated", reason: "" };
      return login instanceof Promise ? verdict() : open.authenticate(request, peer, now);
    },
  };
  const { device } = mqttSite({}, {}, policy);
  const echo = device();
  echo.connect("echo");
  echo.subscribe("echo");
  const devices = Array.from({ length: LOGINS }, (_, index) => {
    const one = device(4, { address: `10.0.${index >> 8}.${index & 255}` });
    expect(one.connect(`slow-${index}`, { username: `u${index}`, password: Buffer.from("p") })).toEqual([]);
    return one;
  });
  await turn();
  expect(waiting).toHaveLength(LOGINS);

  // In the same instant of the world's clock, before any of them has its answer.
  expect(echo.publish("echo", "1")).toEqual([expect.objectContaining({ cmd: "publish", topic: "echo" })]);
  expect(device().connect("fast")).toEqual([expect.objectContaining({ cmd: "connack", returnCode: 0 })]);
  expect(devices.every((one) => one.take().length === 0)).toBe(true);

  // One answer lets in the one that it is about.
  waiting[17]!();
  await turn();
  expect(devices.flatMap((one, index) => (one.take().length > 0 ? [index] : []))).toEqual([17]);
  for (const answer of waiting) answer();
  const others = new Set(devices.filter((_, index) => index !== 17));
  for (let turns = 0; turns < 100 && others.size > 0; turns++) {
    await turn();
    for (const one of others) if (one.take().some(({ cmd }) => cmd === "connack")) others.delete(one);
  }
  expect(others.size).toBe(0);
});
