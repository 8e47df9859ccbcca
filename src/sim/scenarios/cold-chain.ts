/** Lorries with cold boxes: probes that sleep (MQTT-SN), cooling units (CoAP), and cold rooms where they load (LwM2M). */
import { Battery, Drift, daylight, Spell } from "../life.ts";
import type { Luck } from "../luck.ts";
import type { Thing } from "../thing.ts";
import { type Command, numbered, Observing, type Scenario, valueIn } from "./scenario.ts";

const MINUTE = 60_000;
const BOXES_A_LORRY = 12;
const TOO_WARM = -12;
const FROZEN = -20;
/** In °C, at night and by how much more at noon. */
const outside = (now: number): number => 12 + 14 * daylight(now);

const lorry = (index: number): string => `lorry-${Math.floor(index) + 1}`;

function box(index: number, luck: Luck, now: number): Thing {
  const air = new Drift(luck, FROZEN + luck.between(-1, 2), 4 * MINUTE, 1.2, now);
  const door = new Spell(luck, 8 * MINUTE, 1.2 * MINUTE, now);
  const battery = new Battery(luck);
  const limit = { name: "limit", value: TOO_WARM };
  let open = false;
  return {
    ...{ protocol: "mqtt-sn", name: numbered("box", index), sleeps: true, settings: [limit] },
    topic: `sim/cold-chain/${lorry(index / BOXES_A_LORRY)}/${numbered("box", index)}/reading`,
    quantities: [
      { name: "door", unit: undefined, read: (at) => (open = door.at(at)) },
      { name: "temperature", unit: "Cel", read: (at) => air.towards(open ? outside(at) : FROZEN, at) },
      { name: "battery", unit: "%EL", read: () => battery.used() },
    ],
  };
}

function coolingUnit(index: number, luck: Luck, now: number): Thing {
  const setPoint = { name: "setPoint", value: FROZEN - 2 };
  const supply = new Drift(luck, FROZEN, MINUTE, 0.8, now);
  const defrost = new Spell(luck, 10 * MINUTE, MINUTE, now);
  let defrosting = false;
  return {
    ...{ protocol: "coap", name: numbered("unit", index), sleeps: false, settings: [setPoint] },
    topic: `sim/cold-chain/${lorry(index)}/${numbered("unit", index)}/reading`,
    quantities: [
      { name: "defrost", unit: undefined, read: (at) => (defrosting = defrost.at(at)) },
      { name: "temperature", unit: "Cel", read: (at) => supply.towards(defrosting ? 4 : setPoint.value, at) },
      {
        ...{ name: "power", unit: "W" },
        read: (at) => (defrosting ? 2400 : 900 + 25 * (outside(at) - setPoint.value) + luck.between(-40, 40)),
      },
    ],
  };
}

function coldRoom(index: number, luck: Luck, now: number): Thing {
  const setPoint = { name: "setPoint", path: "/3308/0/5900", value: FROZEN };
  const air = new Drift(luck, FROZEN, 8 * MINUTE, 0.6, now);
  const gate = new Spell(luck, 5 * MINUTE, 2 * MINUTE, now);
  return {
    ...{ protocol: "lwm2m", name: numbered("cold-room", index), sleeps: false, settings: [setPoint] },
    topic: "",
    quantities: [
      {
        ...{ name: "temperature", unit: "Cel", path: "/3303/0/5700" },
        read: (at) => air.towards(gate.at(at) ? outside(at) / 2 : setPoint.value, at),
      },
    ],
  };
}

export function coldChain(): Scenario {
  const observing = new Observing("/3303/0/5700");
  const warned = new Set<string>();
  return {
    name: "cold-chain",
    mixture: { "mqtt-sn": 6, coap: 3, lwm2m: 1 },
    thing: (protocol, index, luck, now) =>
      (protocol === "mqtt-sn" ? box : protocol === "coap" ? coolingUnit : coldRoom)(index, luck, now),
    heard(topic, payload): readonly Command[] {
      const observes = observing.commands(topic, payload);
      if (observes.length > 0 || !topic.endsWith("/reading")) return observes;
      const temperature = valueIn(payload, "temperature");
      if (typeof temperature !== "number" || valueIn(payload, "battery") === undefined) return [];
      // A box that has warmed up is watched more closely; it hears of it when it wakes up.
      const set = topic.replace(/reading$/, "set");
      if (temperature > TOO_WARM === warned.has(set)) return [];
      if (temperature > TOO_WARM) warned.add(set);
      else warned.delete(set);
      return [{ topic: set, payload: JSON.stringify({ limit: warned.has(set) ? TOO_WARM + 5 : TOO_WARM }) }];
    },
    think: () => [],
    job(topic, payload) {
      const temperature = valueIn(payload, "temperature");
      const door = valueIn(payload, "door");
      if (typeof temperature !== "number" || temperature <= TOO_WARM || door !== true) return undefined;
      return JSON.stringify({ what: "door open, cargo warms up", where: topic.split("/")[3], temperature });
    },
  };
}
