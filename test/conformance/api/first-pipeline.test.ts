/** The first pipeline comes and the last one goes while clients of all gateways are there: nobody is sent away (R-100). */
import { readFileSync } from "node:fs";
import mqtt from "mqtt";
import { expect, it, onTestFinished } from "vitest";
import { localKeyPath } from "#core/data-files.ts";
import { askAt } from "../../support/api.ts";
import { SocketDevice } from "../../support/lwm2m-socket.ts";
import { hexOf, message, SnSocket } from "../../support/mqtt-sn-socket.ts";
import { StompSocket } from "../../support/stomp-socket.ts";
import { CoapSocket } from "../../support/store-coap.ts";
import { StoreSite, until } from "../../support/store-process.ts";

/** What passes it, nobody here is given. */
const ANY = { name: "any", kind: "RateLimiter", requestRate: 1000, timePeriod: "1s" };
const SWALLOW = { packetType: "Publish", brokerMode: false, filters: [ANY] };

it("over the API and by SIGHUP: devices of all five gateways stay, and are asked from their next message on", {
  timeout: 240_000,
}, async () => {
  const site = await StoreSite.create();
  onTestFinished(() => site.close());
  const gateways = { lwm2m: {} };
  site.configure({}, gateways);
  const process = await site.start();
  const { url, key } = JSON.parse(readFileSync(localKeyPath({ dataFolder: site.data }), "utf8"));
  const ask = (method: string, path: string, body?: object) =>
    askAt(url, method, `/api/v1${path}`, { key, body });
  const count = async () => (await ask("GET", "/pipelines")).body.items.length;

  const device = await mqtt.connectAsync(`mqtt://127.0.0.1:${site.ports.mqtt}`, { reconnectPeriod: 0 });
  const listener = await StompSocket.connected(site.ports.stomp);
  const sensor = await SnSocket.open(site.ports.mqttSn);
  const coap = new CoapSocket(site.ports.coap);
  const meter = await SocketDevice.register(site.ports.coap, "m1", ["lt=300", "lwm2m=1.1", "b=U"], "</3/0>");
  onTestFinished(async () => {
    device.end(true);
    coap.close();
    await Promise.all([sensor.close(), meter.close()]);
    listener.socket.destroy();
  });
  const heard: string[] = [];
  device.on("message", (_topic, payload) => heard.push(/\w+ \d+/.exec(payload.toString())?.[0] ?? ""));
  await device.subscribeAsync("#", { qos: 1 });
  expect(await sensor.ask(message(`04 04 01 003c ${hexOf("sensor")}`))).toBe("030500");
  expect(await sensor.ask(message(`0a 0000 0001 ${hexOf("sn")}`))).toBe("070b0001000100");

  async function round(number: number): Promise<void> {
    await device.publishAsync("mqtt", `mqtt ${number}`, { qos: 1 });
    expect(await sensor.ask(message(`0c 20 0001 0002 ${hexOf(`sn ${number}`)}`))).toBe("070d0001000200");
    expect(await coap.put("coap", `coap ${number}`)).toMatch(/^2\.0[14]$/);
    const answers = meter.device.answers.length;
    meter.device.send("0.02", "dp", [], `[{"n":"/3/0/0","vs":"lwm2m ${number}"}]`, 110);
    await until(() => meter.device.answers.length > answers, "no answer to Send");
    expect(meter.device.answers.at(-1)).toMatchObject({ code: "2.04" });
    listener.say("SEND", { destination: "stomp", receipt: `${number}` }, `stomp ${number}`);
    expect(await listener.next()).toMatchObject({
      command: "RECEIPT",
      headers: [["receipt-id", `${number}`]],
    });
  }
  const said = (number: number) => ["mqtt", "sn", "coap", "lwm2m", "stomp"].map((by) => `${by} ${number}`);
  const listens = async (number: number) => {
    await round(number);
    await until(() => said(number).every((each) => heard.includes(each)), `round ${number}: ${heard}`);
  };
  const signalled = async (pipelines: object) => {
    site.configure({ pipelines }, gateways);
    globalThis.process.kill(process.pid, "SIGHUP");
    await until(async () => (await count()) === Object.keys(pipelines).length, "SIGHUP was not taken");
  };

  await listens(1);
  await signalled({ swallow: SWALLOW });
  await round(2);
  await signalled({});
  await listens(3);
  expect((await ask("PUT", "/pipelines/swallow", SWALLOW)).status).toBe(200);
  await round(4);
  expect((await ask("DELETE", "/pipelines/swallow")).status).toBe(200);
  await listens(5);
  expect(heard.filter((each) => /[24]$/.test(each))).toEqual([]);
  expect([device.connected, listener.ended, sensor.unread]).toEqual([true, undefined, 0]);
});
