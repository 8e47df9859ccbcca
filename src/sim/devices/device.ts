/** The life of a device, as a script: it comes in, does what it does, and begins anew when it has been lost. */
import { Unanswered } from "../awaited.ts";
import type { Field } from "../field.ts";
import { ID_PREFIX } from "../options.ts";
import type { Thing } from "../thing.ts";
import { Over } from "../timers.ts";

/** Before it is tried again; later each time. */
const RETRY_FIRST = 5_000;
const RETRY_LAST = 60_000;

/** The gateway said no. */
export class Turned extends Error {}

export abstract class Device {
  readonly field: Field;
  readonly thing: Thing;
  readonly id: string;
  /** It is in, and has not been told or noticed that it is not. */
  #connected = false;
  /** The gateway may have something of it. */
  #known = false;

  constructor(field: Field, thing: Thing) {
    this.field = field;
    this.thing = thing;
    this.id = ID_PREFIX + thing.name;
    field.counts.device(thing.protocol);
  }

  get connected(): boolean {
    return this.#connected;
  }

  set connected(connected: boolean) {
    this.#connected = connected;
    if (connected) this.field.counts.connected(this.thing.protocol, this);
    else this.field.counts.disconnected(this.thing.protocol, this);
  }

  /** Until the simulation ends; `wait`: before it is switched on. */
  async run(wait: number): Promise<void> {
    const { timers, counts, luck } = this.field;
    try {
      await timers.pause(wait);
      await this.open();
      for (let retry = RETRY_FIRST; ; retry = Math.min(2 * retry, RETRY_LAST)) {
        try {
          this.#known = true;
          await this.enter();
          retry = RETRY_FIRST;
          this.connected = true;
          await this.live();
        } catch (error) {
          if (!(error instanceof Unanswered || error instanceof Turned)) throw error;
          if (error instanceof Turned) counts.one("refused");
        }
        this.connected = false;
        await timers.pause(luck.about(retry));
      }
    } catch (error) {
      if (!(error instanceof Over)) throw error;
    }
  }

  /** Says goodbye, so that nothing of it is left at the gateway. */
  async end(): Promise<void> {
    try {
      if (this.#known) await this.leave();
    } catch (error) {
      if (!(error instanceof Unanswered || error instanceof Over || error instanceof Turned)) throw error;
    }
    this.connected = false;
    this.close();
  }

  /** Until its next reading. */
  protected interval(): Promise<void> {
    return this.field.timers.pause(this.field.luck.about(this.field.options.interval));
  }

  protected abstract open(): Promise<void>;
  protected abstract enter(): Promise<void>;
  /** Returns, or throws `Unanswered` or `Turned`, when it has to enter anew. */
  protected abstract live(): Promise<void>;
  protected abstract leave(): Promise<void>;
  abstract close(): void;
}
