import type { Answer, RetainedAnswer, Ticket } from "#core/contract/answers.ts";
import type { Channel, ChannelHost, StopReason } from "#core/contract/channel.ts";
import type { Client, ConnectAnswer } from "#core/contract/client.ts";
import type { Delivery } from "#core/contract/delivery.ts";
import { after, type Instant, NEVER } from "#core/lib/time.ts";
import { Decoder } from "./codec/decoder.ts";
import { encodeError } from "./codec/encoder.ts";
import { Frame, receiptOf, receiptOfFailed } from "./codec/frame.ts";
import { Connection, type Settings } from "./connection.ts";
import { opensSession } from "./frames.ts";
import { HeartBeat, offerOf } from "./heartbeat.ts";
import {
  connectedFrame,
  type Greeting,
  greetingOf,
  loginRefused,
  NO_COMMON_VERSION,
  requestOf,
  VERSION_HEADER,
} from "./operations/connect.ts";
import { describe } from "./operator.ts";
import { type Problem, problem } from "./problem.ts";

/** Where a connection stands; what is known of it lives only in the state that knows it. */
type Phase =
  | { readonly name: "expecting-connect"; readonly until: Instant }
  | { readonly name: "logging-in"; readonly greeting: Greeting }
  | { readonly name: "connected"; readonly connection: Connection }
  /** DISCONNECT came; its receipt waits for the answers that are due. */
  | {
      readonly name: "disconnecting";
      readonly connection: Connection;
      readonly receipt: Uint8Array | undefined;
    }
  | { readonly name: "over" };

const OVER: Phase = { name: "over" };
const CONNECT_TICKET = 0;
const SESSION_BYTES = 6;

/** One STOMP connection. */
export class StompChannel implements Channel {
  readonly #settings: Settings;
  readonly #host: ChannelHost;
  readonly #decoder: Decoder;
  #phase: Phase;
  #paused = false;

  constructor(settings: Settings, host: ChannelHost, now: Instant) {
    this.#settings = settings;
    this.#host = host;
    const { limits } = settings.config;
    this.#decoder = new Decoder({
      headers: limits.headers,
      headerLength: limits.headerLength,
      bodyLength: Math.min(limits.body, host.limits.packetSize),
      connectLength: limits.connectLength,
    });
    this.#phase = { name: "expecting-connect", until: after(now, host.limits.connectTimeout) };
  }

  // ---- inputs

  receive(bytes: Uint8Array, now: Instant): void {
    if (this.#phase.name === "over" || this.#phase.name === "disconnecting") return;
    if (this.#phase.name === "connected") {
      this.#phase.connection.now = now;
      this.#phase.connection.login.heart.heard(now);
    }
    this.#decoder.push(bytes);
    this.#read(now);
  }

  deliver(client: Client, delivery: Delivery, now: Instant): void {
    if (this.#phase.name !== "connected") return;
    const { connection } = this.#phase;
    connection.now = now;
    connection.deliver(client, delivery);
  }

  answered(ticket: Ticket, answer: Answer, now: Instant): void {
    if (this.#phase.name !== "connected" && this.#phase.name !== "disconnecting") return;
    this.#phase.connection.now = now;
    this.#phase.connection.answered(ticket, answer);
    this.#goOn(now);
  }

  found(ticket: Ticket, answer: RetainedAnswer, now: Instant): void {
    if (this.#phase.name !== "connected" && this.#phase.name !== "disconnecting") return;
    this.#phase.connection.now = now;
    this.#phase.connection.asks.found(ticket, answer);
    this.#goOn(now);
  }

  connected(ticket: Ticket, answer: ConnectAnswer, now: Instant): void {
    if (this.#phase.name === "logging-in" && ticket === CONNECT_TICKET) {
      this.#loggedIn(this.#phase.greeting, answer, now);
    } else if (this.#phase.name === "connected" || this.#phase.name === "disconnecting") {
      this.#phase.connection.now = now;
      this.#phase.connection.connected(ticket, answer);
    }
    this.#goOn(now);
  }

  wake(now: Instant): void {
    if (this.#phase.name === "expecting-connect" && this.#phase.until <= now) {
      this.#host.note({ level: "info", event: "login-timeout" });
      this.#fail(problem("no CONNECT in time"), undefined);
    } else if (this.#phase.name === "connected" || this.#phase.name === "disconnecting") {
      this.#phase.connection.wake(now);
      this.#checkFailure();
    }
  }

  stop(reason: StopReason): void {
    this.#fail(problem(STOP_MESSAGES[reason]), undefined);
  }

  closed(): void {
    this.#phase = OVER;
  }

  get buffered(): number {
    const open = this.#phase.name === "connected" ? this.#phase.connection.transactions.bytes : 0;
    return this.#decoder.buffered + open;
  }

  deadline(): Instant {
    if (this.#phase.name === "expecting-connect") return this.#phase.until;
    if (this.#phase.name === "connected" || this.#phase.name === "disconnecting") {
      return this.#phase.connection.deadline;
    }
    return NEVER;
  }

  status(): string {
    return this.#phase.name;
  }

  describe(): object {
    const phase = this.#phase;
    return phase.name === "connected" || phase.name === "disconnecting" ? describe(phase.connection) : {};
  }

  // ---- frames

  /** Reads frames until the chunk is used up or a frame has to wait for an answer. */
  #read(now: Instant): void {
    while (!this.#waits) {
      const next = this.#decoder.next();
      if (next === undefined) return;
      if (next instanceof Frame) this.#frame(next, now);
      else {
        const { clause, at, problem: what } = next.error;
        const receipt = receiptOfFailed(this.#decoder.frame);
        this.#fail(problem(what, `${what} (${clause}, octet ${at}).`), receipt);
      }
    }
    if (this.#phase.name === "over" || this.#phase.name === "disconnecting") return;
    this.#decoder.hold();
    if (this.#paused) return;
    this.#paused = true;
    this.#host.pauseReading();
  }

  /** No frame may be processed now. */
  get #waits(): boolean {
    return this.#phase.name === "connected"
      ? this.#phase.connection.asks.busy
      : this.#phase.name !== "expecting-connect";
  }

  /** After an answer: reads on where reading stopped, or finishes what waited for it. */
  #goOn(now: Instant): void {
    if (!this.#checkFailure()) return;
    if (this.#phase.name === "disconnecting") this.#disconnect();
    if (!this.#paused || this.#waits) return;
    this.#read(now);
    if (this.#waits || !this.#paused) return;
    this.#paused = false;
    this.#host.resumeReading();
  }

  #frame(frame: Frame, now: Instant): void {
    if (this.#phase.name === "expecting-connect") {
      if (opensSession(frame.command)) this.#connect(frame, now);
      else this.#fail(problem("not connected", `${frame.command} came before CONNECT.`), receiptOf(frame));
      return;
    }
    if (this.#phase.name !== "connected") return;
    const { connection } = this.#phase;
    if (frame.command === "DISCONNECT") {
      const receipt = receiptOf(frame)?.slice();
      this.#phase = { name: "disconnecting", connection, receipt };
      if (receipt !== undefined) connection.awaitAll();
      this.#disconnect();
      return;
    }
    connection.handle(frame);
    this.#checkFailure();
  }

  // ---- beginning and end

  #connect(frame: Frame, now: Instant): void {
    const greeting = greetingOf(frame, this.#settings.config);
    if ("message" in greeting) {
      this.#fail(greeting, undefined);
      return;
    }
    this.#phase = { name: "logging-in", greeting };
    const answer = this.#host.connect(requestOf(greeting), CONNECT_TICKET);
    if (answer !== "pending") this.#loggedIn(greeting, answer, now);
  }

  #loggedIn(greeting: Greeting, answer: ConnectAnswer, now: Instant): void {
    if (!answer.ok) {
      this.#fail(loginRefused(answer.refusal, answer.reason), undefined);
      return;
    }
    const { config } = this.#settings;
    const { version, heartBeat, clientId, username, password } = greeting;
    const session = Buffer.from(this.#host.random(SESSION_BYTES)).toString("hex");
    const heart = new HeartBeat(heartBeat, offerOf(config.heartBeat), config.heartBeat, now);
    const login = { version, client: answer.client, session, clientId, username, password, heart };
    this.#decoder.version = version;
    this.#phase = {
      name: "connected",
      connection: new Connection(this.#settings, this.#host, login, now),
    };
    this.#host.send(connectedFrame(greeting, session, config));
  }

  /** STOMP 1.2 DISCONNECT: all that came before has been processed when the receipt is sent. */
  #disconnect(): void {
    if (this.#phase.name !== "disconnecting" || this.#phase.connection.asks.waiting) return;
    const { connection, receipt } = this.#phase;
    connection.conclude("done", receipt);
    connection.end();
    this.#over("DISCONNECT");
  }

  /** False when the connection has failed and is over. */
  #checkFailure(): boolean {
    if (this.#phase.name !== "connected" && this.#phase.name !== "disconnecting") return true;
    const { failure } = this.#phase.connection;
    if (failure === undefined) return true;
    this.#fail(failure.problem, failure.receipt);
    return false;
  }

  /** ERROR, and the end (STOMP 1.2 ERROR). What was not acknowledged goes back. */
  #fail(why: Problem, receipt: Uint8Array | undefined): void {
    if (this.#phase.name === "over") return;
    const version = this.#decoder.version ?? "1.0";
    const headers = why === NO_COMMON_VERSION ? [VERSION_HEADER] : [];
    this.#settings.counters.errors.value++;
    this.#host.note({ level: "debug", event: "stomp-error", detail: { problem: why.message } });
    this.#host.send(encodeError(version, why.message, why.detail, receipt, headers));
    this.#over(why.message);
  }

  #over(reason: string): void {
    this.#phase = OVER;
    this.#host.close(reason);
  }
}

const STOP_MESSAGES: Readonly<Record<StopReason, string>> = {
  shutdown: "the server stops",
  forbidden: "the rules have changed: a subscription is not allowed any more",
  "taken-over": "the client id has connected elsewhere",
  kicked: "ended by the server",
  expired: "the time of the login is over",
  rate: "over a limit again and again",
  unavailable: "the servers behind this gateway cannot be reached",
  overload: "messages are not read",
};
