import { type Alarm, type Alarms, CallbackAlarm } from "../lib/alarm.ts";
import type { BusClient } from "./bus-client.ts";

/** Disconnects clients when their logins end. Few logins have an end, and only those cost anything here. */
export class LoginEnds {
  readonly #alarms: Alarms;
  readonly #ends = new Map<BusClient, Alarm>();

  constructor(alarms: Alarms) {
    this.#alarms = alarms;
  }

  watch(client: BusClient): void {
    const { expiresAt } = client.identity;
    if (expiresAt === undefined) return;
    const end = new CallbackAlarm(() => client.loop.stopClient(client, "expired"));
    this.#ends.set(client, end);
    this.#alarms.arm(end, expiresAt);
  }

  /** The client has left before. */
  forget(client: BusClient): void {
    const end = this.#ends.get(client);
    if (end === undefined) return;
    this.#ends.delete(client);
    this.#alarms.disarm(end);
  }
}
