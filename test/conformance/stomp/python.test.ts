import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { connectAsync } from "mqtt";
import { afterAll, describe as anyDescribe, beforeAll, expect, it } from "vitest";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { lacks } from "../../support/programs.ts";

const describe = anyDescribe.skipIf(lacks("python3-stomp"));

/** Debian's interpreter, which has `python3-stomp`. */
const PYTHON = "/usr/bin/python3";
const SCRIPT = fileURLToPath(new URL("client.py", import.meta.url));

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway({ gateways: { stomp: {}, mqtt: {} } });
});
afterAll(async () => {
  await gateway.stop();
  expect(gateway.log).toEqual([]);
});

/** Runs a scenario of the script; each line that it prints is JSON. */
async function python(version: string, scenario: string, onLine: (value: unknown) => void = () => {}) {
  const port = String(gateway.port("stomp", "tcp"));
  const child = spawn(PYTHON, [SCRIPT, port, version, scenario], { stdio: ["ignore", "pipe", "pipe"] });
  const errors: string[] = [];
  child.stderr.on("data", (bytes) => errors.push(String(bytes)));
  let last: unknown;
  createInterface({ input: child.stdout }).on("line", (line) => {
    last = JSON.parse(line);
    onLine(last);
  });
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`python3-stomp failed: ${errors.join("")}`);
  return last;
}

describe.concurrent.each(["1.0", "1.1", "1.2"])("python3-stomp speaks STOMP %s", (version) => {
  it("sends and hears, with receipts and headers of all kinds", async ({ expect }) => {
    const value = "v:1\\x";
    expect(await python(version, "exchange")).toEqual(
      ["hellö", "two\nlines", ""].map((body) => [body, value, `/topic/python/${version}/ä`, "text/plain"]),
    );
  });

  it("what it does not acknowledge another connection gets", async ({ expect }) => {
    expect(await python(version, "redelivery")).toEqual(["2", "3"]);
  });

  it("commits and aborts transactions", async ({ expect }) => {
    expect(await python(version, "transaction")).toEqual(["outside", "1", "2"]);
  });

  it("has durable subscriptions", async ({ expect }) => {
    expect(await python(version, "durable")).toEqual(["while away"]);
  });
});

describe.concurrent("python3-stomp", () => {
  it.each(["1.1", "1.2"])("refuses a message with NACK in STOMP %s and gets it again", async (version) => {
    expect(await python(version, "refusal")).toEqual([null, "true"]);
  });

  it("is told what is wrong", async ({ expect }) => {
    expect(await python("1.2", "error")).toBe("selectors are not supported");
  });

  it("talks with an MQTT 5 client, properties included", async ({ expect }) => {
    const url = `mqtt://127.0.0.1:${gateway.port("mqtt", "tcp")}`;
    const mqtt = await connectAsync(url, { protocolVersion: 5 });
    await mqtt.subscribeAsync("bridge/to-mqtt", { qos: 1 });
    const answer = new Promise<string[]>((resolve) => {
      mqtt.on("message", (topic, payload) => resolve([topic, String(payload)]));
    });
    const headers = await python("1.2", "mqtt", (line) => {
      if (line !== "ready") return;
      mqtt.publish("bridge/to-stomp", "question", {
        qos: 1,
        properties: {
          contentType: "text/plain",
          responseTopic: "bridge/to-mqtt",
          correlationData: Buffer.from("42"),
          userProperties: { unit: "°C" },
        },
      });
    });
    expect(headers).toMatchObject({
      destination: "/topic/bridge/to-stomp",
      "content-type": "text/plain",
      "reply-to": "/topic/bridge/to-mqtt",
      "correlation-id": "42",
      unit: "°C",
      qos: "1",
    });
    expect(await answer).toEqual(["bridge/to-mqtt", "answer to question"]);
    await mqtt.endAsync();
  });
});
