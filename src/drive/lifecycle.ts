import type { Gateway } from "../contract/gateway.ts";
import type { Note } from "../contract/note.ts";
import type { Core } from "../door/core.ts";
import { Door } from "../door/door.ts";
import type { Duration } from "../lib/time.ts";
import type {
  AcceptStream,
  DatagramListenerOptions,
  DatagramSocket,
  Listening,
  ReceiveDatagrams,
  StreamListenerOptions,
} from "../net/transport.ts";
import type { Policy } from "../policy/policy.ts";
import { DatagramRuntime, type DatagramRuntimeOptions } from "./datagram-runtime.ts";
import { FlushSchedule, StreamRuntime } from "./stream-runtime.ts";

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
  readonly #core: Core;
  readonly #policy: Policy;
  readonly #openers: Openers;
  readonly #schedule: FlushSchedule;
  readonly #gateways = new Map<string, Gateway>();
  readonly #opened: OpenedListener[] = [];

  constructor(core: Core, policy: Policy, openers: Openers) {
    this.#core = core;
    this.#policy = policy;
    this.#openers = openers;
    this.#schedule = new FlushSchedule((run) => openers.defer(run));
  }

  get listeners(): readonly OpenedListener[] {
    return this.#opened;
  }

  add(name: string, gateway: Gateway): void {
    this.#gateways.set(name, gateway);
  }

  /** Opens one listener; throws `ListenError`. */
  async open(plan: ListenerPlan): Promise<void> {
    const gateway = this.#gateways.get(plan.gateway);
    if (gateway === undefined) return;
    const door = this.#door(plan);
    const note = (note: Note): void => this.#core.note(plan.gateway, note);
    if (plan.stream !== undefined) {
      const endpoint = gateway.endpoint({ name: plan.name, transport: plan.stream.transport });
      const runtime = new StreamRuntime(this.#core, door, endpoint, this.#schedule);
      const listening = await this.#openers.stream(plan.stream, runtime.accept, note);
      this.#opened.push({ gateway: plan.gateway, name: plan.name, listening, door, datagrams: undefined });
    }
    if (plan.datagram !== undefined) {
      const endpoint = gateway.endpoint({ name: plan.name, transport: plan.datagram.transport });
      const defer = (run: () => void): void => this.#openers.defer(run);
      const runtime = new DatagramRuntime(this.#core, door, endpoint, plan.datagram, defer);
      const socket = await this.#openers.datagram(plan.datagram, runtime.receive, note);
      runtime.bind(socket);
      this.#opened.push({
        gateway: plan.gateway,
        name: plan.name,
        listening: socket,
        door,
        datagrams: runtime,
      });
    }
  }

  /** Lets each gateway read again what it can; one that fails keeps what it had. */
  reload(): void {
    for (const [name, gateway] of this.#gateways) {
      try {
        gateway.reload?.();
      } catch (error) {
        this.#core.note(name, { level: "warn", event: "reload-failed", detail: { error: String(error) } });
      }
    }
  }

  /** Disconnects a client, if it is connected; its session lives on by its expiry. */
  kick(gateway: string, clientId: string): boolean {
    for (const client of this.#clients(gateway)) {
      if (client.id !== clientId) continue;
      client.loop.stopClient(client, "kicked");
      return true;
    }
    return false;
  }

  /**
   * Stops accepting, lets every client hear goodbye, and waits until what was sent has left or `within` has
   * passed. Datagram sockets close last, after their goodbyes.
   */
  async stop(within: Duration, wait: (length: number) => Promise<void>): Promise<void> {
    const streams = this.#opened.filter((opened) => opened.datagrams === undefined);
    const datagrams = this.#opened.filter((opened) => opened.datagrams !== undefined);
    await Promise.all(streams.map((opened) => opened.listening.close()));
    for (const { door } of this.#opened) for (const loop of [...door.loops]) loop.stop("shutdown");
    this.#schedule.flushAll();
    for (const { datagrams: runtime } of datagrams) runtime?.flush();
    const busy = (): boolean =>
      this.#opened.some(({ listening, door }) => door.closing > 0 || backlog(listening) > 0);
    for (let waited = 0; busy() && waited < within; waited += STOP_POLL) await wait(STOP_POLL);
    await Promise.all(datagrams.map((opened) => opened.listening.close()));
    for (const gateway of this.#gateways.values()) gateway.stop?.();
  }

  #door(plan: ListenerPlan): Door {
    const of = (gateway: string) => this.#policy.listener(gateway, plan.name, plan.gateway);
    return new Door(this.#core, of(plan.gateway), (sibling) => new Door(this.#core, of(sibling)));
  }

  *#clients(gateway: string) {
    for (const { door } of this.#opened) {
      for (const loop of [...door.loops]) {
        for (const client of loop.clients()) {
          if (client.door.gateway === gateway) yield client;
        }
      }
    }
  }
}

const backlog = (listening: Listening): number =>
  "backlog" in listening ? (listening.backlog as number) : 0;
