/** Devices with connection ids that sleep behind a NAT, on real sockets, while the gateway is killed and comes again. */
import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connectAsync, type MqttClient } from "mqtt";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CON, readMessage, textOption, uintOption, writeMessage } from "../../support/coap-bytes.ts";
import { dial, until } from "../../support/dtls-socket.ts";
import { freeUdpPort } from "../../support/free-ports.ts";
import { type StoreProcess, StoreSite } from "../../support/store-process.ts";

/** A process starts twice. */
const SLOW = 60_000;

let site: StoreSite;
let running: StoreProcess;
let coap: number;
let mqttSn: number;
beforeAll(async () => {
  site = await StoreSite.create();
  [coap, mqttSn] = [await freeUdpPort(), await freeUdpPort()];
  const psk = join(site.folder, "psk");
  writeFileSync(psk, ["dev1", "meter", "other"].map((name) => `${name}:0102030405\n`).join(""));
  const dtls = (port: number) => ({ transport: "dtls", bind: "127.0.0.1", port, enable: true });
  const udp = (port: number) => ({ transport: "udp", bind: "127.0.0.1", port });
  site.configure(
    { tls: { pskFile: psk } },
    {
      coap: { listeners: { udp: udp(site.ports.coap), tcp: { enable: false }, dtls: dtls(coap) } },
      "mqtt-sn": { listeners: { udp: udp(site.ports.mqttSn), dtls: dtls(mqttSn) } },
      lwm2m: { identity: { binding: "equal" } },
    },
  );
  running = await site.start();
}, SLOW);
afterAll(() => site.close());

const CID = { cid: Uint8Array.of(0xde, 0xc0) };

async function crash(): Promise<void> {
  // What is idle has been given back its numbers after two seconds.
  await new Promise((resolve) => setTimeout(resolve, 4000));
  await running.kill();
  running = await site.start();
}

async function listen(filter: string): Promise<{ client: MqttClient; heard: string[] }> {
  const client = await connectAsync(`mqtt://127.0.0.1:${site.ports.mqtt}`);
  const heard: string[] = [];
  client.on("message", (topic, payload) => heard.push(`${topic} ${payload}`));
  await client.subscribeAsync(filter);
  return { client, heard };
}

describe("a sleeper with a connection id", () => {
  it(
    "puts over CoAP from another address, and after kill -9 of the gateway, without a handshake",
    async () => {
      const device = await dial(coap, CID);
      let id = 1;
      const put = async (payload: string) => {
        const options = [textOption(11, "ps"), textOption(11, "room")];
        const message = writeMessage({
          type: CON,
          code: "0.03",
          id: id++,
          token: "aa",
          options,
          payload: Buffer.from(payload),
        });
        return readMessage(await device.ask(message)).code;
      };
      expect(await put("1")).toMatch(/^2\.0/);
      device.move();
      expect(await put("2")).toMatch(/^2\.0/);
      const record = device.device.record(
        writeMessage({
          type: CON,
          code: "0.03",
          id: id++,
          options: [textOption(11, "ps"), textOption(11, "replayed")],
          payload: Buffer.from("r"),
        }),
      );
      device.device.sendBytes(record);
      await crash();
      const { client, heard } = await listen("#");
      device.move();
      // Somebody has recorded what the device sent before, and sends it again.
      device.device.sendBytes(record);
      expect(await put("3")).toMatch(/^2\.0/);
      await until("the message", () => heard.length > 0);
      expect(heard).toEqual(["room 3"]);
      await client.endAsync();
      device.close();
    },
    SLOW,
  );

  it(
    "wakes over MQTT-SN from another address, and after kill -9, and gets what waited",
    async () => {
      const device = await dial(mqttSn, CID);
      const connect = Buffer.from([10, 0x04, 0x00, 0x01, 0x0e, 0x10, ...Buffer.from("dev1")]);
      expect(Buffer.from(await device.ask(connect)).toString("hex")).toBe("030500");
      // SUBSCRIBE at QoS 1 to the short topic `ab`, then sleep.
      expect((await device.ask(Uint8Array.of(7, 0x12, 0x22, 0, 1, 0x61, 0x62)))[1]).toBe(0x13);
      expect((await device.ask(Uint8Array.of(4, 0x18, 0x0e, 0x10)))[1]).toBe(0x18);
      await crash();
      const { client } = await listen("none");
      await client.publishAsync("ab", "waited", { qos: 1 });
      device.move();
      const ping = Uint8Array.from([6, 0x16, ...Buffer.from("dev1")]);
      const published = await device.ask(ping);
      expect(Buffer.from(published).toString("latin1")).toContain("waited");
      expect(published[1]).toBe(0x0c);
      await client.endAsync();
      device.close();
    },
    SLOW,
  );

  it(
    "updates its LwM2M registration from another address, and after kill -9",
    async () => {
      const device = await dial(coap, { ...CID, identity: "meter" });
      let id = 100;
      const post = async (path: readonly string[], query: readonly string[]) => {
        const options = [
          ...path.map((part) => textOption(11, part)),
          ...(query.length > 0 ? [uintOption(12, 40)] : []),
          ...query.map((part) => textOption(15, part)),
        ].sort((a, b) => a.number - b.number);
        const payload = query.length > 0 ? Buffer.from("</3/0>") : new Uint8Array(0);
        return readMessage(
          await device.ask(
            writeMessage({ type: CON, code: "0.02", id: id++, token: "bb", options, payload }),
          ),
        );
      };
      const stolen = await post(["rd"], ["ep=other", "lt=3600", "lwm2m=1.1", "b=U"]);
      expect(stolen.code).not.toBe("2.01");
      const created = await post(["rd"], ["ep=meter", "lt=3600", "lwm2m=1.1", "b=U"]);
      expect(created.code).toBe("2.01");
      const location = created.options
        .filter(({ number }) => number === 8)
        .map(({ value }) => Buffer.from(value).toString());
      device.move();
      expect((await post(location, [])).code).toBe("2.04");
      await crash();
      device.move();
      expect((await post(location, [])).code).toBe("2.04");
      device.close();
    },
    SLOW,
  );

  it("keeps the key that seals associations from everybody else", () => {
    expect(statSync(join(site.data, "dtls.key")).mode & 0o777).toBe(0o600);
  });
});
