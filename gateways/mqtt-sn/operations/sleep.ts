/** DISCONNECT, sleep, waking up, and silence (MQTT-SN 1.2 §6.11, §6.12, §6.14). */
import type { ConnectAnswer } from "#core/contract/client.ts";
import { text } from "#core/lib/bytes.ts";
import { after, type Duration, type Instant, NEVER, ZERO } from "#core/lib/time.ts";
import type { MqttSnChannel } from "../channel.ts";
import { turnAway } from "../dispatch.ts";
import { encode, encodeBare } from "../encode.ts";
import { isSleepers, recall, recalledClean, recalledSleep, rememberSleep } from "../memo.ts";
import * as p from "../packets.ts";
import { aggregateOf, withTolerance } from "./connect.ts";
import { answerOnceKept } from "./kept.ts";
import { resumeFlow } from "./publish-out.ts";
import { expectWithin } from "./supervision.ts";
import { busWill } from "./will.ts";

const NO_ID = new Uint8Array(0);

export function receiveDisconnect(channel: MqttSnChannel, packet: p.Disconnect, now: Instant): void {
  const { client } = channel;
  // A duration of 0 is no sleep.
  const duration = packet.duration ?? 0;
  if (client !== undefined && channel.handshake === undefined && duration > 0) {
    fallAsleep(channel, withTolerance(duration), now);
    return;
  }
  if (client === undefined && channel.handshake === undefined) {
    turnAway(channel, now);
    return;
  }
  client?.end("closed");
  channel.dismiss("disconnected");
}

/** Asleep, for the first time or for a new duration. Nothing is sent any more until it asks. */
function fallAsleep(channel: MqttSnChannel, patience: Duration, now: Instant): void {
  const { client } = channel;
  if (client === undefined) return;
  client.credit(0);
  channel.state = "asleep";
  channel.retryAt = NEVER;
  channel.expect(patience, now);
  if (channel.setup.config.sleep.forgetTopicIds) channel.topics?.forgetAll();
  // Found by its client id from now on, wherever it wakes up. A clean session survives a change of address.
  channel.host.claim(client.id);
  expectWithin(channel, patience, now);
  rememberSleep(channel);
  // It switches its radio off now, and counts on being known when it comes back.
  answerOnceKept(channel, p.DISCONNECT, 0, now);
}

export function receivePingreq(channel: MqttSnChannel, packet: p.PingReq, now: Instant): void {
  const { client } = channel;
  if (client === undefined) {
    resumeSleeper(channel, packet, now);
    return;
  }
  const own = packet.clientId.length === 0 || text(packet.clientId) === client.id;
  if (!own) {
    // Somebody else at this address, who has no connection; the client's own is left alone.
    const { address, port } = channel.host.peer;
    if (channel.setup.strangers.mayAnswer(address, port, now)) channel.send(encodeBare(p.DISCONNECT));
    return;
  }
  if (channel.state === "asleep") {
    wakeUp(channel, now);
    return;
  }
  // A flush that runs goes on, and ends with the PINGRESP that is asked for.
  if (channel.state === "active") channel.send(encodeBare(p.PINGRESP));
}

/** From asleep to awake: everything that waits is sent, then PINGRESP. */
export function wakeUp(channel: MqttSnChannel, now: Instant): void {
  const { client, setup } = channel;
  if (client === undefined) return;
  setup.counters.wakeUps.value++;
  channel.state = "awake";
  channel.silenceAt = after(now, allowance(channel));
  expectWithin(channel, allowance(channel), now);
  channel.flushLeft = client.queued + client.unsettled + setup.config.sleep.flushExtra;
  resumeFlow(channel, now);
  endFlush(channel, now);
}

/** PINGRESP says that nothing more waits: it is sent when all that was sent has been acknowledged. */
export function endFlush(channel: MqttSnChannel, now: Instant): void {
  const { client } = channel;
  if (channel.state !== "awake" || client === undefined) return;
  const busy =
    channel.exchanges.length > 0 || channel.announcement !== undefined || channel.waiting !== undefined;
  if (busy || client.unsettled > 0 || (client.queued > 0 && channel.flushLeft > 0)) return;
  client.credit(0);
  channel.state = "asleep";
  channel.retryAt = NEVER;
  channel.setup.counters.flushes.value++;
  channel.expect(channel.patience, now);
  expectWithin(channel, channel.patience, now);
  channel.heardAt = now;
  channel.send(encodeBare(p.PINGRESP));
}

/** The device fell asleep again without its acknowledgements: what was sent stays first in line. */
export function stopFlush(channel: MqttSnChannel, now: Instant): void {
  channel.client?.credit(0);
  channel.state = "asleep";
  channel.retryAt = NEVER;
  const lostAt = after(channel.heardAt, channel.patience);
  channel.silenceAt = lostAt > now ? lostAt : now;
}

/** The sleep timer rests while the device is awake: there our repeats decide (§6.14). */
function allowance({ state, patience, setup }: MqttSnChannel): Duration {
  if (state !== "awake") return patience;
  const { retryInterval, retries } = setup.config;
  return Math.max(patience, retryInterval * (retries + 2)) as Duration;
}

/** The time that the client may be silent is over, if it has been silent all that time. */
export function checkSilence(channel: MqttSnChannel, now: Instant): void {
  const due = after(channel.heardAt, allowance(channel));
  if (due > now && !channel.probed) {
    channel.silenceAt = due;
    return;
  }
  const { probe, retryInterval } = channel.setup.config;
  if (probe && !channel.probed && channel.state === "active") {
    channel.probed = true;
    channel.silenceAt = after(now, retryInterval);
    channel.send(encode({ type: p.PINGREQ, clientId: NO_ID }));
    return;
  }
  channel.lose(channel.state === "active" ? "keep-alive" : "overslept");
}

/**
 * A sleeper whose channel is gone: this process was started anew, or another device has got its old address.
 * Only a session that waits without a connection, and was left asleep, is resumed.
 */
function resumeSleeper(channel: MqttSnChannel, packet: p.PingReq, now: Instant): void {
  const clientId =
    packet.clientId.length > channel.setup.config.clientIdLengthMax ? "" : text(packet.clientId);
  const login =
    clientId === undefined || clientId === "" ? undefined : channel.setup.login(clientId, channel.host.peer);
  if (clientId === undefined || login === undefined || channel.state !== "new") {
    turnAway(channel, now);
    return;
  }
  channel.state = "connecting";
  const connect: p.Connect = {
    type: p.CONNECT,
    will: false,
    cleanSession: false,
    protocolId: p.PROTOCOL_ID,
    duration: 0,
    clientId: packet.clientId.slice(),
  };
  channel.handshake = { packet: connect, clientId, will: undefined, repeats: 0, dueAt: NEVER, resume: true };
  const answer = channel.host.connect(
    {
      clientId,
      username: login.username,
      password: login.password,
      cleanStart: false,
      sessionExpiry: channel.setup.config.sessionExpiry,
      credit: 0,
      protocol: "MQTT-SN 1.2",
      resume: true,
      expected: isSleepers,
      aggregate: aggregateOf(channel),
    },
    ++channel.ticket,
  );
  if (answer !== "pending") settleResume(channel, answer, now);
}

export function settleResume(channel: MqttSnChannel, answer: ConnectAnswer, now: Instant): void {
  channel.handshake = undefined;
  if (!answer.ok) {
    turnAway(channel, now);
    return;
  }
  channel.client = answer.client;
  const patience = recalledSleep(channel);
  recall(channel);
  channel.cleanSession = recalledClean(channel);
  if (channel.cleanSession) answer.client.setSessionExpiry(ZERO);
  answer.client.setWill(busWill(channel.will));
  channel.host.claim(answer.client.id);
  channel.state = "asleep";
  channel.expect(patience, now);
  wakeUp(channel, now);
}
