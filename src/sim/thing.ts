/** What a simulated device measures and what can be set on it, whatever protocol it speaks. */
import type { ProtocolName } from "./options.ts";

/** One value of a reading. `path`: where an LwM2M device has it. */
export interface Quantity {
  readonly name: string;
  /** SenML unit (RFC 8428 §12.1); undefined for a state or a count. */
  readonly unit: string | undefined;
  readonly path?: string;
  read(now: number): number | boolean;
}

/** Something that an application may set. */
export interface Setting {
  readonly name: string;
  readonly path?: string;
  value: number | boolean;
}

export type DeviceProtocol = Extract<ProtocolName, "mqtt-sn" | "coap" | "lwm2m">;

export interface Thing {
  readonly protocol: DeviceProtocol;
  /** `box-0012`; the client id or endpoint name has `sim-` in front. */
  readonly name: string;
  /** What its readings are published under; `set` in place of `reading` is where its settings come from. */
  readonly topic: string;
  readonly quantities: readonly Quantity[];
  readonly settings: readonly Setting[];
  /** A battery that the device lives from: it sleeps. */
  readonly sleeps: boolean;
  /** How much its battery has left, in percent; undefined: it has mains. */
  charge?(): number;
}

export interface Reading {
  readonly quantity: Quantity;
  readonly value: number | boolean;
}

export const readingsOf = (thing: Thing, now: number): readonly Reading[] =>
  thing.quantities.map((quantity) => ({ quantity, value: rounded(quantity.read(now)) }));

/** No sensor has more digits than two. */
export const rounded = (value: number | boolean): number | boolean =>
  typeof value === "number" ? Math.round(value * 100) / 100 : value;

/** Takes `{"name": value}` as applications send it; says whether anything was taken. */
export function applySettings(thing: Thing, payload: string): boolean {
  let wish: unknown;
  try {
    wish = JSON.parse(payload);
  } catch {
    return false;
  }
  if (typeof wish !== "object" || wish === null) return false;
  let taken = false;
  for (const setting of thing.settings) {
    const value: unknown = (wish as Record<string, unknown>)[setting.name];
    if (typeof value !== typeof setting.value) continue;
    setting.value = value as number | boolean;
    taken = true;
  }
  return taken;
}

/** As small devices write it: plain names and values. */
export const asJson = (readings: readonly Reading[]): string =>
  JSON.stringify(Object.fromEntries(readings.map(({ quantity, value }) => [quantity.name, value])));

/** As CoAP devices write it (RFC 8428 §5): one pack, its base name the device's. */
export const asSenml = (name: string, now: number, readings: readonly Reading[]): string =>
  JSON.stringify(
    readings.map(({ quantity, value }, index) => ({
      ...(index === 0 ? { bn: `urn:dev:ops:sim-${name}:`, bt: Math.round(now / 1000) } : {}),
      n: quantity.name,
      ...(quantity.unit === undefined ? {} : { u: quantity.unit }),
      ...(typeof value === "boolean" ? { vb: value } : { v: value }),
    })),
  );
