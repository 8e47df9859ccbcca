import coap from "coap";
import mqtt from "mqtt";
import { CoapClient } from "node-coap-client";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startGateway, type TestGateway } from "../../support/gateway.ts";

let gateway: TestGateway;
let port: number;
let client: mqtt.MqttClient;
beforeAll(async () => {
  gateway = await startGateway({ gateways: { coap: {}, mqtt: {} } });
  port = gateway.port("coap", "udp");
  client = await mqtt.connectAsync(`mqtt://127.0.0.1:${gateway.port("mqtt", "tcp")}`, { protocolVersion: 5 });
});
afterAll(async () => {
  CoapClient.reset();
  await client.endAsync();
  await gateway.stop();
});

interface Reply {
  readonly code: string;
  readonly payload: string;
}

/** One request of the npm package `coap`. */
const ask = (options: coap.CoapRequestParams & { payload?: string | Buffer }): Promise<Reply> =>
  new Promise((resolve, reject) => {
    const { payload, ...rest } = options;
    const request = coap.request({ hostname: "127.0.0.1", port, ...rest });
    request.on("response", (response) =>
      resolve({ code: response.code, payload: response.payload.toString() }),
    );
    request.on("error", reject);
    request.end(payload ?? "");
  });

it("takes PUT and POST of npm coap, gives it the retained value, and deletes it", async () => {
  const put = await ask({ method: "PUT", pathname: "/ps/npm/a", query: "retain=true", payload: "42" });
  expect(put.code).toBe("2.01");
  expect(
    (await ask({ method: "POST", pathname: "/ps/npm/a", query: "retain=true", payload: "43" })).code,
  ).toBe("2.04");
  expect(await ask({ method: "GET", pathname: "/ps/npm/a" })).toEqual({ code: "2.05", payload: "43" });
  expect((await ask({ method: "DELETE", pathname: "/ps/npm/a" })).code).toBe("2.02");
  expect((await ask({ method: "GET", pathname: "/ps/npm/a" })).code).toBe("4.04");
});

it("takes a NON of npm coap", async () => {
  const answer = await ask({ method: "PUT", pathname: "/ps/npm/non", confirmable: false, payload: "1" });
  expect(answer.code).toBe("2.04");
});

it("notifies an observer of npm coap in order, QoS 0 and 1", async () => {
  const heard: string[] = [];
  const stream = await new Promise<coap.ObserveReadStream>((resolve, reject) => {
    const request = coap.request({ hostname: "127.0.0.1", port, pathname: "/ps/npm/light", observe: true });
    request.on("response", (response) => resolve(response as unknown as coap.ObserveReadStream));
    request.on("error", reject);
    request.end();
  });
  const all = new Promise<void>((resolve) => {
    stream.on("data", (chunk: Buffer) => {
      if (chunk.length > 0) heard.push(chunk.toString());
      if (heard.length === 4) resolve();
    });
  });
  for (const [index, qos] of ([0, 1, 0, 1] as const).entries()) {
    await client.publishAsync("npm/light", `v${index}`, { qos });
  }
  await all;
  stream.close();
  expect(heard).toEqual(["v0", "v1", "v2", "v3"]);
});

it("gives npm coap what is larger than three times its request, although it cannot echo", async () => {
  await client.publishAsync("npm/large", "x".repeat(900), { qos: 1, retain: true });
  const reply = await ask({
    method: "GET",
    pathname: "/ps/npm/large",
    agent: new coap.Agent({ type: "udp4" }),
  });
  expect(reply).toEqual({ code: "2.05", payload: "x".repeat(900) });
});

it("serves node-coap-client: PUT, GET, observe", async () => {
  const url = `coap://127.0.0.1:${port}/ps/ncc/a`;
  const put = await CoapClient.request(`${url}?retain=1`, "put", Buffer.from("1"), {});
  expect(String(put.code)).toBe("2.01");
  const read = await CoapClient.request(url, "get", undefined, {});
  expect(read.payload?.toString()).toBe("1");
  const heard: string[] = [];
  const waiting: (() => void)[] = [];
  // Its promise is not kept before the observation ends.
  void CoapClient.observe(url, "get", (response) => {
    heard.push(response.payload?.toString() ?? "");
    waiting.shift()?.();
  });
  const next = () => new Promise<void>((resolve) => waiting.push(resolve));
  await next();
  for (const [payload, qos] of [
    ["2", 0],
    ["3", 1],
  ] as const) {
    const told = next();
    await client.publishAsync("ncc/a", payload, { qos });
    await told;
  }
  CoapClient.stopObserving(url);
  expect(heard).toEqual(["1", "2", "3"]);
});

it("fetches a large value block by block with node-coap-client", async () => {
  const body = Buffer.alloc(3000, "0123456789");
  await client.publishAsync("ncc/large", body, { qos: 1, retain: true });
  const read = await CoapClient.request(`coap://127.0.0.1:${port}/ps/ncc/large`, "get", undefined, {});
  expect(read.payload?.equals(body)).toBe(true);
});
