/** Topics of the collection outlive the process, and what they held goes with them (draft-ietf-core-coap-pubsub-21). */
import { encode, Tagged } from "cborg";
import { expect, it } from "vitest";
import type { Duration } from "#core/lib/time.ts";
import { CoapDevice } from "../../support/coap-device.ts";
import { pubsubOf } from "../../support/coap-site.ts";
import { Lives } from "../../support/lives.ts";

const PUBSUB = 606;
const TYPE = "core.ps.data";

function open(lives: Lives) {
  const device = new CoapDevice(pubsubOf(lives.world).network);
  let id = 0;
  const say = (code: string, path: string, entries: [number, unknown][]): void => {
    device.send({ code, path, id: ++id, options: [[12, PUBSUB]], payload: encode(new Map(entries)) });
  };
  return {
    device,
    /** Resolves to the topic's path, and that of its data. */
    async create(name: string, ...more: [number, unknown][]) {
      say("POST", "pubsub", [[0, name], [2, TYPE], ...more]);
      expect(device.take(), "answered before it is kept").toEqual([]);
      await lives.commit();
      const [answer] = device.take();
      expect(answer?.code).toBe("2.01");
      const path = answer!.text(8).join("/");
      return { path, data: path.replace("pubsub/", "pubsub/data/") };
    },
    async change(path: string, ...entries: [number, unknown][]) {
      say("iPATCH", path, entries);
      expect(device.take()).toEqual([]);
      await lives.commit();
      expect(device.take()).toMatchObject([{ code: "2.04" }]);
    },
    async put(path: string, payload: string) {
      device.send({ code: "PUT", path, payload, id: ++id });
      await lives.commit();
      expect(device.take().map(({ code }) => code.slice(0, 1))).toEqual(["2"]);
    },
    get: (path: string) => device.ask({ path, id: ++id }),
  };
}

it("a topic is there after a crash, as it was changed last, with its data", async () => {
  const lives = new Lives({}, true);
  const before = open(lives);
  const { path, data } = await before.create("room/2", [4, "temperature"]);
  await before.change(path, [7, 60]);
  await before.put(data, "21.5");
  const described = before.get(path).payload;
  lives.kill(1000);
  lives.restore();
  const after = open(lives);
  expect(after.get(path)).toMatchObject({ code: "2.05", payload: described });
  expect(after.get(data)).toMatchObject({ code: "2.05", payload: "21.5" });
});

it("a topic that is deleted stays deleted, and a name is in use after a restart as before", async () => {
  const lives = new Lives({}, true);
  const before = open(lives);
  const { path } = await before.create("a");
  await before.create("b");
  before.device.send({ code: "DELETE", path, id: 90 });
  await lives.commit();
  lives.kill(1000);
  lives.restore();
  const after = open(lives);
  expect(after.get(path).code).toBe("4.04");
  after.device.send({
    ...{ code: "POST", path: "pubsub", id: 91, options: [[12, PUBSUB]] },
    payload: encode(
      new Map<number, unknown>([
        [0, "b"],
        [2, TYPE],
      ]),
    ),
  });
  expect(after.device.take()).toMatchObject([{ code: "4.00", payload: "topic-name is in use" }]);
});

it.each(["while the gateway runs", "while it does not"])(
  "what a topic that expires (%s) held is not retained any more",
  async (when) => {
    const lives = new Lives({}, true);
    const before = open(lives);
    const date = new Tagged(1, lives.world.now / 1000 + 60);
    const { path, data } = await before.create("short", [5, date]);
    await before.put(data, "1");
    expect(lives.world.bus.retained("short", 1)).toHaveLength(1);
    if (when === "while it does not") {
      lives.kill(120_000);
      lives.restore();
    }
    const after = when === "while it does not" ? open(lives) : before;
    lives.world.advance(61_000 as Duration);
    await lives.commit();
    expect(after.get(path).code).toBe("4.04");
    expect(lives.world.bus.retained("short", 1)).toEqual([]);
    expect(lives.engine.records).toBe(0);
  },
);
