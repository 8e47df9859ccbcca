/** WILLTOPICUPD and WILLMSGUPD (MQTT-SN 1.2 §6.4). */

import type { Ticket } from "#core/contract/answers.ts";
import { NO_BYTES } from "#core/lib/bytes.ts";
import type { Instant } from "#core/lib/time.ts";
import type { Connection } from "../connection.ts";
import { encodeReturnCode } from "../encode.ts";
import { remember } from "../memo.ts";
import * as p from "../packets.ts";
import { busWill, type StoredWill, willOf } from "../will.ts";

/** Topic, QoS and RETAIN are replaced, the message stays; the empty form deletes both (§6.4). */
export function updateWillTopic(connection: Connection, packet: p.WillTopic, now: Instant): void {
  const will = packet.topic === undefined ? undefined : willOf(packet, connection.will?.payload ?? NO_BYTES);
  if (packet.topic !== undefined && will === undefined) {
    connection.send(encodeReturnCode(p.WILLTOPICRESP, p.NOT_SUPPORTED));
    return;
  }
  replace(connection, will, p.WILLTOPICRESP, now);
}

/** Without a will topic there is nothing that the message could belong to. */
export function updateWillMessage(connection: Connection, packet: p.WillMessage, now: Instant): void {
  const { will } = connection;
  if (will === undefined) {
    connection.send(encodeReturnCode(p.WILLMSGRESP, p.NOT_SUPPORTED));
    return;
  }
  replace(connection, { ...will, payload: packet.payload.slice() }, p.WILLMSGRESP, now);
}

function replace(
  connection: Connection,
  will: StoredWill | undefined,
  response: typeof p.WILLTOPICRESP | typeof p.WILLMSGRESP,
  now: Instant,
): void {
  connection.will = will;
  remember(connection);
  if (connection.phase === "active") connection.expectWithin(connection.patience, now);
  const ask = (ticket: Ticket) => connection.client.setWill(busWill(will), ticket);
  connection.answers.giveDone(response, 0, ask, now);
}
