import { type Alarms, CallbackAlarm } from "../../lib/alarm.ts";
import { concat, copyOf } from "../../lib/bytes.ts";
import { after, type Duration, type Instant } from "../../lib/time.ts";
import { encodeConnect } from "../../mqtt/codec/encode-connect.ts";
import { PacketType } from "../../mqtt/packets.ts";
import { NO_PROPERTIES } from "../../mqtt/properties.ts";
import type { Dialling, StreamConnection, StreamReceiver } from "../../net/transport.ts";
import type { Dial } from "./member.ts";
import type { CheckKind } from "./settings.ts";

export interface ProbeSettings {
  readonly check: Exclude<CheckKind, "none">;
  readonly timeout: Duration;
  readonly version: 4 | 5;
  readonly clientId: string;
  readonly username: string;
  readonly password: string;
}

const PINGREQ = Uint8Array.of(PacketType.PINGREQ << 4, 0);
const DISCONNECT = Uint8Array.of(PacketType.DISCONNECT << 4, 0);
/** More than a CONNACK and a PINGRESP can be. */
const ANSWER_MAX = 65_536;

/**
 * CONNACK codes by which a server says that it is not well, or too busy; a refusal of the probe's own name or password
 * says that it is. 3.1.1: server unavailable; 5: unavailable, busy, use another server, server moved, quota, rate.
 */
const UNWELL: Readonly<Record<4 | 5, ReadonlySet<number>>> = {
  4: new Set([3]),
  5: new Set([0x88, 0x89, 0x9c, 0x9d, 0x97, 0x9f]),
};

/** Asks a server once how it is: a connection, CONNECT, PINGREQ, as far as is wanted. `done` is called once. */
export class Probe implements StreamReceiver {
  readonly #settings: ProbeSettings;
  readonly #done: (problem: string | undefined) => void;
  readonly #alarms: Alarms;
  readonly #alarm: CallbackAlarm;
  readonly #dialling: Dialling;
  #connection: StreamConnection | undefined = undefined;
  #heard: Uint8Array = new Uint8Array(0);
  #connected = false;
  #over = false;

  constructor(
    dial: Dial,
    settings: ProbeSettings,
    alarms: Alarms,
    now: Instant,
    done: (problem: string | undefined) => void,
  ) {
    this.#settings = settings;
    this.#alarms = alarms;
    this.#done = done;
    const { timeout } = settings;
    this.#alarm = new CallbackAlarm(() => this.#end(`no answer within ${timeout / 1000} s`));
    alarms.arm(this.#alarm, after(now, timeout));
    this.#dialling = dial(
      (connection) => this.#begin(connection),
      ({ message }) => this.#end(message),
    );
  }

  cancel(): void {
    this.#over = true;
    this.#close();
  }

  #begin(connection: StreamConnection): StreamReceiver | undefined {
    if (this.#over) return undefined;
    this.#connection = connection;
    const { check, version, clientId, username, password } = this.#settings;
    if (check === "connect") {
      this.#end(undefined);
      return this;
    }
    const bytes = encodeConnect({
      version,
      bridge: false,
      clientId,
      cleanStart: true,
      keepAlive: 30,
      will: undefined,
      username: username === "" ? undefined : username,
      password: password === "" ? undefined : new TextEncoder().encode(password),
      properties: NO_PROPERTIES,
    });
    if (bytes === undefined) this.#end("the probe's client id or user name is too long");
    else connection.write(copyOf(bytes));
    return this;
  }

  received(bytes: Uint8Array): void {
    if (this.#over) return;
    this.#heard = concat(this.#heard, bytes);
    if (this.#heard.length > ANSWER_MAX) this.#end("it sends more than a CONNACK");
    else this.#read();
  }

  #read(): void {
    const [first = 0, length = 0] = this.#heard;
    if (this.#connected) {
      if (this.#heard.length >= 2) this.#end(first >> 4 === PacketType.PINGRESP ? undefined : "no PINGRESP");
      return;
    }
    if (this.#heard.length < 4) return;
    // CONNACK: flags, then the code; what properties follow does not matter. A length above 127 has two octets.
    const body = length < 128 ? 2 : 3;
    if (first >> 4 !== PacketType.CONNACK) this.#end("no CONNACK");
    else this.#answered(this.#heard[body + 1] ?? 0, body + (length < 128 ? length : longLength(this.#heard)));
  }

  #answered(code: number, end: number): void {
    if (UNWELL[this.#settings.version].has(code)) this.#end(`CONNACK 0x${code.toString(16)}`);
    else if (code !== 0 || this.#settings.check === "mqtt") this.#end(undefined);
    else if (this.#heard.length >= end) {
      this.#connected = true;
      this.#heard = this.#heard.slice(end);
      this.#connection?.write(PINGREQ);
    }
  }

  drained(): void {}

  ended(): void {
    this.#end("it closed the connection");
  }

  closed(error?: string): void {
    this.#end(error ?? "it closed the connection");
  }

  #end(problem: string | undefined): void {
    if (this.#over) return;
    this.#over = true;
    this.#close();
    this.#done(problem);
  }

  #close(): void {
    this.#alarms.disarm(this.#alarm);
    const connection = this.#connection;
    if (connection === undefined) {
      this.#dialling?.cancel();
      return;
    }
    if (this.#settings.check !== "connect") connection.write(DISCONNECT);
    connection.end();
  }
}

const longLength = (bytes: Uint8Array): number => ((bytes[1] ?? 0) & 127) + (bytes[2] ?? 0) * 128;
