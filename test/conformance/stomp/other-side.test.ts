import { connectAsync, type MqttClient } from "mqtt";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { SnSocket } from "../../support/mqtt-sn-socket.ts";
import { brief } from "../../support/stomp-client.ts";
import { frame, header } from "../../support/stomp-frames.ts";
import { StompSocket } from "../../support/stomp-socket.ts";

let gateway: TestGateway;
let mqtt: MqttClient;
beforeAll(async () => {
  gateway = await startGateway({ gateways: { stomp: {}, mqtt: {}, "mqtt-sn": {} } });
  mqtt = await connectAsync(`mqtt://127.0.0.1:${gateway.port("mqtt", "tcp")}`, { protocolVersion: 5 });
});
afterAll(async () => {
  await mqtt.endAsync();
  await gateway.stop();
  expect(gateway.log).toEqual([]);
});
const stomp = () => StompSocket.connected(gateway.port("stomp", "tcp"));

describe("MQTT on the other side", () => {
  it("a device's reading reaches a queue of workers, each one once", async () => {
    const workers = await Promise.all([stomp(), stomp()]);
    for (const worker of workers) {
      const headers = { id: "0", destination: "/queue/readings/#", ack: "client", "prefetch-count": "2" };
      worker.say("SUBSCRIBE", { ...headers, receipt: "r" });
      expect((await worker.next()).command).toBe("RECEIPT");
    }
    for (let n = 0; n < 8; n++) await mqtt.publishAsync(`readings/${n}`, `${n}`, { qos: 1 });
    const done: string[] = [];
    await new Promise<void>((finished) => {
      const work = async (worker: StompSocket) => {
        while (done.length < 8) {
          const message = await worker.next();
          done.push(message.body.toString());
          worker.say("ACK", { id: header(message, "ack") ?? "" });
        }
        finished();
      };
      // The one that waits for a ninth message ends with its connection.
      for (const worker of workers) work(worker).catch(() => {});
    });
    expect(done.sort()).toEqual(["0", "1", "2", "3", "4", "5", "6", "7"]);
    for (const worker of workers) worker.socket.destroy();
  });

  it("a backend's command reaches a device with its QoS, retained", async () => {
    const client = await stomp();
    const headers = { destination: "/topic/device/1/cmd", qos: "2", retain: "true", receipt: "r", unit: "%" };
    client.say("SEND", { ...headers, "content-type": "text/plain" }, "open");
    expect(brief(await client.next(), "receipt-id")).toBe("RECEIPT receipt-id=r");
    const heard = new Promise<unknown>((resolve) => {
      mqtt.on("message", (topic, payload, { qos, retain, properties }) =>
        resolve({
          topic,
          payload: String(payload),
          qos,
          retain,
          contentType: properties?.contentType,
          userProperties: { ...properties?.userProperties },
        }),
      );
    });
    await mqtt.subscribeAsync("device/+/cmd", { qos: 2 });
    expect(await heard).toEqual({
      topic: "device/1/cmd",
      payload: "open",
      qos: 2,
      retain: true,
      contentType: "text/plain",
      userProperties: { unit: "%" },
    });
    client.socket.destroy();
  });

  it("octets that are no text reach a text client over WebSocket in a binary message", async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${gateway.port("stomp", "ws")}/stomp`, ["v12.stomp"]);
    const seen: { binary: boolean; bytes: Buffer }[] = [];
    let wake: () => void = () => {};
    socket.on("message", (data, binary) => {
      seen.push({ binary, bytes: data as Buffer });
      wake();
    });
    const until = async (count: number) => {
      while (seen.length < count) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    };
    await new Promise((resolve) => socket.once("open", resolve));
    socket.send(String(frame("CONNECT", { "accept-version": "1.2", host: "h" })));
    socket.send(String(frame("SUBSCRIBE", { id: "0", destination: "blob", receipt: "r" })));
    await until(2);
    await mqtt.publishAsync("blob", Buffer.from([0xff, 0x00, 0xfe]));
    await until(3);
    expect(seen.map(({ binary }) => binary)).toEqual([false, false, true]);
    expect(seen[2]?.bytes.subarray(-5)).toEqual(Buffer.from([0xff, 0x00, 0xfe, 0x00, 0x0a]));
    expect(socket.readyState).toBe(WebSocket.OPEN);
    socket.terminate();
  });
});

describe("MQTT-SN on the other side", () => {
  it("a sensor and a backend hear each other", async () => {
    const client = await stomp();
    client.say("SUBSCRIBE", { id: "0", destination: "ab", receipt: "r" });
    await client.next();
    const sensor = await SnSocket.open(gateway.port("mqtt-sn", "udp"));
    // CONNECT with a clean session, then SUBSCRIBE to the short topic name "cd".
    await sensor.send(`0a 04 04 01 003c ${Buffer.from("sens").toString("hex")}`);
    expect(await sensor.next()).toBe("030500");
    await sensor.send("07 12 02 0001 6364");
    expect((await sensor.next()).slice(0, 4)).toBe("0813");
    // PUBLISH at QoS 0 to the short topic name "ab".
    await sensor.send(`0b 0c 02 6162 0000 ${Buffer.from("21.5").toString("hex")}`);
    const message = await client.next();
    expect([header(message, "destination"), message.body.toString()]).toEqual(["ab", "21.5"]);
    client.say("SEND", { destination: "cd", qos: "0" }, "ok");
    expect(await sensor.next()).toBe(`090c02636400006f6b`);
    client.socket.destroy();
    await sensor.close();
  });
});
