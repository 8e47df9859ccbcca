/** WILLTOPICUPD and WILLMSGUPD (MQTT-SN 1.2 §6.4). */

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
  replace(connection, will, now);
  connection.answers.give(p.WILLTOPICRESP, 0, now);
}

/** Without a will topic there is nothing that the message could belong to. */
export function updateWillMessage(connection: Connection, packet: p.WillMessage, now: Instant): void {
  const { will } = connection;
  if (will === undefined) {
    connection.send(encodeReturnCode(p.WILLMSGRESP, p.NOT_SUPPORTED));
    return;
  }
  replace(connection, { ...will, payload: packet.payload.slice() }, now);
  connection.answers.give(p.WILLMSGRESP, 0, now);
}

function replace(connection: Connection, will: StoredWill | undefined, now: Instant): void {
  connection.will = will;
  connection.client.setWill(busWill(will));
  if (connection.phase === "active") connection.expectWithin(connection.patience, now);
  remember(connection);
}
