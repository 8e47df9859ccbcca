import { Ring } from "../../lib/ring.ts";
import { after, type Duration, type Instant, seconds } from "../../lib/time.ts";
import type { ServerCaps } from "../../mqtt/client/server-limits.ts";
import type { Server } from "../server-choice.ts";
import { Circuit } from "./circuit.ts";
import type { GroupSettings, ServerSettings } from "./settings.ts";

/** One server as it shall be: what a name stands for has been looked up. */
export interface Place {
  readonly settings: ServerSettings;
  readonly url: string;
  /** Undefined: whatever the name in the URL stands for when it is dialled. */
  readonly address: string | undefined;
}

/** Makes connections to one server. */
export type Dial = Server["dial"];

const EXPECTED_FOR = seconds(10);

/** One server of a group: how it fares, and how many sessions are there. */
export class Member implements Server {
  readonly name: string;
  readonly version: Server["version"];
  readonly caps: ServerCaps;
  /** In the words of the settings, or with one of the addresses that its name stands for. */
  readonly url: string;
  /** Weight and priority may change while it runs. */
  settings: ServerSettings;
  readonly circuit: Circuit;
  readonly dial: Dial;
  elsewhere: (reference: string) => Server | undefined = () => undefined;
  /** Sessions that are connected to it. */
  sessions = 0;
  /** The version of MQTT in which it has let the last session in. */
  spoken: 4 | 5 | undefined = undefined;
  /** How long it last took to answer PINGREQ. */
  roundTrip: Duration | undefined = undefined;
  /** Until when sessions are counted that were sent there and are not known to be in: some never say. */
  readonly #expected = new Ring<Instant>();
  /** Nobody is sent there any more, and who is there is moved away. */
  draining = false;

  constructor(
    group: string,
    { url, settings }: Place,
    { version, caps, health }: GroupSettings,
    dial: Dial,
    random: () => number,
  ) {
    this.name = `${group} ${url}`;
    this.url = url;
    this.version = version;
    this.caps = caps;
    this.settings = settings;
    this.circuit = new Circuit(health, random);
    this.dial = dial;
  }

  /** Its share of new sessions now. */
  weight(now: Instant): number {
    return this.draining ? 0 : this.settings.weight * this.circuit.share(now);
  }

  /** It has failed, and its time to be tried has come. */
  mayBeTried(now: Instant): boolean {
    return !this.draining && this.settings.weight > 0 && this.circuit.state(now) === "half-open";
  }

  /** A session is sent there. */
  expect(now: Instant): void {
    this.#expected.push(after(now, EXPECTED_FOR));
    if (this.circuit.state(now) === "half-open") this.circuit.trying(now);
  }

  load(now: Instant): number {
    for (let due = this.#expected.peek(); due !== undefined && due <= now; due = this.#expected.peek()) {
      this.#expected.shift();
    }
    return this.sessions + this.#expected.length;
  }

  succeeded(version: 4 | 5): void {
    this.sessions++;
    this.spoken = version;
    this.#expected.shift();
  }

  failed(): void {
    this.#expected.shift();
  }

  left(): void {
    if (this.sessions > 0) this.sessions--;
  }
}
