import { afterAll, it as anyIt, beforeAll, expect } from "vitest";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { lacks } from "../../support/programs.ts";
import { run, startSession } from "./run.ts";

const it = anyIt.skipIf(lacks("coap-client-notls", "mosquitto_pub", "mosquitto_sub"));

const COAP = "coap-client-notls";
let gateway: TestGateway;
let coap: string;
let mqtt: string[];
beforeAll(async () => {
  gateway = await startGateway({ gateways: { coap: {}, mqtt: {} } });
  coap = `coap://127.0.0.1:${gateway.port("coap", "udp")}`;
  mqtt = ["-h", "127.0.0.1", "-p", String(gateway.port("mqtt", "tcp"))];
});
afterAll(() => gateway.stop());
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** `mosquitto_sub` for one message, once it is subscribed. */
async function hearOne(filter: string) {
  const options = ["-t", filter, "-v", "-C", "1", "-W", "60"];
  const subscriber = await startSession(gateway, "mosquitto_sub", [...mqtt, ...options]);
  await pause(200);
  return subscriber;
}

it.each([
  ["ps/{topic}", "put", "21.5", "ps/room/1"],
  ["mqtt/{topic}", "put", "21.5", "mqtt/room/1?c=d1&u=u&p=p"],
  ["the body of the oldest form", "post", "qos=0&retain=0&message=21.5&topic=room/1", "mqtt"],
])("takes a CoAP request of the form %s to mosquitto_sub", async (_name, method, body, path) => {
  const subscriber = await hearOne("room/#");
  await run(COAP, ["-B", "60", "-m", method, "-e", body, `${coap}/${path}`]);
  expect((await subscriber.finished).stdout.trim()).toBe("room/1 21.5");
});

it("takes a CoAP request of connection mode to mosquitto_sub", async () => {
  const token = (
    await run(COAP, ["-B", "60", "-m", "post", `${coap}/mqtt/connection?clientid=d2`])
  ).stdout.trim();
  const subscriber = await hearOne("conn");
  await run(COAP, ["-B", "60", "-m", "put", "-e", "on", `${coap}/ps/conn?clientid=d2&token=${token}`]);
  expect((await subscriber.finished).stdout.trim()).toBe("conn on");
});

it("takes mosquitto_pub to an observing coap-client, retained or not", async () => {
  await run("mosquitto_pub", [...mqtt, "-t", "lamp", "-m", "old,", "-r", "-q", "1"]);
  const observer = await startSession(gateway, COAP, ["-B", "60", "-s", "60", `${coap}/ps/lamp`]);
  await run("mosquitto_pub", [...mqtt, "-t", "lamp", "-m", "on,", "-q", "1"]);
  await run("mosquitto_pub", [...mqtt, "-t", "lamp", "-m", "off", "-q", "0"]);
  expect((await observer.stopAfter("off")).stdout.trim()).toBe("old,on,off");
});
