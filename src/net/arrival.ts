import type { Socket } from "node:net";
import type { Note } from "../contract/note.ts";
import type { Transport } from "../contract/peer.ts";
import { FairRoom } from "../lib/fair-room.ts";
import { plainAddress } from "./address.ts";
import { parseProxyHeader } from "./proxy-protocol.ts";
import { type Expiring, sweep } from "./sweep.ts";

/** A connection on its way from accept to the runtime: PROXY header, TLS handshake, WebSocket upgrade. */
export class Arrival implements Expiring {
  readonly socket: Socket;
  readonly expiresAt: number;
  readonly transport: Transport;
  address: string;
  port: number;
  identity: string | undefined;
  /** Where handshakes take turns: to be told when its is over. */
  underWay: { over(): void } | undefined;
  readonly #hall: ArrivalHall;

  constructor(hall: ArrivalHall, socket: Socket, transport: Transport, address: string, expiresAt: number) {
    this.#hall = hall;
    this.socket = socket;
    this.transport = transport;
    this.address = plainAddress(address);
    this.port = socket.remotePort ?? 0;
    this.expiresAt = expiresAt;
  }

  /** The peer has sent something wrong before it became a connection. */
  fail(event: string, problem: string): void {
    this.#hall.leave(this);
    this.note(event, problem);
    this.socket.destroy();
  }

  note(event: string, problem: string): void {
    this.#hall.note({ level: "info", event, detail: { address: this.address, port: this.port, problem } });
  }

  /** Who it is behind the proxy, as the header says. */
  introduce(address: string, port: number): void {
    this.address = address;
    this.port = port;
    this.#hall.moved(this);
  }

  /** It is the runtime's connection now, or it is gone. */
  leave(): void {
    this.#hall.leave(this);
  }

  expired(): void {
    this.fail("handshake-timeout", `no complete ${this.transport} handshake in time`);
  }
}

/** An arrival that is older than this makes room for the next one of its address. */
const GRACE_MS = 1_000;

/** All arrivals of one listener, bounded in number and time and shared by address: silent connections cannot pile up. */
export class ArrivalHall {
  readonly note: (note: Note) => void;
  readonly #timeout: number;
  readonly #room: FairRoom<Arrival>;

  constructor(places: number, timeout: number, note: (note: Note) => void) {
    this.#room = new FairRoom(places, GRACE_MS);
    this.#timeout = timeout;
    this.note = note;
  }

  /** Undefined when the socket had to be destroyed. */
  enter(socket: Socket, transport: Transport): Arrival | undefined {
    const address = socket.remoteAddress;
    socket.on("error", ignore);
    if (address === undefined) {
      socket.destroy();
      return undefined;
    }
    const now = performance.now();
    const arrival = new Arrival(this, socket, transport, address, now + this.#timeout);
    const loser = this.#room.enter(arrival, arrival.address, now);
    loser?.fail(
      "handshakes-full",
      "too many connections are in their handshake, most of them from its address",
    );
    if (loser === arrival) return undefined;
    sweep.add(arrival);
    socket.on("close", () => arrival.leave());
    return arrival;
  }

  moved(arrival: Arrival): void {
    this.#room.move(arrival, arrival.address);
  }

  leave(arrival: Arrival): void {
    this.#room.leave(arrival);
    sweep.delete(arrival);
  }

  /** Ends all that have not become connections. */
  clear(): void {
    for (const { socket } of this.#room.guests()) socket.destroy();
  }
}

// Whatever breaks an arrival also closes its socket, which is all that anybody has to know.
function ignore(): void {}

/** Takes the PROXY header off the front of the stream, then goes on; bytes behind it stay readable. */
export function readProxyHeader(arrival: Arrival, next: (arrival: Arrival) => void): void {
  const { socket } = arrival;
  let pending: Uint8Array = new Uint8Array(0);
  const onData = (bytes: Buffer): void => {
    pending = pending.length === 0 ? bytes : Buffer.concat([pending, bytes]);
    const parsed = parseProxyHeader(pending);
    if (parsed === "incomplete") return;
    socket.off("data", onData);
    if (!parsed.ok) {
      arrival.fail("proxy-protocol-malformed", `${parsed.error.problem} (${parsed.error.clause})`);
      return;
    }
    const { source, commonName, length } = parsed.value;
    if (source !== undefined) arrival.introduce(source.address, source.port);
    arrival.identity = commonName;
    if (length < pending.length) socket.unshift(pending.subarray(length));
    next(arrival);
  };
  socket.on("data", onData);
}
