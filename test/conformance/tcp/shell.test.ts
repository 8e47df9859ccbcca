import { execFile } from "node:child_process";
import { connectAsync, type MqttClient } from "mqtt";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startGateway, type TestGateway } from "../../support/gateway.ts";

let gateway: TestGateway;
let application: MqttClient;
beforeAll(async () => {
  gateway = await startGateway({ gateways: { tcp: { enable: true }, mqtt: {} } });
  application = await connectAsync(`mqtt://127.0.0.1:${gateway.port("mqtt", "tcp")}`);
});
afterAll(async () => {
  await application.endAsync();
  await gateway.stop();
  expect(gateway.log).toEqual([]);
});

/** What a shell script prints; `$PORT` is the gateway's. */
const bash = (script: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const env = { ...process.env, PORT: String(gateway.port("tcp", "tcp")) };
    execFile("bash", ["-c", script], { env, encoding: "latin1" }, (error, out) =>
      error === null ? resolve(out) : reject(error),
    );
  });

it("serves a device that is a few lines of shell, as the README shows", async () => {
  await application.subscribeAsync("tcp/+/up");
  const heard = new Promise<string>((resolve) => {
    application.once("message", (topic, payload) => {
      application.publish("tcp/meter/dn", "open");
      resolve(`${topic} ${payload.toString()}`);
    });
  });
  const device = bash(
    `exec 3<>/dev/tcp/127.0.0.1/$PORT
     printf '\\x11\\x00\\x08\\x3c\\x00\\x05meter\\x30\\x00\\x0421.5' >&3
     head -c 30 <&3`,
  );
  expect(await heard).toBe("tcp/meter/up 21.5");
  expect(await device).toBe("\x20\x00\x14Connect Successfully\x30\x00\x04open");
});
