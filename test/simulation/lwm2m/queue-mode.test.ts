/**
 * A thousand sleeping devices on a bad network: every command is answered on MQTT exactly once, whatever is
 * lost, doubled, delayed or overtaken. A failure prints its seed.
 */
import { expect, it } from "vitest";
import { CallbackAlarm } from "#core/lib/alarm.ts";
import { after, type Duration, hours, minutes, seconds } from "#core/lib/time.ts";
import { textsOf } from "../../support/coap-bytes.ts";
import type { Lwm2mDevice } from "../../support/lwm2m-device.ts";
import { Lwm2mWorld, type Report } from "../../support/lwm2m-world.ts";

const COMMANDS = 3;
const LENGTH = hours(3);
const AWAKE = seconds(60);

interface Network {
  readonly loss: number;
  readonly duplication: number;
  readonly delayMax: Duration;
}

/** Runs something later in virtual time. */
const later = (world: Lwm2mWorld, wait: number, run: () => void): void =>
  world.ring(new CallbackAlarm(run), after(world.now, wait as Duration));

function overBadNetwork(world: Lwm2mWorld, network: Network, arrive: () => void): void {
  const copies = world.random() < network.duplication ? 2 : 1;
  for (let copy = 0; copy < copies; copy++) {
    if (world.random() < network.loss) continue;
    later(world, 1 + world.random() * network.delayMax, arrive);
  }
}

/** A device that wakes now and then, says so until it is heard, listens for a while, and sleeps again. */
function liveOn(world: Lwm2mWorld, network: Network, device: Lwm2mDevice): void {
  const direct = device.wire.send.bind(device.wire);
  device.wire.send = (bytes) => overBadNetwork(world, network, () => direct(bytes));
  device.script = () => ({ code: "2.05", payload: "42" });
  const say = (): void => {
    const created = device.answers.findLast((message) => message.code === "2.01");
    if (created !== undefined) device.location = textsOf(created, 8).join("/");
    const refused = device.answers.at(-1)?.code === "4.04";
    if (device.location === undefined || refused) {
      device.send("0.02", "rd", [`ep=${device.ep}`, "lt=86400", "lwm2m=1.0", "b=UQ"], "</3/0>", 40);
    } else device.send("0.02", device.location, []);
  };
  const wake = (): void => {
    device.wakeUp();
    const before = device.answers.length;
    const heard = () => device.answers.length > before && device.answers.at(-1)?.code !== "4.04";
    for (let attempt = 0; attempt < 4; attempt++) {
      later(world, attempt * 4000, () => {
        if (!heard()) say();
      });
    }
    later(world, AWAKE, () => {
      device.sleep();
      later(world, minutes(15) + world.random() * minutes(15), wake);
    });
  };
  device.sleep();
  later(world, world.random() * minutes(5), wake);
}

/** Messages that are the last word on a command. */
const isLastWord = (report: Report): boolean => report.msgType !== "ack" && report.msgType !== "queued";

function run(devices: number, seed: number, network: Network, qos: 0 | 1): Map<string, Report[]> {
  const settings = { commands: { ttl: "1d" }, stack: { amplification: "off" } };
  const world = new Lwm2mWorld(settings, { seed });
  const direct = world.network.toDevice;
  world.network.toDevice = (datagram) => overBadNetwork(world, network, () => direct(datagram));
  const heard = world.listen("lwm2m/+/up/resp");
  for (let index = 0; index < devices; index++) {
    const device = world.device(`d${index}`, 10_000 + index);
    liveOn(world, network, device);
    for (let command = 0; command < COMMANDS; command++) {
      // QoS 0 to a device that was never there is nobody's: it waits for the first registration.
      const publish = (): void => {
        if (!device.answers.some((message) => message.code === "2.01")) later(world, minutes(5), publish);
        else
          world.command(
            device.ep,
            { reqID: `${index}.${command}`, msgType: "read", data: { path: "/3/0/9" } },
            qos,
          );
      };
      later(world, minutes(10) + world.random() * minutes(80), publish);
    }
  }
  world.advance(LENGTH);
  const answers = new Map<string, Report[]>();
  for (const message of heard) {
    const report = JSON.parse(Buffer.from(message.payload).toString()) as Report;
    const id = report["reqID"] as string | undefined;
    if (id === undefined || !isLastWord(report)) continue;
    answers.set(id, [...(answers.get(id) ?? []), report]);
  }
  return answers;
}

it.each([
  {
    devices: 1000,
    seed: 1,
    qos: 1 as const,
    network: { loss: 0.1, duplication: 0.05, delayMax: seconds(1) },
  },
  { devices: 200, seed: 2, qos: 0 as const, network: { loss: 0.25, duplication: 0.1, delayMax: seconds(3) } },
])(
  "each command to one of $devices sleepers is answered exactly once (seed $seed, QoS $qos)",
  ({ devices, seed, qos, network }) => {
    const answers = run(devices, seed, network, qos);
    const counts = [...answers.values()].map((reports) => reports.length);
    expect(answers.size, `seed ${seed}: commands without an answer`).toBe(devices * COMMANDS);
    expect(Math.max(...counts), `seed ${seed}: answers to one command`).toBe(1);
    const values = [...answers.values()].filter(([report]) => report?.msgType === "read").length;
    expect(values, `seed ${seed}: answered by the device`).toBeGreaterThan(devices * COMMANDS * 0.8);
  },
);
