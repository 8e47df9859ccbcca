import { expect, it } from "vitest";
import type { Commits } from "#core/bus/commits.ts";
import type { Ticket } from "#core/contract/answers.ts";
import type { ChannelLoop } from "#core/drive/channel-loop.ts";
import { milliseconds, NEVER } from "#core/lib/time.ts";
import type { Verdict } from "#core/policy/policy.ts";
import { CoapDevice } from "../../support/coap-device.ts";
import { pubsubWorld } from "../../support/coap-site.ts";
import type { WorldOptions } from "../../support/world.ts";

/** Requests of their own are answered in no order. */
const byToken = <Response extends { readonly token: string }>(responses: readonly Response[]): Response[] =>
  [...responses].sort((a, b) => (a.token < b.token ? -1 : 1));

/** A password check that takes its time, until `answer` is called. */
function slowLogin(config: Parameters<typeof pubsubWorld>[0] = {}) {
  const waiting: (() => void)[] = [];
  const options: WorldOptions = {
    policy: {
      authenticate: (request, peer) =>
        new Promise<Verdict>((resolve) => {
          const good = new TextDecoder().decode(request.password) === "good";
          const identity = {
            gateway: "coap",
            listener: "test",
            clientId: request.clientId,
            username: request.username,
            endpointName: undefined,
            peer,
            superuser: false,
            expiresAt: NEVER,
          };
          waiting.push(() =>
            resolve(good ? { ok: true, identity } : { ok: false, refusal: "unauthenticated", reason: "no" }),
          );
        }),
    },
  };
  const stack = pubsubWorld(config, options);
  const answer = async (): Promise<void> => {
    for (const each of waiting.splice(0)) each();
    await new Promise((resolve) => setImmediate(resolve));
    stack.world.settle();
  };
  return { ...stack, answer, device: new CoapDevice(stack.network) };
}
const good = ["c=d", "u=u", "p=good"];
const bad = ["c=d", "u=u", "p=bad"];

it("publishes once the credentials are checked, with the body and options of the request", async () => {
  const { device, world, answer } = slowLogin();
  const heard = world.listen("#");
  device.send({
    code: "PUT",
    path: "ps/a",
    id: 1,
    token: "x",
    query: good,
    payload: "first",
    options: [[12, 50]],
  });
  device.send({ code: "PUT", path: "ps/b", id: 2, token: "y", query: bad, payload: "second" });
  expect(device.take()).toEqual([]);
  await answer();
  expect(byToken(device.take()).map(({ type, code, id, token }) => [type, code, id, token])).toEqual([
    ["ACK", "2.04", 1, "x"],
    ["ACK", "4.01", 2, "y"],
  ]);
  expect(heard.map(({ topic, payload }) => [topic, Buffer.from(payload).toString()])).toEqual([
    ["a", "first"],
  ]);
  expect(heard[0]?.properties?.contentType).toBe("application/json");
});

it("acknowledges meanwhile, and answers in a CON of its own", async () => {
  const { device, world, answer } = slowLogin();
  device.send({ path: "ps/a", id: 1, token: "x", query: good });
  world.advance(milliseconds(1001));
  expect(device.take()).toMatchObject([{ type: "ACK", code: "0.00", id: 1 }]);
  await answer();
  expect(device.take()).toMatchObject([{ type: "CON", code: "4.04", token: "x" }]);
});

it("observes once the credentials are checked; several observations wait for one login", async () => {
  const { device, world, answer } = slowLogin();
  device.send({ path: "ps/a", token: "1", query: good, options: [[6, 0]] });
  device.send({ path: "ps/b", token: "2", query: good, options: [[6, 0]] });
  await answer();
  expect(byToken(device.take()).map(({ token, code }) => [token, code])).toEqual([
    ["1", "2.05"],
    ["2", "2.05"],
  ]);
  expect(world.connects).toHaveLength(1);
  world.publish("b", "x");
  expect(device.take()).toMatchObject([{ token: "2", payload: "x" }]);
});

it("gives the token of connection mode once the credentials are checked, and 4.00 when they are wrong", async () => {
  const { device, answer } = slowLogin();
  device.send({ code: "POST", path: "mqtt/connection", token: "1", query: bad });
  await answer();
  expect(device.take()).toMatchObject([{ code: "4.00" }]);
  device.send({ code: "POST", path: "mqtt/connection", token: "2", query: good });
  device.send({ code: "POST", path: "mqtt/connection", token: "3", query: good });
  await answer();
  expect(device.take().map(({ token, code }) => [token, code])).toEqual([
    ["3", "4.00"],
    ["2", "2.01"],
  ]);
});

/** A store that commits when the test says so. */
class SlowCommits implements Commits {
  writes = 0;
  readonly #waiting: (() => void)[] = [];

  await(loop: ChannelLoop, ticket: Ticket, answer: "accepted" | "no-subscribers" | 0 | 1 | 2): void {
    this.#waiting.push(() => loop.answered(ticket, answer));
  }

  whenCommitted(run: (failed: boolean) => void): void {
    this.#waiting.push(() => run(false));
  }

  whenSafe(run: () => void): void {
    this.#waiting.push(run);
  }

  commit(): void {
    for (const each of this.#waiting.splice(0)) each();
  }
}

it("answers a CON publish only when what must be kept is committed", () => {
  const commits = new SlowCommits();
  const { world, network } = pubsubWorld({}, { commits });
  world.attach({ key: "durable", available: true, deliver: () => commits.writes++ }, "a", 2);
  const device = new CoapDevice(network);
  device.send({ code: "PUT", path: "ps/a", id: 1, payload: "kept" });
  expect(device.take()).toEqual([]);
  device.send({ code: "PUT", path: "ps/a", id: 1, payload: "kept" });
  expect(device.take()).toEqual([]);
  commits.commit();
  world.settle();
  expect(device.take()).toMatchObject([{ type: "ACK", code: "2.04", id: 1 }]);
  expect(commits.writes).toBe(1);
  expect(device.ask({ code: "PUT", type: "NON", path: "ps/a", payload: "x" }).code).toBe("2.04");
});

it("ends the requests of nobody for others that were checked beside them under the same credentials", async () => {
  const { device, answer, world } = slowLogin();
  const heard = world.listen("#");
  // Each is looked at before it is changed, and is answered with what was found (RFC 7252 §5.8.3).
  for (const [index, token] of ["1", "2", "3"].entries()) {
    device.send({
      code: "PUT",
      path: `ps/t${token}`,
      id: index,
      token,
      query: [...good, "retain=true"],
      payload: token,
    });
  }
  await answer();
  expect(byToken(device.take()).map(({ token, code }) => [token, code])).toEqual([
    ["1", "2.01"],
    ["2", "2.01"],
    ["3", "2.01"],
  ]);
  expect(heard.map(({ topic }) => topic).sort()).toEqual(["t1", "t2", "t3"]);
});

it("lets go of who was checked for one request when that is answered, while another one still waits", () => {
  const commits = new SlowCommits();
  const { world, network } = pubsubWorld({ credentials: { remember: "0s" } }, { commits });
  world.attach({ key: "durable", available: true, deliver: () => commits.writes++ }, "a", 2);
  const device = new CoapDevice(network);
  device.send({ code: "PUT", path: "ps/a", id: 1, payload: "kept" });
  for (let id = 2; id < 20; id++) device.ask({ code: "PUT", type: "NON", path: "ps/b", payload: "x" });
  expect(world.core.directory.count).toBe(1);
  commits.commit();
  world.settle();
  expect(device.take()).toMatchObject([{ type: "ACK", code: "2.04", id: 1 }]);
  expect(world.core.directory.count).toBe(0);
});
