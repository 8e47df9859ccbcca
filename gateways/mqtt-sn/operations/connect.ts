/** CONNECT, the will handshake around it, and CONNACK (MQTT-SN 1.2 §6.2, §6.3). */
import type { ConnectAnswer, ConnectRequest } from "#core/contract/client.ts";
import { text } from "#core/lib/bytes.ts";
import { type Duration, type Instant, milliseconds, NEVER, seconds, ZERO } from "#core/lib/time.ts";
import type { MqttSnChannel } from "../channel.ts";
import { encodeBare, encodeReturnCode } from "../encode.ts";
import { recall, remember } from "../memo.ts";
import * as p from "../packets.ts";
import { refusalCode } from "../refusals.ts";
import { answerOnceKept } from "./kept.ts";
import { settleAnonymous } from "./publish-in.ts";
import { NO_EXCHANGES, resumeFlow } from "./publish-out.ts";
import { settleResume } from "./sleep.ts";
import { expectWithin, leaveExpected } from "./supervision.ts";
import { busWill, type StoredWill } from "./will.ts";

/** A CONNECT that has not got its CONNACK yet. */
export interface Handshake {
  readonly packet: p.Connect;
  readonly clientId: string;
  /** From WILLTOPIC; its payload follows with WILLMSG. */
  will: StoredWill | undefined;
  repeats: number;
  dueAt: Instant;
  /** It is a PINGREQ of a sleeper whose channel is gone, and no CONNECT. */
  readonly resume?: boolean;
}

/** "For example 50 % up to a minute, 10 % above" (MQTT-SN 1.2 §7.2). */
export const withTolerance = (duration: number): Duration =>
  milliseconds(Math.round(duration * (duration <= 60 ? 1500 : 1100)));

export function receiveConnect(channel: MqttSnChannel, packet: p.Connect, now: Instant): void {
  const clientId = clientIdOf(channel, packet.clientId);
  // Reserved versions and ids that nobody may have (§5.3.8, §5.3.1).
  if (packet.protocolId !== p.PROTOCOL_ID || clientId === undefined) {
    reject(channel, p.NOT_SUPPORTED);
    return;
  }
  const { handshake, client } = channel;
  if (handshake !== undefined && isRepeat(handshake.packet, packet) && handshake.clientId === clientId) {
    sendPending(channel);
    return;
  }
  if (client !== undefined && client.id === clientId) {
    const sleeping = channel.state === "asleep" || channel.state === "awake";
    if (sleeping && !packet.cleanSession && !packet.will) {
      returnToActive(channel, packet, now);
      return;
    }
    if (channel.accepted !== undefined && isRepeat(channel.accepted, packet)) {
      channel.send(encodeReturnCode(p.CONNACK, p.ACCEPTED));
      return;
    }
    client.credit(0);
  } else if (client !== undefined) {
    park(channel, now);
  }
  channel.anonymous = undefined;
  channel.handshake = { packet: kept(packet), clientId, will: undefined, repeats: 0, dueAt: NEVER };
  if (!packet.will) {
    openSession(channel, now);
    return;
  }
  channel.state = "will-topic";
  channel.handshake.dueAt = channel.retryLater(now);
  sendPending(channel);
}

function clientIdOf(channel: MqttSnChannel, bytes: Uint8Array): string | undefined {
  const { clientIdLengthMax, emptyClientId } = channel.setup.config;
  if (bytes.length === 0) return emptyClientId === "" ? undefined : emptyClientId;
  const clientId = bytes.length > clientIdLengthMax ? undefined : text(bytes);
  return clientId?.includes("\0") === true ? undefined : clientId;
}

const isRepeat = (a: p.Connect, b: p.Connect): boolean =>
  a.duration === b.duration &&
  a.will === b.will &&
  a.cleanSession === b.cleanSession &&
  Buffer.compare(a.clientId, b.clientId) === 0;

const kept = (packet: p.Connect): p.Connect => ({ ...packet, clientId: packet.clientId.slice() });

function reject(channel: MqttSnChannel, code: p.ReturnCode): void {
  channel.send(encodeReturnCode(p.CONNACK, code));
  if (channel.client === undefined && channel.handshake === undefined) channel.finish("connect refused");
}

/** What the client should answer next; nothing while the core has not decided. */
function sendPending(channel: MqttSnChannel): void {
  if (channel.state === "will-topic") channel.send(encodeBare(p.WILLTOPICREQ));
  else if (channel.state === "will-message") channel.send(encodeBare(p.WILLMSGREQ));
}

/** The will handshake goes on with its next question. */
export function askNext(channel: MqttSnChannel, handshake: Handshake, now: Instant): void {
  channel.state = "will-message";
  handshake.repeats = 0;
  handshake.dueAt = channel.retryLater(now);
  sendPending(channel);
}

/** Also the half-open client is asked again, and forgotten when it stays silent (§6.13). */
export function repeatHandshake(channel: MqttSnChannel, now: Instant): void {
  const handshake = channel.handshake;
  if (handshake === undefined || handshake.dueAt > now) {
    if (handshake !== undefined && handshake.dueAt !== NEVER) {
      channel.retryAt = handshake.dueAt < channel.retryAt ? handshake.dueAt : channel.retryAt;
    }
    return;
  }
  if (handshake.repeats >= channel.setup.config.retries) {
    channel.lose("will handshake not finished");
    return;
  }
  handshake.repeats++;
  channel.setup.counters.retries.value++;
  handshake.dueAt = channel.retryLater(now);
  sendPending(channel);
}

/** A handshake that cannot be finished; a connection that was there before is over with it. */
export function abortHandshake(channel: MqttSnChannel, code: p.ReturnCode): void {
  channel.send(encodeReturnCode(p.CONNACK, code));
  channel.client?.end("closed");
  channel.finish("connect refused");
}

/** Everything is known: asks the core for the session. */
export function openSession(channel: MqttSnChannel, now: Instant): void {
  const { handshake, setup, host } = channel;
  if (handshake === undefined) return;
  const { packet, clientId, will } = handshake;
  const login = setup.login(clientId, host.peer);
  if (login === undefined) {
    abortHandshake(channel, p.NOT_SUPPORTED);
    return;
  }
  // A client that connects again ends what it had; its session lives on if it may.
  channel.client?.end("closed");
  leaveConnection(channel);
  channel.state = "connecting";
  handshake.dueAt = NEVER;
  channel.cleanSession = packet.cleanSession;
  channel.will = will;
  const request: ConnectRequest = {
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
    aggregate: aggregateOf(channel),
  };
  const answer = host.connect(request, ++channel.ticket);
  if (answer !== "pending") settleConnect(channel, answer, now);
}

/** Who all devices are upstream, in the aggregating mode (MQTT-SN 1.2 §4.2). */
export const aggregateOf = ({ setup }: MqttSnChannel): string | undefined =>
  setup.config.mode === "aggregating" ? setup.config.aggregateClientId : undefined;

export function settleConnect(channel: MqttSnChannel, answer: ConnectAnswer, now: Instant): void {
  if (channel.anonymous !== undefined) {
    settleAnonymous(channel, answer);
    return;
  }
  const { handshake } = channel;
  if (handshake === undefined) return;
  if (handshake.resume === true) {
    settleResume(channel, answer, now);
    return;
  }
  if (!answer.ok) {
    channel.handshake = undefined;
    channel.send(encodeReturnCode(p.CONNACK, refusalCode(answer.refusal)));
    channel.finish("connect refused");
    return;
  }
  channel.client = answer.client;
  accept(channel, handshake, answer.sessionPresent, now);
}

/** The session is as the client wants it; the client is told once the store has that. */
function accept(channel: MqttSnChannel, handshake: Handshake, sessionPresent: boolean, now: Instant): void {
  const { packet, will } = handshake;
  const { client } = channel;
  if (client === undefined) return;
  if (sessionPresent && !packet.cleanSession) {
    recall(channel);
    // A will that was just given replaces the stored one; an empty WILLTOPIC deletes it (§6.3).
    if (packet.will) channel.will = will;
    else client.setWill(busWill(channel.will));
  }
  remember(channel);
  expectWithin(channel, keepAliveOf(channel, packet.duration), now);
  answerOnceKept(channel, p.CONNACK, channel.ticket & 0xffff, now);
}

/** `connect`: its number; the handshake may be another one by now. */
export function welcome(channel: MqttSnChannel, connect: number, now: Instant): void {
  const { handshake, client } = channel;
  if (handshake === undefined || client === undefined || connect !== (channel.ticket & 0xffff)) return;
  channel.handshake = undefined;
  channel.state = "active";
  channel.expect(keepAliveOf(channel, handshake.packet.duration), now);
  channel.accepted = handshake.packet;
  channel.send(encodeReturnCode(p.CONNACK, p.ACCEPTED));
  client.credit(channel.setup.config.inFlight);
}

/** The last part of the will handshake comes again: CONNACK was lost (§6.13). */
export function repeatConnack(channel: MqttSnChannel, packet: p.WillTopic | p.WillMessage): void {
  const last = packet.type === p.WILLMSG || (packet.type === p.WILLTOPIC && packet.topic === undefined);
  if (last && channel.accepted?.will === true) channel.send(encodeReturnCode(p.CONNACK, p.ACCEPTED));
  else channel.drop();
}

const keepAliveOf = (channel: MqttSnChannel, duration: number): Duration =>
  duration === 0 ? channel.setup.config.idleTimeout : withTolerance(duration);

/** CONNECT of a sleeper says that it is active again, and changes nothing else (§6.14, decision Z3). */
function returnToActive(channel: MqttSnChannel, packet: p.Connect, now: Instant): void {
  const { client } = channel;
  if (client === undefined) return;
  channel.host.unclaim(client.id);
  channel.state = "active";
  channel.expect(keepAliveOf(channel, packet.duration), now);
  expectWithin(channel, channel.patience, now);
  channel.accepted = kept(packet);
  remember(channel);
  channel.send(encodeReturnCode(p.CONNACK, p.ACCEPTED));
  resumeFlow(channel, now);
}

/**
 * Another device uses this address now: a NAT has given it away. The old one is somewhere, or sleeps. Its
 * session waits as long as the device would have been waited for; then its will is published.
 */
export function park(channel: MqttSnChannel, now: Instant): void {
  const { client } = channel;
  if (client === undefined) return;
  remember(channel);
  leaveExpected(channel, now);
  channel.host.unclaim(client.id);
  leaveConnection(channel);
}

/** The channel forgets the client of its last connection. */
function leaveConnection(channel: MqttSnChannel): void {
  if (channel.client !== undefined) channel.host.unclaim(channel.client.id);
  channel.client = undefined;
  channel.topics = undefined;
  channel.predefinedInUse = undefined;
  channel.will = undefined;
  channel.announcement = undefined;
  channel.waiting = undefined;
  channel.exchanges = NO_EXCHANGES;
  channel.asked2 = undefined;
  channel.lastQos1 = 0;
  channel.malformed = 0;
  channel.accepted = undefined;
  channel.silenceAt = NEVER;
}
