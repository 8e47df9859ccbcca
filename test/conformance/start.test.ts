import { connectAsync } from "mqtt";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startGateway, type TestGateway } from "../support/gateway.ts";

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway({ gateways: { mqtt: {} } });
});
afterAll(() => gateway.stop());

describe("a whole gateway", () => {
  it("lets two stock MQTT clients of different versions exchange a message", async () => {
    const url = `mqtt://127.0.0.1:${gateway.port("mqtt", "tcp")}`;
    const subscriber = await connectAsync(url, { protocolVersion: 4 });
    const publisher = await connectAsync(url, { protocolVersion: 5 });
    await subscriber.subscribeAsync("a/+", { qos: 1 });
    const heard = new Promise<string>((resolve) => {
      subscriber.on("message", (topic, payload) => resolve(`${topic} ${payload}`));
    });
    await publisher.publishAsync("a/b", "hello", { qos: 1 });
    expect(await heard).toBe("a/b hello");
    await Promise.all([subscriber.endAsync(), publisher.endAsync()]);
  });
});
