import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import mqtt from "mqtt";
import { afterAll, it as anyIt, beforeAll, expect } from "vitest";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { lacks } from "../../support/programs.ts";
import { inFolder, run, startSession } from "./run.ts";

const it = anyIt.skipIf(lacks("coap-client-notls"));

const COAP = "coap-client-notls";
let gateway: TestGateway;
let udp: string;
let tcp: string;
beforeAll(async () => {
  gateway = await startGateway({ gateways: { coap: {}, mqtt: {} } });
  udp = `coap://127.0.0.1:${gateway.port("coap", "udp")}`;
  tcp = `coap+tcp://127.0.0.1:${gateway.port("coap", "tcp")}`;
});
afterAll(() => gateway.stop());

/** What an MQTT 5 client hears on a filter while `during` runs. */
async function heardBy(filter: string, count: number, during: () => Promise<unknown>) {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${gateway.port("mqtt", "tcp")}`, {
    protocolVersion: 5,
  });
  const heard: { topic: string; payload: string; contentType: string | undefined; retain: boolean }[] = [];
  let enough = (): void => {};
  const all = new Promise<void>((resolve) => {
    enough = resolve;
  });
  client.on("message", (topic, payload, packet) => {
    const { retain, properties } = packet;
    heard.push({ topic, payload: payload.toString(), contentType: properties?.contentType, retain });
    if (heard.length === count) enough();
  });
  await client.subscribeAsync(filter);
  await during();
  await Promise.race([all, new Promise((resolve) => setTimeout(resolve, 30_000))]);
  await client.endAsync();
  return heard;
}

const publish = async (topic: string, payload: string | Buffer, options: object = {}) => {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${gateway.port("mqtt", "tcp")}`, {
    protocolVersion: 5,
  });
  await client.publishAsync(topic, payload, { qos: 1, ...options });
  await client.endAsync();
};

it("takes a PUT of coap-client to an MQTT subscriber", async () => {
  const heard = await heardBy("room/#", 1, () =>
    run(COAP, ["-B", "60", "-m", "put", "-t", "50", "-e", '{"t":21.5}', `${udp}/ps/room/7/temp`]),
  );
  expect(heard).toEqual([
    { topic: "room/7/temp", payload: '{"t":21.5}', contentType: "application/json", retain: false },
  ]);
});

it("gives coap-client the retained value, and 4.04 where there is none", async () => {
  await publish("kept", "42", { retain: true });
  expect((await run(COAP, ["-B", "60", `${udp}/ps/kept`])).stdout.trim()).toBe("42");
  expect((await run(COAP, ["-B", "60", `${udp}/ps/nothing`])).stderr).toContain("4.04");
});

it("notifies coap-client of what an MQTT client publishes", async () => {
  const observer = await startSession(gateway, COAP, ["-B", "60", "-s", "60", `${udp}/ps/lamp/%2B`]);
  await publish("lamp/1", "on", { qos: 0 });
  await publish("lamp/2", "off", { qos: 1 });
  expect((await observer.stopAfter("off")).stdout.trim()).toBe("onoff");
});

it.each(["udp", "tcp"])("moves 100 KB both ways over %s in blocks", (transport) =>
  inFolder(async (folder) => {
    const base = transport === "udp" ? udp : tcp;
    const body = Buffer.from(
      Array.from({ length: 12_800 }, (_, index) => String(index).padStart(8, "0")).join(""),
    );
    const file = join(folder, "body");
    writeFileSync(file, body);
    const put = await run(COAP, [
      "-B",
      "20",
      "-m",
      "put",
      "-f",
      file,
      `${base}/ps/large/${transport}?retain=1`,
    ]);
    expect(put.stderr).toBe("");
    const back = join(folder, "back");
    await run(COAP, ["-B", "20", "-o", back, `${base}/ps/large/${transport}`]);
    expect(readFileSync(back).equals(body)).toBe(true);
  }),
);

it("fetches the later blocks of a large notification, with whatever tokens coap-client uses", () =>
  inFolder(async (folder) => {
    const back = join(folder, "back");
    const observer = await startSession(gateway, COAP, ["-B", "60", "-s", "60", "-o", back, `${udp}/ps/big`]);
    const body = Buffer.alloc(5000, "large notification ");
    await publish("big", body, { qos: 1 });
    while (!(existsSync(back) && readFileSync(back).includes(body)))
      await new Promise((resolve) => setTimeout(resolve, 20));
    await observer.stop();
  }));

it("lists what it serves at /.well-known/core, with filters", async () => {
  const list = await run(COAP, ["-B", "60", `${udp}/.well-known/core`]);
  expect(list.stdout).toContain('</ps>;rt="core.ps"');
  const filtered = await run(COAP, ["-B", "60", `${udp}/.well-known/core?rt=core.ps*`]);
  expect(filtered.stdout).toContain("</ps>");
  expect(filtered.stdout).not.toContain("</mqtt>");
});

it("speaks CoAP over TCP: PUT, GET, observe (RFC 8323)", async () => {
  const heard = await heardBy("over/tcp", 1, () =>
    run(COAP, ["-B", "60", "-m", "put", "-e", "stream", `${tcp}/ps/over/tcp`]),
  );
  expect(heard[0]?.payload).toBe("stream");
  const observer = await startSession(gateway, COAP, ["-B", "60", "-s", "60", `${tcp}/ps/over/tcp`]);
  await publish("over/tcp", "notified");
  expect((await observer.stopAfter("notified")).stdout).toContain("notified");
});

it("serves connection mode: a token from POST, publishes with it from other ports, DELETE ends it", async () => {
  const connect = await run(COAP, [
    "-B",
    "3",
    "-m",
    "post",
    `${udp}/mqtt/connection?clientid=dev1&username=u&password=p`,
  ]);
  const token = connect.stdout.trim();
  expect(token).toMatch(/^\d+$/);
  const query = `clientid=dev1&token=${token}`;
  const heard = await heardBy("conn/+", 1, async () => {
    await run(COAP, ["-B", "60", "-m", "put", "-e", "hi", `${udp}/ps/conn/a?${query}`]);
  });
  expect(heard[0]?.payload).toBe("hi");
  expect((await run(COAP, ["-B", "60", "-m", "put", `${udp}/mqtt/connection?${query}`])).stderr).toBe("");
  const wrong = await run(COAP, [
    "-B",
    "3",
    "-m",
    "put",
    "-e",
    "hi",
    `${udp}/ps/conn/a?clientid=dev1&token=1`,
  ]);
  expect(wrong.stderr).toContain("4.01");
  expect((await run(COAP, ["-B", "60", "-m", "delete", `${udp}/mqtt/connection?${query}`])).stderr).toBe("");
  const ended = await run(COAP, ["-B", "60", "-m", "put", "-e", "hi", `${udp}/ps/conn/a?${query}`]);
  expect(ended.stderr).toContain("4.01");
});

it.each(["put", "post"])("publishes with %s in the form of the oldest manuals", async (method) => {
  const heard = await heardBy("hello", 1, () =>
    run(COAP, ["-B", "60", "-m", method, "-e", "qos=0&retain=0&message=payload&topic=hello", `${udp}/mqtt`]),
  );
  expect(heard[0]?.payload).toBe("payload");
});

it("publishes and observes in the form /mqtt/{topic}?c=&u=&p=", async () => {
  const observer = await startSession(gateway, COAP, [
    "-B",
    "60",
    "-s",
    "60",
    `${udp}/mqtt/old/topic?c=c1&u=u&p=p`,
  ]);
  await run(COAP, ["-B", "60", "-m", "put", "-e", "old form", `${udp}/mqtt/old/topic?c=c2&u=u&p=p`]);
  expect((await observer.stopAfter("old form")).stdout).toContain("old form");
});

it("proves the address of a coap-client whose login is checked", () =>
  inFolder(async (folder) => {
    const file = join(folder, "users.yaml");
    writeFileSync(file, "{ users: [{ username: ann, password: 'plain:right' }] }");
    const secured = await startGateway({
      authentication: { anonymous: false, chain: [{ kind: "users-file", file }] },
      gateways: { coap: {} },
    });
    const topic = `coap://127.0.0.1:${secured.port("coap", "udp")}/ps/room/7`;
    const as = (password: string, ...how: string[]) =>
      run(COAP, ["-B", "60", ...how, `${topic}?c=d1&u=ann&p=${password}&retain=1`]);
    expect(await as("right", "-m", "put", "-e", "21.5")).toMatchObject({ stderr: "", code: 0 });
    expect((await as("right")).stdout).toContain("21.5");
    expect((await as("wrong")).stderr).toContain("4.01");
    await secured.stop();
  }));
