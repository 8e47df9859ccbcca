/** Two processes on one machine that share all ports, before one broker: devices that meet the other one go on there. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import mqtt, { type MqttClient } from "mqtt";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { batches } from "#core/net/batch/self-test.ts";
import { CON, readMessage, textOption, writeMessage } from "../../support/coap-bytes.ts";
import { dial } from "../../support/dtls-socket.ts";
import { freeTcpPort, freeUdpPort } from "../../support/free-ports.ts";
import { hexOf, message } from "../../support/mqtt-sn-socket.ts";
import { lacks } from "../../support/programs.ts";
import { type Server, startMosquitto } from "../../support/servers.ts";
import { type StoreProcess, StoreSite, until } from "../../support/store-process.ts";
import {
  connectSn,
  execute,
  executes,
  observe,
  publishById,
  register,
  registerTopic,
  Sockets,
  sleep,
  update,
  wakeUp,
} from "../../support/upstream-devices.ts";

const PATIENCE = 240_000;
const URI_PATH = 11;

interface WorkerRow {
  readonly number: number;
  readonly state: string;
  readonly pid: number;
  readonly restarts: number;
  readonly api: string;
}

describe.skipIf(lacks("mosquitto") || batches() instanceof Error)(
  "node.workers: 2",
  { timeout: PATIENCE },
  () => {
    let broker: Server;
    let site: StoreSite;
    let running: StoreProcess;
    let app: MqttClient;
    let api: number;
    let dtls: number;
    const heard: string[] = [];
    const sockets = new Sockets();

    beforeAll(async () => {
      broker = await startMosquitto();
      site = await StoreSite.create();
      dtls = await freeUdpPort();
      // The second worker has the port behind that of the first.
      do api = await freeTcpPort();
      while (Object.values(site.ports).includes(api + 1));
      const psk = join(site.folder, "psk");
      writeFileSync(psk, "dev1:0102030405\n");
      const udp = (port: number) => ({ transport: "udp", bind: "127.0.0.1", port });
      const secure = { transport: "dtls", bind: "127.0.0.1", port: dtls, enable: true };
      site.configure(
        {
          node: { workers: 2 },
          api: { port: api },
          tls: { pskFile: psk },
          bus: {
            engine: "upstream",
            upstream: {
              servers: [`tcp://127.0.0.1:${broker.port}`],
              // Nobody is given up because a machine is slow.
              ...{ grace: "10m", patience: "10m", linger: "10m", pool: { lookupTimeout: "2m" } },
              devices: { keep: "retained" },
            },
          },
        },
        {
          coap: {
            listeners: { udp: udp(site.ports.coap), dtls: secure, tcp: { enable: false } },
            stack: { amplification: "off" },
          },
          lwm2m: { stack: { amplification: "off" } },
        },
      );
      running = await site.start();
      app = await mqtt.connectAsync(`mqtt://127.0.0.1:${broker.port}`, { connectTimeout: PATIENCE });
      app.on("message", (topic, payload) => heard.push(`${topic} ${payload}`));
    }, PATIENCE);

    afterAll(async () => {
      await sockets.close();
      app?.end(true);
      await running?.kill("SIGTERM");
      site?.close();
      await broker?.stop();
    }, PATIENCE);

    const read = async (worker: number, path: string): Promise<Response> =>
      fetch(`http://127.0.0.1:${api + worker - 1}${path}`);
    const crew = async (asked = 1): Promise<readonly WorkerRow[]> =>
      (await (await read(asked, "/api/v1/workers")).json()) as WorkerRow[];

    /** Which worker has a client at this moment; the first of them while one takes it over. */
    async function workerWith(client: string): Promise<number> {
      for (const worker of [1, 2]) {
        const answer = await read(worker, `/api/v1/clients/${client}`);
        if (answer.ok && ((await answer.json()) as { state: string }).state !== "away") return worker;
      }
      throw new Error(`no worker has ${client}`);
    }

    /** One address that leads to each worker; `probe` makes a client known from it. */
    async function oneEach<Socket>(
      open: () => Promise<Socket>,
      probe: (socket: Socket, id: string) => Promise<void>,
    ) {
      const found = new Map<number, Socket>();
      for (let number = 0; found.size < 2; number++) {
        const socket = await open();
        const id = `probe-${number}-${Math.random().toString(36).slice(2)}`;
        await probe(socket, id);
        const worker = await workerWith(id);
        if (!found.has(worker)) found.set(worker, socket);
      }
      return [found.get(1)!, found.get(2)!] as const;
    }

    /** Two sockets of CoAP, one for each worker. */
    const coapEach = () =>
      oneEach(
        async () => sockets.coap(site.ports.coap),
        async (socket, id) => void (await register(socket, id)),
      );

    it("hands the connections of a TCP port round, and shows at each worker how all are", async () => {
      const clients: MqttClient[] = [];
      for (const id of ["tcp-1", "tcp-2", "tcp-3", "tcp-4"])
        clients.push(
          await mqtt.connectAsync(`mqtt://127.0.0.1:${site.ports.mqtt}`, {
            clientId: id,
            connectTimeout: PATIENCE,
          }),
        );
      const workers = await Promise.all(["tcp-1", "tcp-2", "tcp-3", "tcp-4"].map(workerWith));
      expect(new Set(workers)).toEqual(new Set([1, 2]));
      for (const client of clients) await client.endAsync();
      for (const asked of [1, 2])
        expect((await crew(asked)).map(({ number, state }) => [number, state])).toEqual([
          [1, "up"],
          [2, "up"],
        ]);
      for (const worker of [1, 2])
        expect(await (await read(worker, "/metrics")).text()).toContain(
          `isthmus_sessions{worker="${worker}"}`,
        );
    });

    it("MQTT-SN: a sleeper that wakes at the other worker has its topic ids and its queue in order", async () => {
      const [before, after] = await oneEach(
        () => sockets.sn(site.ports.mqttSn),
        (socket, id) => connectSn(socket, id, true),
      );
      for (const socket of [before, after]) expect(await socket.ask("0218")).toBe("0218");
      await connectSn(before, "sleeper");
      await registerTopic(before, "up/one", "0001", "0001");
      expect(await before.ask(message(`12 20 0002 ${hexOf("down/s")}`))).toBe("0813200002000200");
      await sleep(before);
      await app.subscribeAsync("up/#", { qos: 1 });
      for (const text of ["1", "2", "3"]) await app.publishAsync("down/s", text, { qos: 1 });
      expect((await wakeUp(after, "sleeper")).texts).toEqual(["1", "2", "3"]);
      await connectSn(after, "sleeper");
      await publishById(after, "0001", "0009", "hi");
      await until(() => heard.includes("up/one hi"), "the publish did not arrive", PATIENCE);
    });

    it("LwM2M: a device that updates at the other worker is commanded there", async () => {
      const [before, after] = await coapEach();
      const location = await register(before, "dev");
      const executed = executes(after);
      await app.subscribeAsync("lwm2m/dev/#", { qos: 1 });
      await update(after, location);
      await until(async () => (await workerWith("dev")) === 2, "the first worker keeps it", PATIENCE);
      await app.publishAsync("lwm2m/dev/dn/x", execute(7, "/3/0/4"), { qos: 1 });
      await until(() => executed.length === 1, "it was not commanded", PATIENCE);
    });

    it("CoAP (RFC 7641 §3.3.1): an observer that registers again at the other worker is told what comes", async () => {
      const [before, after] = await coapEach();
      await app.publishAsync("news", "old", { qos: 1, retain: true });
      await observe(before);
      const told: string[] = [];
      await observe(after, (text) => told.push(text));
      await app.publishAsync("news", "new", { qos: 1 });
      await until(() => told.includes("new"), "it was not told", PATIENCE);
    });

    it("RFC 9146: a device with a connection id stays at its worker from whatever address, without a handshake", async () => {
      const handshakes = async () => {
        const texts = await Promise.all(
          [1, 2].map(async (worker) => (await read(worker, "/metrics")).text()),
        );
        const counts = texts.flatMap((text) => [
          ...text.matchAll(/^isthmus_dtls_handshakes_total\{.*\} (\d+)$/gm),
        ]);
        return counts.reduce((sum, [, count]) => sum + Number(count), 0);
      };
      const before = await handshakes();
      const devices = [];
      for (let number = 0; number < 4; number++)
        devices.push(await dial(dtls, { cid: Uint8Array.of(0xde, number) }));
      let id = 1;
      for (const device of devices) {
        for (let move = 0; move < 6; move++) {
          const put = { type: CON, code: "0.03", id: id++, token: "aa", payload: Buffer.from("x") } as const;
          const options = [textOption(URI_PATH, "ps"), textOption(URI_PATH, "roaming")];
          expect(readMessage(await device.ask(writeMessage({ ...put, options }))).code).toMatch(/^2\.0/);
          device.move();
        }
        device.close();
      }
      expect((await handshakes()) - before).toBe(devices.length);
    });

    it("does at all workers what an operator does at one: bans, and changes of the configuration", async () => {
      const send = async (worker: number, method: string, path: string, body: object) =>
        fetch(`http://127.0.0.1:${api + worker - 1}/api/v1${path}`, {
          method,
          headers: { "content-type": "application/json", authorization: `Bearer ${await localKey()}` },
          body: JSON.stringify(body),
        });
      const localKey = async () => {
        const { readFileSync } = await import("node:fs");
        return (JSON.parse(readFileSync(join(site.data, "api", "local.json"), "utf8")) as { key: string })
          .key;
      };
      const made = await send(1, "POST", "/bans", { clientId: "evil", reason: "test" });
      expect([200, 201]).toContain(made.status);
      const banned = async () => (await (await read(2, "/api/v1/bans")).text()).includes("evil");
      await until(banned, "the ban did not come to the other worker", PATIENCE);
      const changed = await send(1, "PATCH", "/config", { log: { level: "error" } });
      expect(changed.status).toBe(200);
      const level = async () =>
        (await (await read(2, "/api/v1/config/overlay")).text()).includes("log.level");
      await until(level, "the change did not come to the other worker", PATIENCE);
    });

    it("loses nothing that was acknowledged when a worker is killed, and starts it again", async () => {
      await app.subscribeAsync("kept/#", { qos: 1 });
      const victim = (await crew()).find(({ number }) => number === 2)!;
      const acknowledged: string[] = [];
      let stop = false;
      const publishers = await Promise.all(
        [1, 2, 3, 4].map((number) =>
          mqtt.connectAsync(`mqtt://127.0.0.1:${site.ports.mqtt}`, {
            clientId: `publisher-${number}`,
            reconnectPeriod: 100,
            connectTimeout: PATIENCE,
          }),
        ),
      );
      const work = publishers.map(async (publisher, number) => {
        for (let count = 0; !stop; count++) {
          await publisher.publishAsync(`kept/${number}`, String(count), { qos: 1 });
          acknowledged.push(`kept/${number} ${count}`);
        }
      });
      await until(() => acknowledged.length > 50, "nothing is acknowledged", PATIENCE);
      process.kill(victim.pid, "SIGKILL");
      await until(
        async () => (await crew())[1]!.restarts === 1 && (await crew())[1]!.state === "up",
        "it was not started again",
        PATIENCE,
      );
      const before = acknowledged.length;
      await until(() => acknowledged.length > before + 50, "nothing is acknowledged any more", PATIENCE);
      stop = true;
      await Promise.all(work);
      await until(() => acknowledged.every((each) => heard.includes(each)), "something is missing", PATIENCE);
      for (const publisher of publishers) await publisher.endAsync();
      expect((await crew())[1]!.pid).not.toBe(victim.pid);
      expect(await (await read(2, "/metrics")).text()).toContain('isthmus_worker_restarts{worker="2"} 1');
    });

    it("stops with all its workers at SIGTERM", async () => {
      const pids = (await crew()).map(({ pid }) => pid);
      const { code } = await running.kill("SIGTERM");
      expect(code).toBe(0);
      for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow("ESRCH");
    });
  },
);
