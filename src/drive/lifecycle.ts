import type { Note } from "../contract/note.ts";
import type { Core } from "../door/core.ts";
import type { Door } from "../door/door.ts";
import type { Doors } from "../door/doors.ts";
import type { Duration } from "../lib/time.ts";
import { FlushSchedule } from "../net/merged-output.ts";
import type {
  AcceptStream,
  DatagramListenerOptions,
  DatagramSocket,
  Listening,
  ReceiveDatagrams,
  StreamListenerOptions,
} from "../net/transport.ts";
import { DatagramRuntime, type DatagramRuntimeOptions } from "./datagram-runtime.ts";
import type { Gateways } from "./gateways.ts";
import { StreamRuntime } from "./stream-runtime.ts";

/** How listeners are opened: by sockets, given by the composition. */
export interface Openers {
  stream(
    options: StreamListenerOptions,
    accept: AcceptStream,
    note: (note: Note) => void,
  ): Promise<Listening>;
  datagram(
    options: DatagramListenerOptions,
    receive: ReceiveDatagrams,
    note: (note: Note) => void,
  ): Promise<DatagramSocket>;
  /** Runs something at the end of this turn of the event loop. */
  defer(run: () => void): void;
  /** For so many milliseconds. */
  wait(length: number): Promise<void>;
}

/** One listener that the configuration asks for. */
export interface ListenerPlan {
  readonly gateway: string;
  readonly name: string;
  readonly stream?: StreamListenerOptions;
  readonly datagram?: DatagramListenerOptions & DatagramRuntimeOptions;
}

/** An open listener, for the start banner, status and metrics. */
export interface OpenedListener {
  readonly gateway: string;
  readonly name: string;
  readonly listening: Listening;
  readonly door: Door;
  readonly datagrams: DatagramRuntime | undefined;
}

/** How often those that stop are looked at, in milliseconds. */
const STOP_POLL = 20;

/** Opens and closes the listeners of all gateways. */
export class Lifecycle {
  readonly gateways: Gateways;
  readonly #core: Core;
  readonly #doors: Doors;
  readonly #openers: Openers;
  readonly #schedule: FlushSchedule;
  readonly #opened = new Set<OpenedListener>();

  constructor(core: Core, doors: Doors, gateways: Gateways, openers: Openers) {
    this.#core = core;
    this.#doors = doors;
    this.gateways = gateways;
    this.#openers = openers;
    this.#schedule = new FlushSchedule((run) => openers.defer(run));
  }

  get listeners(): readonly OpenedListener[] {
    return [...this.#opened];
  }

  listener(gateway: string, name: string): OpenedListener | undefined {
    for (const opened of this.#opened) {
      if (opened.gateway === gateway && opened.name === name) return opened;
    }
    return undefined;
  }

  /** Opens one listener; throws `ListenError`. Nothing is done for a gateway that does not run. */
  async open(plan: ListenerPlan): Promise<void> {
    const running = this.gateways.get(plan.gateway);
    if (running === undefined) return;
    const door = this.#doors.open(plan.gateway, plan.name);
    try {
      const { gateway, name, stream, datagram } = plan;
      const { transport } = stream ?? datagram ?? {};
      if (transport === undefined) throw new TypeError(`no transport for listener ${gateway}.${name}`);
      const endpoint = running.gateway.endpoint({ name, transport });
      const note = (note: Note): void => this.#core.note(gateway, note);
      const common = { gateway, name, door };
      if (stream !== undefined) {
        const runtime = new StreamRuntime(this.#core, door, endpoint, this.#schedule);
        const listening = await this.#openers.stream(
          { ...stream, roomIn: runtime.roomIn, turnAway: runtime.turnAway },
          runtime.accept,
          note,
        );
        this.#opened.add({ ...common, listening, datagrams: undefined });
      } else if (datagram !== undefined) {
        const defer = (run: () => void): void => this.#openers.defer(run);
        const runtime = new DatagramRuntime(this.#core, door, endpoint, datagram, defer);
        const listening = await this.#openers.datagram(datagram, runtime.receive, note);
        runtime.bind(listening);
        this.#opened.add({ ...common, listening, datagrams: runtime });
      }
    } catch (error) {
      this.#doors.close(door);
      throw error;
    }
  }

  /**
   * Stops accepting, lets every client of these listeners hear goodbye, and waits until what was sent has left or
   * `within` has passed. Datagram sockets close last, after their goodbyes.
   */
  async close(listeners: readonly OpenedListener[], within: Duration): Promise<void> {
    for (const opened of listeners) {
      this.#opened.delete(opened);
      opened.door.shut = true;
    }
    const streams = listeners.filter(({ datagrams }) => datagrams === undefined);
    const datagrams = listeners.filter(({ datagrams }) => datagrams !== undefined);
    await Promise.all(streams.map(({ listening }) => listening.close()));
    this.#core.tick();
    for (const { door } of listeners) for (const loop of [...door.loops]) loop.stop("shutdown");
    this.#schedule.flushAll();
    for (const { datagrams: runtime } of datagrams) runtime?.flush();
    const busy = (): boolean =>
      listeners.some(({ listening, door }) => door.closing > 0 || backlog(listening) > 0);
    for (let waited = 0; busy() && waited < within; waited += STOP_POLL) await this.#openers.wait(STOP_POLL);
    await Promise.all(datagrams.map(({ listening }) => listening.close()));
    for (const opened of listeners) {
      opened.datagrams?.close();
      this.#doors.close(opened.door);
    }
  }

  /** Closes everything. */
  async stop(within: Duration): Promise<void> {
    await this.close(this.listeners, within);
    for (const [name] of [...this.gateways]) this.gateways.close(name);
  }
}

const backlog = (listening: Listening): number =>
  "backlog" in listening ? (listening.backlog as number) : 0;
