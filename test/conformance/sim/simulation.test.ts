/** Simulated fleets against a whole gateway with real sockets. What they say is looked at from the bus. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import mqtt from "mqtt";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Ports, SCENARIOS, type SimulationOptions } from "#core/sim/options.ts";
import { Simulation } from "#core/sim/simulation.ts";
import { freeTcpPort } from "../../support/free-ports.ts";
import { startGateway, type TestGateway } from "../../support/gateway.ts";

const BIN = fileURLToPath(new URL("../../../dist/src/bin.js", import.meta.url));

let gateway: TestGateway;
let simulation: Simulation | undefined;
/** Hears all that is published, in MQTT 5. */
let listener: mqtt.MqttClient;
let passed: { topic: string; payload: Buffer; packet: mqtt.IPublishPacket }[];

beforeEach(async () => {
  gateway = await startGateway({
    gateways: {
      ...{ mqtt: {}, "mqtt-sn": {}, stomp: {} },
      // Sessions end with the devices that have them.
      coap: { connection: { sessionExpiry: "0s" } },
      lwm2m: { sessionExpiry: "0s" },
    },
  });
  passed = [];
  listener = await mqtt.connectAsync(`mqtt://127.0.0.1:${gateway.port("mqtt", "tcp")}`, {
    protocolVersion: 5,
  });
  listener.on("message", (topic, payload, packet) => passed.push({ topic, payload, packet }));
  await listener.subscribeAsync("#", { qos: 1, rap: true });
  simulation = undefined;
});
afterEach(async () => {
  await simulation?.stop();
  await listener.endAsync(true);
  await gateway.stop();
});

const ports = (): Ports => ({
  mqtt: gateway.port("mqtt", "tcp"),
  stomp: gateway.port("stomp", "tcp"),
  coap: gateway.port("coap", "udp"),
  lwm2m: gateway.port("coap", "udp"),
  "mqtt-sn": gateway.port("mqtt-sn", "udp"),
});

async function start(options: Partial<SimulationOptions> = {}): Promise<Simulation> {
  simulation = await Simulation.start({
    ...{
      scenario: "cold-chain",
      devices: 20,
      host: "127.0.0.1",
      ports: ports(),
      loss: 0,
      natLife: undefined,
    },
    ...{ interval: 400, seed: 7, ...options },
  });
  return simulation;
}

const LIMIT = 120_000;

/** Waits for the thing itself. */
async function until(holds: () => boolean): Promise<void> {
  for (const end = Date.now() + LIMIT; !holds(); ) {
    if (Date.now() > end) throw new Error(`never: ${holds} ${JSON.stringify(simulation?.status)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const connected = ({ status: { fleet } }: Simulation): number =>
  Object.values(fleet).reduce((sum, each) => sum + each.connected, 0);

/** All but the test's own. */
const clients = () =>
  gateway.composition.operator.clients
    .page({}, { limit: 10_000 })
    .items.filter(({ clientId }) => clientId !== listener.options.clientId && !clientId.startsWith("auto-"));
const topics = (pattern: RegExp): string[] => [
  ...new Set(passed.map(({ topic }) => topic).filter((topic) => pattern.test(topic))),
];

describe("a simulated fleet", () => {
  it.each(SCENARIOS)(
    "%s: devices of each protocol come in, and their readings appear on the bus in the protocol's usual form",
    async (scenario) => {
      const running = await start({ scenario });
      // 20 devices, one application and one backend.
      await until(() => connected(running) === 22);
      expect(clients().every(({ clientId }) => clientId.startsWith("sim-"))).toBe(true);
      const gatewaysIn = new Set(clients().map(({ gateway: name }) => name));
      expect([...gatewaysIn].sort()).toEqual(["coap", "lwm2m", "mqtt", "mqtt-sn", "stomp"]);
      const { fleet } = running.status;
      expect(fleet["mqtt-sn"].devices + fleet.coap.devices + fleet.lwm2m.devices).toBe(20);
      await until(
        () =>
          topics(new RegExp(`^sim/${scenario}/.*/reading$`)).length ===
            fleet["mqtt-sn"].devices + fleet.coap.devices &&
          topics(/^lwm2m\/sim-.*\/up\/notify$/).length === fleet.lwm2m.devices &&
          topics(/^lwm2m\/sim-.*\/up\/send$/).length === fleet.lwm2m.devices,
      );
      for (const message of passed.filter(({ topic }) => topic.endsWith("/reading"))) {
        const reading = JSON.parse(Buffer.from(message.payload).toString());
        if (!message.packet.retain) expect(Object.keys(reading)).toContain("battery");
        else {
          expect(reading[0].bn).toMatch(/^urn:dev:ops:sim-/);
          expect(message.packet.properties?.contentType).toBe("application/senml+json");
        }
      }
      const notified = passed.find(({ topic }) => topic.endsWith("/up/notify"))!;
      const { data } = JSON.parse(Buffer.from(notified.payload).toString());
      expect(data.code).toBe("2.05");
      expect(data.content[0].value).toEqual(expect.any(Number));
      // Applications hear the fleet by MQTT and by STOMP.
      await until(() => running.status.heard > 40);
      expect(running.status.refused).toBe(0);
      expect(gateway.log).toEqual([]);
    },
    LIMIT + 30_000,
  );

  it(
    "obeys: a CoAP device that observes, and a sleeper when it wakes up",
    async () => {
      const running = await start({ scenario: "street-lamps" });
      await until(() => topics(/lamp-\d+\/reading$/).length > 0 && topics(/motion-\d+\/reading$/).length > 0);
      const operator = await mqtt.connectAsync(`mqtt://127.0.0.1:${gateway.port("mqtt", "tcp")}`);
      const lamp = topics(/lamp-\d+\/reading$/)[0]!;
      await operator.publishAsync(lamp.replace("reading", "set"), '{"level":17}', { qos: 1 });
      await until(() =>
        passed.some(({ topic, payload }) => topic === lamp && fieldOf(payload, "level") === 17),
      );
      const sensor = topics(/motion-\d+\/reading$/)[0]!;
      const before = running.status.obeyed;
      await operator.publishAsync(sensor.replace("reading", "set"), '{"sensitivity":9}', { qos: 1 });
      await until(() => running.status.obeyed > before);
      await operator.endAsync();
    },
    LIMIT + 30_000,
  );

  it(
    "loses datagrams and changes addresses as it is told, counts both, and is heard all the same",
    async () => {
      const running = await start({ loss: 0.1, natLife: 2_000 });
      const { "mqtt-sn": sleepers, coap } = running.status.fleet;
      await until(
        () =>
          topics(/\/box-\d+\/reading$/).length >= sleepers.devices / 2 &&
          topics(/\/unit-\d+\/reading$/).length >= coap.devices / 2 &&
          running.status.moved > 20,
      );
      const { lost, moved, readings } = running.status;
      expect([lost, moved, readings].every((count) => count > 0)).toBe(true);
    },
    LIMIT + 30_000,
  );

  it(
    "ends in order, and leaves neither clients nor sessions nor retained messages behind",
    async () => {
      const running = await start();
      await until(() => connected(running) === 22 && running.status.readings > 60);
      const { bus, sessions } = gateway.composition;
      expect(bus.retainedMessages.count).toBeGreaterThan(0);
      await running.stop();
      await until(() => clients().length === 0);
      expect(connected(running)).toBe(0);
      expect(bus.retainedMessages.count).toBe(0);
      // The listener's own.
      expect([sessions.count, bus.filters]).toEqual([1, 1]);
    },
    LIMIT + 30_000,
  );

  it("says so when there is no gateway", async () => {
    await expect(start({ ports: { ...ports(), mqtt: await freeTcpPort() } })).rejects.toThrow(
      /ECONNREFUSED|refused/,
    );
  });

  it(
    "makes no devices of a protocol that is not spoken: the others take their share",
    async () => {
      const { "mqtt-sn": _, stomp: __, ...rest } = ports();
      const running = await start({ ports: rest });
      await until(() => connected(running) === 21);
      const { fleet } = running.status;
      expect([fleet["mqtt-sn"].devices, fleet.stomp.devices]).toEqual([0, 0]);
      expect(fleet.coap.devices).toBe(15);
    },
    LIMIT + 30_000,
  );

  it(
    "the command runs it against the ports it is told, and Ctrl+C ends it in order",
    async () => {
      const told = Object.entries(ports()).flatMap(([protocol, port]) => ["--port", `${protocol}=${port}`]);
      const child = spawn(process.execPath, [
        ...[BIN, "sim", "water-meters", "--devices", "10", "--interval", "500ms"],
        ...["--host", "127.0.0.1", "--json", ...told],
      ]);
      let [out, errors] = ["", ""];
      child.stdout.on("data", (chunk) => {
        out += chunk;
      });
      child.stderr.on("data", (chunk) => {
        errors += chunk;
      });
      const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
      try {
        await until(() => clients().length === 12 && topics(/\/up\/send$/).length > 0 && out !== "");
      } finally {
        child.kill("SIGINT");
      }
      expect([await ended, errors]).toEqual([0, ""]);
      const last = JSON.parse(out.trim().split("\n").at(-1)!);
      expect(last).toMatchObject({ scenario: "water-meters", devices: 10, refused: 0 });
      await until(() => clients().length === 0);
      expect(gateway.composition.bus.retainedMessages.count).toBe(0);
    },
    LIMIT + 30_000,
  );
});

/** Of a name in a SenML pack. */
const fieldOf = (payload: Uint8Array, name: string): unknown =>
  payload.length === 0
    ? undefined
    : (JSON.parse(Buffer.from(payload).toString()) as { n: string; v?: number }[]).find(({ n }) => n === name)
        ?.v;
