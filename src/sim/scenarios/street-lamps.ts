/** A street at night: lamps (CoAP) that an application dims, cabinets (LwM2M), and motion sensors (MQTT-SN). */
import { Battery, daylight, Spell } from "../life.ts";
import type { Luck } from "../luck.ts";
import type { Thing } from "../thing.ts";
import { type Command, numbered, Observing, type Scenario, valueIn } from "./scenario.ts";

const MINUTE = 60_000;
const LAMPS_A_STREET = 20;
const street = (index: number): string => `street-${Math.floor(index / LAMPS_A_STREET) + 1}`;
/** Lux. */
const brightness = (now: number): number => 5 + 9_000 * daylight(now) ** 2;
const DARK = 400;

function lamp(index: number, luck: Luck, now: number): Thing {
  const level = { name: "level", value: 0 };
  const broken = new Spell(luck, 60 * MINUTE, 3 * MINUTE, now);
  let dead = false;
  return {
    ...{ protocol: "coap", name: numbered("lamp", index), sleeps: false, settings: [level] },
    topic: `sim/street-lamps/${street(index)}/${numbered("lamp", index)}/reading`,
    quantities: [
      { name: "broken", unit: undefined, read: (at) => (dead = broken.at(at)) },
      { name: "level", unit: "%", read: () => level.value },
      {
        name: "power",
        unit: "W",
        read: () => (dead ? 0.4 : 0.6 + 0.72 * level.value + luck.between(0, 0.5)),
      },
      { name: "light", unit: "lx", read: (at) => brightness(at) * luck.between(0.95, 1.05) },
    ],
  };
}

function cabinet(index: number, luck: Luck): Thing {
  const on = { name: "on", path: "/3311/0/5850", value: true };
  const dimmer = { name: "dimmer", path: "/3311/0/5851", value: 100 };
  return {
    ...{ protocol: "lwm2m", name: numbered("cabinet", index), sleeps: false, settings: [on, dimmer] },
    topic: "",
    quantities: [
      {
        ...{ name: "power", unit: "W", path: "/3328/0/5700" },
        read: (at) => (on.value && brightness(at) < DARK ? 14.4 * dimmer.value : 35) + luck.between(-3, 3),
      },
    ],
  };
}

function motionSensor(index: number, luck: Luck, now: number): Thing {
  const people = new Spell(luck, 2 * MINUTE, MINUTE, now);
  const battery = new Battery(luck);
  const sensitivity = { name: "sensitivity", value: 5 };
  return {
    ...{ protocol: "mqtt-sn", name: numbered("motion", index), sleeps: true, settings: [sensitivity] },
    topic: `sim/street-lamps/${street(index)}/${numbered("motion", index)}/reading`,
    quantities: [
      { name: "motion", unit: undefined, read: (at) => people.at(at) },
      { name: "battery", unit: "%EL", read: () => battery.used() },
    ],
  };
}

export function streetLamps(): Scenario {
  const observing = new Observing("/3328/0/5700", "/3311/0/5850");
  /** By lamp, what it was told. */
  const levels = new Map<string, number>();
  const wanted = new Map<string, boolean>();
  return {
    name: "street-lamps",
    mixture: { coap: 6, "mqtt-sn": 3, lwm2m: 1 },
    thing: (protocol, index, luck, now) =>
      protocol === "coap"
        ? lamp(index, luck, now)
        : protocol === "lwm2m"
          ? cabinet(index, luck)
          : motionSensor(index, luck, now),
    heard(topic, payload): readonly Command[] {
      const observes = observing.commands(topic, payload);
      if (observes.length > 0) return observes;
      const place = topic.split("/")[2] ?? "";
      const motion = valueIn(payload, "motion");
      if (motion !== undefined) wanted.set(place, motion === true);
      const light = valueIn(payload, "light");
      if (typeof light !== "number") return [];
      // Lit while somebody walks there, low in the dark, and out by day.
      const level = light > DARK ? 0 : wanted.get(place) === true ? 100 : 30;
      if (levels.get(topic) === level) return [];
      levels.set(topic, level);
      return [{ topic: topic.replace(/reading$/, "set"), payload: JSON.stringify({ level }) }];
    },
    think: () => [],
    job: (topic, payload) =>
      valueIn(payload, "broken") === true
        ? JSON.stringify({ what: "lamp does not burn", where: topic.split("/")[3] })
        : undefined,
  };
}
