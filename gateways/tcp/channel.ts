import { Message } from "#core/bus/message.ts";
import type { PublishAnswer, Refusal, SubscribeAnswer, Ticket } from "#core/contract/answers.ts";
import type { Channel, ChannelHost, StopReason } from "#core/contract/channel.ts";
import type { Client, ConnectAnswer } from "#core/contract/client.ts";
import { type Delivery, NO_DELIVERY_ID } from "#core/contract/delivery.ts";
import { own } from "#core/lib/bytes.ts";
import { after, type Duration, FOREVER, type Instant, NEVER } from "#core/lib/time.ts";
import { fillTopic, fitsOneLevel } from "#core/lib/topic-map.ts";
import type { TcpConfig } from "./config.ts";
import type { Counters } from "./counters.ts";
import type { Dialect, Login, Step } from "./dialect.ts";
import { FrameStream } from "./frame-stream.ts";

/** Where a connection stands. */
type Phase =
  | { readonly name: "expecting-login"; readonly until: Instant }
  | { readonly name: "logging-in"; readonly login: Login; readonly payload: Uint8Array | undefined }
  | {
      readonly name: "connected";
      readonly client: Client;
      readonly silence: Duration;
      readonly topic: string;
    }
  | { readonly name: "over" };

const OVER: Phase = { name: "over" };
const CONNECT_TICKET = 0;
const SUBSCRIBE_TICKET = 1;
const PUBLISH_TICKET = 2;
/** A device acknowledges nothing: what it is sent is settled when the transport has it, which holds back by itself. */
const CREDIT = 1_000;

/** One connection, whatever its dialect. */
export class TcpChannel implements Channel {
  readonly #config: TcpConfig;
  readonly #counters: Counters;
  readonly #dialect: Dialect;
  readonly #host: ChannelHost;
  readonly #frames: FrameStream;
  #phase: Phase;
  /** Publishes that wait for their answer. */
  #pending = 0;
  #paused = false;
  #heardAt: Instant;

  constructor(config: TcpConfig, counters: Counters, dialect: Dialect, host: ChannelHost, now: Instant) {
    this.#config = config;
    this.#counters = counters;
    this.#dialect = dialect;
    this.#host = host;
    this.#frames = new FrameStream(dialect.framing, host.limits.packetSize);
    this.#heardAt = now;
    this.#phase = { name: "expecting-login", until: after(now, host.limits.connectTimeout) };
  }

  // ---- inputs

  receive(bytes: Uint8Array, now: Instant): void {
    this.#heardAt = now;
    this.#frames.push(bytes);
    this.#read(now);
  }

  deliver(client: Client, delivery: Delivery): void {
    if (this.#phase.name !== "connected") return;
    const frame = this.#dialect.message(delivery.message.payload);
    if (frame === undefined) {
      this.#counters.undeliverable.value++;
      this.#host.note({ level: "info", event: "undeliverable", detail: { topic: delivery.topic } });
    } else {
      this.#counters.sent.value++;
      this.#host.send(frame);
    }
    if (delivery.id !== NO_DELIVERY_ID) client.settle(delivery.id, frame === undefined ? "dead" : "done");
  }

  answered(ticket: Ticket, answer: PublishAnswer | SubscribeAnswer, now: Instant): void {
    if (ticket === SUBSCRIBE_TICKET) this.#subscribed(answer);
    else {
      this.#pending--;
      this.#published(answer);
    }
    this.#goOn(now);
  }

  connected(_ticket: Ticket, answer: ConnectAnswer, now: Instant): void {
    this.#loggedIn(answer, now);
    this.#goOn(now);
  }

  wake(now: Instant): void {
    if (this.deadline() > now) return;
    // While nothing is read, silence is not the device's.
    if (this.#phase.name === "connected" && this.#host.paused === true) this.#heardAt = now;
    else if (this.#phase.name === "connected") {
      this.#phase.client.end("silent", "silent for too long");
      this.#over("silent for too long");
    } else {
      this.#host.note({ level: "info", event: "login-timeout" });
      this.#over("no login in time");
    }
  }

  stop(_reason: StopReason): void {
    this.#phase = OVER;
  }

  closed(): void {
    this.#phase = OVER;
  }

  get buffered(): number {
    // The frame that logs in may be one that is published, too.
    const waits = this.#phase.name === "logging-in" ? (this.#phase.payload?.length ?? 0) : 0;
    return this.#frames.room + waits;
  }

  deadline(): Instant {
    if (this.#phase.name === "expecting-login") return this.#phase.until;
    if (this.#phase.name !== "connected" || this.#phase.silence === FOREVER) return NEVER;
    return after(this.#heardAt, this.#phase.silence);
  }

  status(): string {
    return this.#phase.name;
  }

  describe(): object {
    const { name } = this.#phase;
    if (name !== "connected" || this.#phase.silence === FOREVER) return {};
    return { lostAt: after(this.#heardAt, this.#phase.silence) };
  }

  // ---- frames

  #read(now: Instant): void {
    while (!this.#waits) {
      const frame = this.#frames.next();
      if (frame === undefined) break;
      if (!(frame instanceof Uint8Array)) {
        const { problem, clause, at } = frame.error;
        this.#illegal(`${problem} (${clause}, octet ${at})`);
        return;
      }
      this.#counters.received.value++;
      this.#step(
        this.#phase.name === "connected" ? this.#dialect.next(frame, now) : this.#dialect.first(frame, now),
        now,
      );
    }
    this.#frames.hold();
    if (!this.#waits || this.#paused || this.#phase.name === "over") return;
    this.#paused = true;
    this.#host.pauseReading();
  }

  /** No frame may be taken now. */
  get #waits(): boolean {
    const { name } = this.#phase;
    return name === "logging-in" || name === "over" || this.#pending >= this.#config.pendingPublishes;
  }

  #goOn(now: Instant): void {
    if (!this.#paused || this.#waits) return;
    this.#read(now);
    if (!this.#paused || this.#waits) return;
    this.#paused = false;
    this.#host.resumeReading();
  }

  #step(step: Step, now: Instant): void {
    switch (step.kind) {
      case "login":
        this.#login(step.login, step.payload, now);
        return;
      case "publish":
        this.#publish(step.payload, now);
        return;
      case "answer":
        this.#host.send(step.bytes);
        return;
      case "nothing":
        return;
      case "goodbye":
        if (this.#phase.name === "connected") this.#phase.client.end("closed");
        this.#over("DISCONNECT");
        return;
      case "illegal":
        if (step.bytes !== undefined) this.#host.send(step.bytes);
        this.#illegal(step.problem);
    }
  }

  // ---- what they ask for

  #login(login: Login, payload: Uint8Array | undefined, now: Instant): void {
    const { clientId, username, password, silence } = login;
    if (!fitsOneLevel(clientId) || (username !== undefined && !fitsOneLevel(username))) {
      this.#refused("malformed", "client id or user name would add levels or wildcards to its topics");
      return;
    }
    const { sessionExpiry } = this.#config;
    this.#phase = { name: "logging-in", login, payload: payload === undefined ? undefined : own(payload) };
    const answer = this.#host.connect(
      {
        kind: "session",
        clientId,
        username,
        password,
        cleanStart: sessionExpiry === 0,
        sessionExpiry,
        credit: CREDIT,
        protocol: this.#dialect.name,
        keepAlive: silence,
      },
      CONNECT_TICKET,
    );
    if (answer !== "pending") this.#loggedIn(answer, now);
  }

  #loggedIn(answer: ConnectAnswer, now: Instant): void {
    if (this.#phase.name !== "logging-in") return;
    const { login, payload } = this.#phase;
    if (!answer.ok) {
      this.#refused(answer.refusal, answer.reason);
      return;
    }
    const { client } = answer;
    const values = {
      clientId: client.id,
      username: client.username ?? "",
      endpointName: client.id,
      address: this.#host.peer.address,
    };
    const silence = login.silence ?? this.#config.idleTimeout;
    this.#heardAt = now;
    this.#phase = { name: "connected", client, silence, topic: fillTopic(this.#config.upTopic, values) };
    const accepted = this.#dialect.accepted();
    if (accepted !== undefined) this.#host.send(accepted);
    this.#subscribe(client, fillTopic(this.#config.dnTopic, values));
    if (payload !== undefined) this.#publish(payload, now);
  }

  /** Retained messages come with a new subscription, not with one that the session already has. */
  #subscribe(client: Client, filter: string): void {
    if (filter === "") return;
    const answer = client.subscribe(filter, { qos: this.#config.dnQos, retainHandling: 1 }, SUBSCRIBE_TICKET);
    if (answer !== "pending") this.#subscribed(answer);
  }

  #subscribed(answer: PublishAnswer | SubscribeAnswer): void {
    if (typeof answer === "number") return;
    this.#host.note({ level: "info", event: "downlink-refused", detail: { refusal: answer } });
  }

  #publish(payload: Uint8Array, now: Instant): void {
    if (this.#phase.name !== "connected") return;
    const { client, topic } = this.#phase;
    const { upQos, upRetain } = this.#config;
    const answer = client.publish(new Message(topic, payload, upQos, upRetain, now), PUBLISH_TICKET);
    if (answer === "pending") this.#pending++;
    else this.#published(answer);
  }

  /** A device cannot be told that its message was refused. */
  #published(answer: PublishAnswer | SubscribeAnswer): void {
    if (answer === "accepted" || answer === "no-subscribers" || typeof answer === "number") return;
    this.#counters.refused.value++;
    this.#host.note({ level: "info", event: "publish-refused", detail: { refusal: answer } });
  }

  // ---- the end

  #refused(refusal: Refusal, reason: string | undefined): void {
    const bytes = this.#dialect.refused(refusal);
    if (bytes !== undefined) this.#host.send(bytes);
    this.#over(reason === undefined ? refusal : `${refusal}: ${reason}`);
  }

  #illegal(problem: string): void {
    this.#counters.malformed.value++;
    this.#host.note({ level: "info", event: "malformed", detail: { problem } });
    this.#over(problem);
  }

  #over(reason: string): void {
    this.#phase = OVER;
    this.#host.close(reason);
  }
}
