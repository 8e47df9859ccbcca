/** CONNECT, the will handshake around it, and CONNACK (MQTT-SN 1.2 §6.2, §6.3). */
import type { ConnectAnswer, ConnectRequest } from "#core/contract/client.ts";
import { NO_BYTES, text } from "#core/lib/bytes.ts";
import { type Duration, type Instant, NEVER, seconds, ZERO } from "#core/lib/time.ts";
import type { Attempt, MqttSnChannel } from "../channel.ts";
import { Connection } from "../connection.ts";
import { encodeBare, encodeReturnCode } from "../encode.ts";
import { recall, remember } from "../memo.ts";
import * as p from "../packets.ts";
import { refusalCode } from "../refusals.ts";
import type { Setup } from "../setup.ts";
import { UNASKED } from "../tickets.ts";
import { withTolerance } from "../tolerance.ts";
import { busWill, type StoredWill, willOf } from "../will.ts";

/** A CONNECT that has not got its CONNACK yet. */
export interface Handshake {
  readonly packet: p.Connect;
  readonly clientId: string;
  /** What the client is asked for: its will's topic, then its message (§6.2). */
  awaits: "will-topic" | "will-message";
  /** From WILLTOPIC; its payload follows with WILLMSG. */
  will: StoredWill | undefined;
  repeats: number;
  dueAt: Instant;
}

export function receiveConnect(channel: MqttSnChannel, packet: p.Connect, now: Instant): void {
  const { state, connection } = channel;
  const clientId = clientIdOf(channel.setup, packet.clientId);
  // Reserved versions and ids that nobody may have (§5.3.8, §5.3.1).
  if (packet.protocolId !== p.PROTOCOL_ID || clientId === undefined) {
    const by = (): string =>
      clientId === undefined
        ? "no client id, or one that nobody may have"
        : `protocol id ${packet.protocolId}`;
    channel.host.refused({ what: "connect", asked: clientId, refusal: "malformed", by });
    channel.send(encodeReturnCode(p.CONNACK, p.NOT_SUPPORTED));
    if (state.kind === "new") channel.finish("connect refused");
    return;
  }
  if (state.kind === "handshake" && isSame(state.handshake, packet, clientId)) {
    channel.send(question(state.handshake));
    return;
  }
  if (
    state.kind === "connecting" &&
    state.attempt instanceof Login &&
    isSame(state.attempt, packet, clientId)
  ) {
    return;
  }
  if (connection !== undefined && connection.client.id === clientId) {
    if (connection.sleeps && !packet.cleanSession && !packet.will) {
      returnToActive(connection, packet, now);
      return;
    }
    if (connection.accepted !== undefined && isRepeat(connection.accepted, packet)) {
      channel.send(encodeReturnCode(p.CONNACK, p.ACCEPTED));
      return;
    }
    connection.client.credit(0);
  } else if (connection !== undefined) {
    channel.park(now);
  }
  const own: p.Connect = { ...packet, clientId: packet.clientId.slice() };
  const handshake: Handshake = {
    packet: own,
    clientId,
    awaits: "will-topic",
    will: undefined,
    repeats: 0,
    dueAt: NEVER,
  };
  if (packet.will) ask(channel, handshake, now);
  else openSession(channel, handshake, now);
}

function clientIdOf(setup: Setup, bytes: Uint8Array): string | undefined {
  const { clientIdLengthMax, emptyClientId } = setup.config;
  if (bytes.length === 0) return emptyClientId === "" ? undefined : emptyClientId;
  const clientId = bytes.length > clientIdLengthMax ? undefined : text(bytes);
  return clientId?.includes("\0") === true ? undefined : clientId;
}

const isRepeat = (a: p.Connect, b: p.Connect): boolean =>
  a.duration === b.duration &&
  a.will === b.will &&
  a.cleanSession === b.cleanSession &&
  Buffer.compare(a.clientId, b.clientId) === 0;

const isSame = (a: { packet: p.Connect; clientId: string }, packet: p.Connect, clientId: string): boolean =>
  a.clientId === clientId && isRepeat(a.packet, packet);

// ---- the will handshake

const question = ({ awaits }: Handshake): Uint8Array =>
  encodeBare(awaits === "will-topic" ? p.WILLTOPICREQ : p.WILLMSGREQ);

function ask(channel: MqttSnChannel, handshake: Handshake, now: Instant): void {
  handshake.repeats = 0;
  handshake.dueAt = channel.retryAfter(now);
  channel.state = { kind: "handshake", handshake, former: channel.connection };
  channel.send(question(handshake));
}

/** Also the half-open client is asked again, and forgotten when it stays silent (§6.13). */
export function repeatHandshake(channel: MqttSnChannel, handshake: Handshake, now: Instant): void {
  if (handshake.repeats >= channel.setup.config.retries) {
    channel.lose("will handshake not finished");
    return;
  }
  handshake.repeats++;
  channel.setup.counters.retries.value++;
  handshake.dueAt = channel.retryAfter(now);
  channel.send(question(handshake));
}

export function receiveWillTopic(
  channel: MqttSnChannel,
  handshake: Handshake,
  packet: p.WillTopic,
  now: Instant,
): void {
  // A repeat: the client has not got our question for the message.
  if (handshake.awaits === "will-message") {
    ask(channel, handshake, now);
    return;
  }
  // Empty: the client wants no will (§5.4.7).
  if (packet.topic === undefined) {
    openSession(channel, handshake, now);
    return;
  }
  handshake.will = willOf(packet, NO_BYTES);
  if (handshake.will === undefined) {
    abort(channel, p.NOT_SUPPORTED);
    return;
  }
  handshake.awaits = "will-message";
  ask(channel, handshake, now);
}

export function receiveWillMessage(
  channel: MqttSnChannel,
  handshake: Handshake,
  packet: p.WillMessage,
  now: Instant,
): void {
  if (handshake.awaits !== "will-message" || handshake.will === undefined) {
    channel.drop();
    return;
  }
  handshake.will = { ...handshake.will, payload: packet.payload.slice() };
  openSession(channel, handshake, now);
}

/** A handshake that cannot be finished; a connection that was there before is over with it. */
function abort(channel: MqttSnChannel, code: p.ReturnCode): void {
  channel.send(encodeReturnCode(p.CONNACK, code));
  channel.connection?.client.end("closed");
  channel.finish("connect refused");
}

// ---- the session

/** Everything is known: asks the core for the session. */
function openSession(channel: MqttSnChannel, { packet, clientId, will }: Handshake, now: Instant): void {
  const { setup, host } = channel;
  const login = setup.login(clientId, host.peer);
  if (login === undefined) {
    const by = (): string => "gateways.mqtt-sn.credentials.listedOnly: its client id is not listed";
    host.refused({ what: "connect", asked: clientId, refusal: "unauthenticated", by });
    abort(channel, p.NOT_SUPPORTED);
    return;
  }
  // A client that connects again ends what it had; its session lives on if it may.
  channel.connection?.client.end("closed");
  const request: ConnectRequest = {
    kind: "session",
    releases: true,
    recalls: true,
    clientId,
    username: login.username,
    password: login.password,
    cleanStart: packet.cleanSession,
    sessionExpiry: packet.cleanSession ? ZERO : setup.config.sessionExpiry,
    will: busWill(will),
    // Nothing may overtake CONNACK.
    credit: 0,
    protocol: "MQTT-SN 1.2",
    keepAlive: seconds(packet.duration),
    aggregate: setup.aggregate,
  };
  channel.attempt(new Login(channel, packet, clientId, will), request, now);
}

/** Waits for the core, and then for the store: only then is the client told. */
class Login implements Attempt {
  readonly kind = "login";
  readonly packet: p.Connect;
  readonly clientId: string;
  /** Once the core has let it in. */
  connection: Connection | undefined = undefined;
  readonly #channel: MqttSnChannel;
  readonly #will: StoredWill | undefined;

  constructor(channel: MqttSnChannel, packet: p.Connect, clientId: string, will: StoredWill | undefined) {
    this.#channel = channel;
    this.packet = packet;
    this.clientId = clientId;
    this.#will = will;
  }

  answered(answer: ConnectAnswer, now: Instant): void {
    if (!answer.ok) {
      this.#channel.send(encodeReturnCode(p.CONNACK, refusalCode(answer.refusal)));
      this.#channel.finish("connect refused");
      return;
    }
    const { packet } = this;
    const { client, sessionPresent } = answer;
    const connection = new Connection(this.#channel, client, packet.cleanSession, now);
    this.connection = connection;
    connection.will = this.#will;
    if (sessionPresent && !packet.cleanSession) {
      recall(connection);
      // A will that was just given replaces the stored one; an empty WILLTOPIC deletes it (§6.3).
      if (packet.will) connection.will = this.#will;
      else client.setWill(busWill(connection.will), UNASKED);
    }
    remember(connection);
    connection.expectWithin(keepAliveOf(connection, packet), now);
    if (connection.answers.isKept(p.CONNACK, 0, this.#channel.attempts & 0xffff)) this.kept(now);
  }

  /** The session is as the client wants it, and kept. */
  kept(now: Instant): void {
    const { connection, packet } = this;
    if (connection === undefined) return;
    this.#channel.state = { kind: "connected", connection };
    connection.accepted = packet;
    this.#channel.send(encodeReturnCode(p.CONNACK, p.ACCEPTED));
    connection.activate(keepAliveOf(connection, packet), now);
  }
}

/** The last part of the will handshake comes again: CONNACK was lost (§6.13). */
export function repeatConnack(connection: Connection, packet: p.WillTopic | p.WillMessage): void {
  const last = packet.type === p.WILLMSG || (packet.type === p.WILLTOPIC && packet.topic === undefined);
  if (last && connection.accepted?.will === true) connection.send(encodeReturnCode(p.CONNACK, p.ACCEPTED));
  else connection.setup.counters.dropped.value++;
}

const keepAliveOf = ({ setup }: Connection, { duration }: p.Connect): Duration =>
  duration === 0 ? setup.config.idleTimeout : withTolerance(duration);

/** CONNECT of a sleeper says that it is active again, and changes nothing else (§6.14, decision Z3). */
function returnToActive(connection: Connection, packet: p.Connect, now: Instant): void {
  connection.host.unclaim(connection.client.id);
  connection.accepted = { ...packet, clientId: packet.clientId.slice() };
  connection.phase = "active";
  connection.send(encodeReturnCode(p.CONNACK, p.ACCEPTED));
  connection.activate(keepAliveOf(connection, packet), now);
  remember(connection);
}
