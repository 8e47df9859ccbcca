/** REGISTER from the client (MQTT-SN 1.2 §6.5). Our own, before a PUBLISH, is the downlink's. */

import { topicNameProblem } from "#core/bus/topic.ts";
import { text } from "#core/lib/bytes.ts";
import type { Instant } from "#core/lib/time.ts";
import type { Connection } from "../connection.ts";
import { encodeTopicAck } from "../encode.ts";
import * as p from "../packets.ts";

export function receiveRegister(connection: Connection, packet: p.Register, now: Instant): void {
  const name = text(packet.topic);
  const { publish } = connection.setup.config.sleep;
  const refused = connection.phase !== "active" && publish === "refuse";
  if (refused || name === undefined || topicNameProblem(name) !== undefined) {
    connection.send(encodeTopicAck(p.REGACK, 0, packet.messageId, p.NOT_SUPPORTED));
    return;
  }
  const topicId = connection.assignId(name);
  if (topicId === 0) {
    connection.send(encodeTopicAck(p.REGACK, 0, packet.messageId, p.CONGESTION));
    return;
  }
  // The device uses the id for as long as its session lives: it must not come to mean another topic.
  connection.answers.give(p.REGACK, packet.messageId, now, topicId);
}
