/** Bodies of SockJS in the account of memory (issue "What strangers broke", D14). */
import { type ClientRequest, request } from "node:http";
import { afterEach, beforeEach, expect, it } from "vitest";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { until } from "../../support/store-process.ts";

const KB = 1024;
let gateway: TestGateway;
const requests: ClientRequest[] = [];

beforeEach(async () => {
  gateway = await startGateway({
    memory: { connection: "128KB" },
    gateways: { stomp: { sockjs: ["/live"] } },
  });
});
afterEach(async () => {
  for (const one of requests.splice(0)) one.destroy();
  await gateway.stop();
});

const url = (path: string): string => `http://127.0.0.1:${gateway.port("stomp", "ws")}/live${path}`;
const held = (): number => gateway.composition.core.memory.held;

/** A session, which has been told that it is open. */
async function session(name: string): Promise<void> {
  const response = await fetch(url(`/0/${name}/xhr`), { method: "POST" });
  expect(await response.text()).toBe("o\n");
}

/** The first half of a body, whose rest never comes. */
function half(name: string, bytes: number): ClientRequest {
  const one = request(url(`/0/${name}/xhr_send`), {
    method: "POST",
    headers: { "content-length": 2 * bytes },
  });
  one.on("error", () => {});
  one.write(Buffer.alloc(bytes, "x"));
  requests.push(one);
  return one;
}

it("what has come of a body counts as held memory, and no more when its request has gone", async () => {
  await session("slow");
  const before = held();
  half("slow", 40 * KB);
  await until(() => held() >= before + 40 * KB, "the half body is in the account");
  half("slow", 20 * KB);
  await until(() => held() >= before + 60 * KB, "and that of a second request");
  for (const one of requests.splice(0)) one.destroy();
  await until(() => held() <= before, "nothing of them is left");
});

it("a session whose bodies hold more than memory.connection is ended", async () => {
  await session("greedy");
  const before = held();
  for (let n = 0; n < 10; n++) half("greedy", 20 * KB);
  await until(async () => {
    const response = await fetch(url("/0/greedy/xhr_send"), { method: "POST", body: "[]" });
    return response.status === 404;
  }, "the session is gone");
  for (const one of requests.splice(0)) one.destroy();
  await until(() => held() <= before, "nothing of it is left");
});
