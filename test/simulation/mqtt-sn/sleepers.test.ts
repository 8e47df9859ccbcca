import { describe, expect, it } from "vitest";
import { CallbackAlarm } from "#core/lib/alarm.ts";
import { after, type Duration, milliseconds, minutes, seconds } from "#core/lib/time.ts";
import { snWorld } from "../../support/mqtt-sn-device.ts";
import { type Air, Sleeper } from "../../support/mqtt-sn-sleeper.ts";
import { decode, ENCAPSULATED, PINGRESP } from "../../support/mqtt-sn-wire.ts";
import { mulberry32 } from "../../support/random.ts";

interface Weather {
  readonly loss: number;
  readonly duplicates: number;
  /** One way, in milliseconds. The spread reorders what follows closely; it stays below a round trip. */
  readonly delay: number;
  readonly spread: number;
}
/** A NAT keeps a mapping for two minutes at least (RFC 4787 REQ-5), longer than the gateway repeats. */
const NAT_TIMEOUT = seconds(120);
const STORM: Weather = { loss: 0.3, duplicates: 0.1, delay: 80, spread: 70 };

interface Run {
  readonly seed: number;
  readonly devices: number;
  readonly messages: number;
  readonly weather?: Weather;
}

/** A gateway, a bad network and so many sleeping devices, all from one seed. */
function simulate({ seed, devices, messages, weather = STORM }: Run) {
  const random = mulberry32(seed);
  const made = snWorld({}, { seed });
  const { world, network } = made;
  const byAddress = new Map<string, Sleeper>();
  const mappings = new Map<string, { device: Sleeper; until: number }>();
  const early: string[] = [];
  let datagrams = 0;
  const uplink = world.listen("up");

  const later = (run: () => void): void => {
    if (random() < weather.loss) return;
    const copies = random() < weather.duplicates ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const delay = milliseconds(Math.round(weather.delay + random() * weather.spread));
      world.ring(new CallbackAlarm(run), after(world.now, delay));
    }
  };
  const air: Air = {
    send(device, datagram) {
      datagrams++;
      const { address, port } = device;
      mappings.set(`${address}:${port}`, { device, until: after(world.now, NAT_TIMEOUT) });
      later(() => network.deliver(datagram, address, port));
    },
    // Few ports for many: a sleeper's port is soon somebody else's.
    port(device) {
      const taken = (port: number): boolean => {
        const mapping = mappings.get(`${device.address}:${port}`);
        return mapping !== undefined && mapping.device !== device && mapping.until > world.now;
      };
      if (random() > 0.4 && !taken(device.port)) return device.port;
      for (;;) {
        const port = 5000 + Math.floor(random() * devices * 0.3);
        if (!taken(port)) return port;
      }
    },
  };
  const keyOf = (address: string, port: number, node: Uint8Array | undefined): string =>
    `${address}:${port}/${node === undefined ? "" : Buffer.from(node).toString("hex")}`;
  const sleepers = Array.from({ length: devices }, (_, index) => new Sleeper(world, air, index, random));

  network.toDevice = ({ bytes, address, port }) => {
    datagrams++;
    const outer = decode(bytes);
    const wrapped = outer.ok && outer.value.type === ENCAPSULATED ? outer.value : undefined;
    const message = wrapped === undefined ? bytes : wrapped.message;
    const key = keyOf(address, port, wrapped?.node);
    if (message[1] === PINGRESP) expectEmpty(key);
    later(() => byAddress.get(key)?.receive(message));
  };
  const expectEmpty = (key: string): void => {
    const device = byAddress.get(key);
    if (device === undefined) return;
    const session = world.sessions.get("mqtt-sn", device.id);
    if (session === undefined || session.queued + session.unsettled === 0) return;
    // An active client's PINGREQ, late on its way, is answered at once (§6.11): it is no end of a flush.
    const { client } = world.core.directory.find("mqtt-sn", device.id) ?? {};
    const active = client?.loop.channel.status(client, world.now) === "active";
    if (!active) early.push(device.id);
  };
  const whereEverybodyIs = (): void => {
    byAddress.clear();
    for (const each of sleepers) {
      if (each.step !== "asleep") byAddress.set(keyOf(each.address, each.port, each.node), each);
    }
  };

  const published: string[][] = sleepers.map(() => []);
  for (const each of sleepers) each.start();
  const run = (length: Duration): void => {
    for (let passed = 0; passed < length; passed += 250) {
      whereEverybodyIs();
      world.advance(milliseconds(250));
    }
  };
  run(minutes(2));
  for (let count = 0; count < messages; count++) {
    const index = Math.floor(random() * devices);
    const list = published[index]!;
    const qos = random() < 0.5 ? 1 : 2;
    const payload = `${list.length}:${qos}`;
    list.push(payload);
    world.publish(`to/d${index}/${Math.floor(random() * 3)}`, payload, { qos });
    if (count % Math.ceil(messages / 200) === 0) run(seconds(5));
  }
  for (const each of sleepers) each.quiet = true;
  let rounds = 0;
  const finished = (): boolean =>
    sleepers.every((each, index) => each.got.length >= published[index]!.length) &&
    [...world.sessions.all()].every((session) => session.queued + session.unsettled === 0);
  while (!finished() && rounds++ < 120) run(minutes(1));
  run(minutes(3));
  const heard = (): string[] => uplink.map(({ payload }) => new TextDecoder().decode(payload));
  return { ...made, sleepers, published, early, datagrams, heard };
}

function check(run: Run): ReturnType<typeof simulate> {
  const result = simulate(run);
  const { sleepers, published, early, world, network } = result;
  const about = `seed ${run.seed}`;
  expect(early, `${about}: PINGRESP before the queue was empty`).toEqual([]);
  for (const [index, device] of sleepers.entries()) {
    expect(device.got, `${about}, ${device.id}: everything, in order`).toEqual(published[index]);
    for (const [payload, times] of device.taken) {
      if (payload.endsWith(":2")) expect(times, `${about}, ${device.id}: ${payload} exactly once`).toBe(1);
    }
  }
  expect(world.sessions.count, about).toBe(run.devices);
  for (const session of world.sessions.all()) {
    expect(session.queued + session.unsettled, `${about}: ${session.key}`).toBe(0);
  }
  expect(network.runtime.peers.count, `${about}: one channel a device at most`).toBeLessThanOrEqual(
    run.devices,
  );
  expect(
    world.notes.filter(({ note }) => note.level === "warn"),
    about,
  ).toEqual([]);
  return result;
}

/** What the devices sent: every acknowledged message arrived, QoS 2 exactly once. */
function checkUplink(run: Run): void {
  const result = simulate(run);
  const times = new Map<string, number>();
  for (const payload of result.heard()) times.set(payload, (times.get(payload) ?? 0) + 1);
  let acknowledged = 0;
  for (const device of result.sleepers) {
    for (const payload of device.acknowledged) {
      acknowledged++;
      expect(times.has(payload), `seed ${run.seed}: ${payload} acknowledged and kept`).toBe(true);
    }
  }
  for (const [payload, count] of times) {
    if (payload.endsWith(":2")) expect(count, `seed ${run.seed}: ${payload}`).toBe(1);
  }
  expect(acknowledged).toBeGreaterThan(0);
}

describe("MQTT-SN 1.2 §6.14, sleeping devices on a network that loses 30 %, duplicates, reorders and moves them", () => {
  it("500 devices get all QoS 1 in order and all QoS 2 exactly once, and no PINGRESP too early", () => {
    const result = check({ seed: 20_261_122, devices: 500, messages: 5000 });
    const { sleepers, datagrams, world, network } = result;
    // The run is worth its name: devices moved, lost their ports to others, and were found all the same.
    expect(network.runtime.peers.moved).toBeGreaterThan(500);
    expect(world.connects.filter((each) => each.sessionPresent).length).toBeGreaterThan(500);
    const parked = world.disconnects.filter(({ reason }) => reason === "expected").length;
    expect(parked).toBeGreaterThan(100);
    expect(Math.min(...sleepers.map((each) => each.wakes))).toBeGreaterThan(0);
    expect(datagrams).toBeGreaterThan(20_000);
  }, 60_000);

  it.each(Array.from({ length: 12 }, (_, index) => index + 1))(
    "seed %i: 20 devices, 400 messages",
    (seed) => {
      check({ seed, devices: 20, messages: 400 });
    },
  );

  it.each([101, 102, 103])("seed %i: what devices publish and get acknowledged is kept", (seed) => {
    checkUplink({ seed, devices: 20, messages: 200 });
  });
});
