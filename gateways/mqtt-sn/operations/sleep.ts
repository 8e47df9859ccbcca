/** DISCONNECT, sleep and waking up (MQTT-SN 1.2 §6.11, §6.12, §6.14). */
import type { ConnectAnswer } from "#core/contract/client.ts";
import { text } from "#core/lib/bytes.ts";
import { type Instant, ZERO } from "#core/lib/time.ts";
import type { Attempt, MqttSnChannel } from "../channel.ts";
import { Connection } from "../connection.ts";
import { encodeBare } from "../encode.ts";
import { isSleepers, recall, recalledSleep, rememberSleep } from "../memo.ts";
import * as p from "../packets.ts";
import { UNASKED } from "../tickets.ts";
import { withTolerance } from "../tolerance.ts";
import { busWill } from "../will.ts";

/** A duration of 0 is no sleep. */
export function receiveDisconnect(
  channel: MqttSnChannel,
  connection: Connection,
  { duration = 0 }: p.Disconnect,
  now: Instant,
): void {
  if (duration === 0) {
    connection.client.end("closed");
    channel.dismiss("disconnected");
    return;
  }
  connection.fallAsleep(withTolerance(duration), now);
  if (connection.setup.config.sleep.forgetTopicIds) connection.topics.forgetAll();
  rememberSleep(connection);
  // It switches its radio off now, and counts on being known when it comes back.
  connection.answers.give(p.DISCONNECT, 0, now);
}

export function receivePingreq(connection: Connection, packet: p.PingReq, now: Instant): void {
  const { clientId } = packet;
  if (clientId.length > 0 && text(clientId) !== connection.client.id) {
    // Somebody else at this address, who has no connection; the client's own is left alone.
    const { address, port } = connection.host.peer;
    if (connection.setup.strangers.mayAnswer(address, port, now)) connection.send(encodeBare(p.DISCONNECT));
  } else if (connection.phase === "asleep") {
    connection.wakeUp(now);
  } else if (connection.phase === "active") {
    connection.send(encodeBare(p.PINGRESP));
  }
  // A flush that runs goes on, and ends with the PINGRESP that is asked for.
}

/**
 * A sleeper whose channel is gone: this process was started anew, or another device has got its old address. Only a
 * session that waits without a connection, was left asleep, and is not overdue, is resumed.
 */
export function resumeSleeper(channel: MqttSnChannel, packet: p.PingReq, now: Instant): void {
  const { setup, host } = channel;
  const tooLong = packet.clientId.length > setup.config.clientIdLengthMax;
  const clientId = tooLong ? undefined : text(packet.clientId);
  const login = clientId === undefined ? undefined : setup.login(clientId, host.peer);
  if (clientId === undefined || login === undefined) {
    channel.turnAway(now);
    return;
  }
  const request = {
    kind: "resume",
    releases: true,
    clientId,
    username: login.username,
    password: login.password,
    sessionExpiry: setup.config.sessionExpiry,
    credit: 0,
    protocol: "MQTT-SN 1.2",
    expected: isSleepers,
    aggregate: setup.aggregate,
  } as const;
  channel.attempt(new Resume(channel, clientId), request, now);
}

class Resume implements Attempt {
  readonly kind = "resume";
  readonly connection = undefined;
  readonly #channel: MqttSnChannel;

  readonly #clientId: string;

  constructor(channel: MqttSnChannel, clientId: string) {
    this.#channel = channel;
    this.#clientId = clientId;
  }

  answered(answer: ConnectAnswer, now: Instant): void {
    if (!answer.ok) {
      this.#channel.turnAway(now, this.#clientId);
      return;
    }
    const { client } = answer;
    const { patience, clean } = recalledSleep(client.memo);
    const connection = new Connection(this.#channel, client, clean, now);
    this.#channel.state = { kind: "connected", connection };
    recall(connection);
    if (clean) client.setSessionExpiry(ZERO);
    client.setWill(busWill(connection.will), UNASKED);
    connection.fallAsleep(patience, now);
    connection.wakeUp(now);
  }
}
