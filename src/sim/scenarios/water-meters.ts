/** A water works: meters that sleep (LwM2M in queue mode), leak sensors (MQTT-SN), and valves (CoAP). */
import { Battery, Drift, daylight, Spell } from "../life.ts";
import type { Luck } from "../luck.ts";
import type { Thing } from "../thing.ts";
import { type Command, numbered, Observing, type Scenario, valueIn } from "./scenario.ts";

const MINUTE = 60_000;
const HOUSES_A_DISTRICT = 25;
const district = (index: number): string => `district-${Math.floor(index / HOUSES_A_DISTRICT) + 1}`;
/** Bar. */
const PRESSURE = 4.2;

function meter(index: number, luck: Luck, now: number): Thing {
  const tap = new Spell(luck, 3 * MINUTE, MINUTE, now);
  const leaks = luck.chance(0.03);
  const battery = new Battery(luck);
  let volume = luck.between(12, 900);
  let read = now;
  let most = 0;
  return {
    ...{ protocol: "lwm2m", name: numbered("meter", index), sleeps: true, settings: [] },
    topic: "",
    charge: () => battery.used(),
    quantities: [
      {
        ...{ name: "volume", unit: "m3", path: "/3424/0/1" },
        read(at) {
          // In m³/h: a tap, more of them in the morning and evening, and what drips.
          const flow = (tap.at(at) ? luck.between(0.2, 0.9) * (1.3 - daylight(at)) : 0) + (leaks ? 0.02 : 0);
          most = Math.max(most, flow);
          volume += (flow * Math.max(0, at - read)) / (60 * MINUTE);
          read = at;
          return volume;
        },
      },
      { name: "maximumFlow", unit: "m3/h", path: "/3424/0/8", read: () => most },
      { name: "leak", unit: undefined, path: "/3424/0/9", read: () => leaks },
    ],
  };
}

function leakSensor(index: number, luck: Luck, now: number): Thing {
  const wet = new Spell(luck, 30 * MINUTE, 4 * MINUTE, now);
  const battery = new Battery(luck);
  const alarm = { name: "alarm", value: false };
  return {
    ...{ protocol: "mqtt-sn", name: numbered("leak", index), sleeps: true, settings: [alarm] },
    topic: `sim/water-meters/${district(index)}/${numbered("leak", index)}/reading`,
    quantities: [
      { name: "wet", unit: undefined, read: (at) => wet.at(at) },
      { name: "battery", unit: "%EL", read: () => battery.used() },
    ],
  };
}

function valve(index: number, luck: Luck, now: number): Thing {
  const open = { name: "open", value: 100 };
  const pressure = new Drift(luck, PRESSURE, MINUTE, 0.15, now);
  return {
    ...{ protocol: "coap", name: numbered("valve", index), sleeps: false, settings: [open] },
    topic: `sim/water-meters/${district(index)}/${numbered("valve", index)}/reading`,
    quantities: [
      { name: "open", unit: "%", read: () => open.value },
      {
        ...{ name: "pressure", unit: "bar" },
        read: (at) => pressure.towards((PRESSURE - 1.2 * (1 - daylight(at)) ** 2) * (open.value / 100), at),
      },
    ],
  };
}

export function waterMeters(): Scenario {
  const observing = new Observing("/3424/0/1");
  const wet = new Set<string>();
  return {
    name: "water-meters",
    mixture: { lwm2m: 5, "mqtt-sn": 3, coap: 2 },
    thing: (protocol, index, luck, now) =>
      (protocol === "lwm2m" ? meter : protocol === "mqtt-sn" ? leakSensor : valve)(index, luck, now),
    heard(topic, payload): readonly Command[] {
      const observes = observing.commands(topic, payload);
      if (observes.length > 0) return observes;
      const isWet = valueIn(payload, "wet");
      if (typeof isWet !== "boolean" || isWet === wet.has(topic)) return [];
      if (isWet) wet.add(topic);
      else wet.delete(topic);
      const [root, scenario, place] = topic.split("/");
      // The valves of the district close to a quarter while water runs where it should not.
      const dry = ![...wet].some((each) => each.startsWith(`${root}/${scenario}/${place}/`));
      const first = HOUSES_A_DISTRICT * (Number(place?.split("-")[1]) - 1);
      return [
        { topic: topic.replace(/reading$/, "set"), payload: JSON.stringify({ alarm: isWet }) },
        {
          topic: `${root}/${scenario}/${place}/${numbered("valve", first)}/set`,
          payload: JSON.stringify({ open: dry ? 100 : 25 }),
        },
      ];
    },
    think: () => [],
    job: (topic, payload) =>
      valueIn(payload, "wet") === true
        ? JSON.stringify({ what: "water where it should not be", where: topic.split("/")[3] })
        : undefined,
  };
}
