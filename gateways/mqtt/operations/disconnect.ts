import type { StopReason } from "#core/contract/channel.ts";
import { unreachable } from "#core/lib/assert.ts";
import { decodeDisconnect } from "#core/mqtt/codec/decode-reason.ts";
import { Reader } from "#core/mqtt/codec/reader.ts";
import { breach } from "#core/mqtt/packets.ts";
import { ReasonCode } from "#core/mqtt/reason-codes.ts";
import { expiryDuration } from "#core/mqtt/session-expiry.ts";
import type { MqttConfig } from "../config.ts";
import type { Connection } from "../connection.ts";

/** DISCONNECT from the client: the will is dropped only if it says so [MQTT-3.14.4-3]. */
export function disconnect(
  connection: Connection,
  bytes: Uint8Array,
  start: number,
  body: number,
  end: number,
): void {
  const { client, host, terms } = connection;
  const reader = new Reader(bytes, start, body, end, connection.config.maximumItems);
  const { reason, properties } = decodeDisconnect(reader, connection.version);
  if (reader.error !== undefined) {
    connection.fail(reader.error);
    return;
  }
  const expiry = properties.sessionExpiryInterval;
  if (expiry !== undefined) {
    if (terms.endsWithConnection && expiry > 0) {
      const problem = "session expiry of a session that was to end with its connection";
      connection.fail(breach(ReasonCode.protocolError, "MQTT 5 §3.14.2.2.2", problem));
      return;
    }
    client.setSessionExpiry(expiryDuration(expiry));
  }
  connection.phase = "ended";
  client.said = properties;
  client.end(reason === ReasonCode.success ? "closed" : "parted");
  host.close(`client disconnected, reason 0x${reason.toString(16)}`, true);
}

/** The reason of the DISCONNECT that a client gets when the core ends its connection (MQTT 5 §3.14.2.1). */
export function stopReason(reason: StopReason, config: MqttConfig): ReasonCode {
  switch (reason) {
    case "shutdown":
      return config.serverReference === "" ? ReasonCode.serverShuttingDown : ReasonCode.useAnotherServer;
    case "taken-over":
      return ReasonCode.sessionTakenOver;
    case "kicked":
      return ReasonCode.administrativeAction;
    case "expired":
      // What was authorized was a time.
      return ReasonCode.maximumConnectTime;
    case "forbidden":
      return ReasonCode.notAuthorized;
    case "rate":
      return ReasonCode.messageRateTooHigh;
    case "unavailable":
      // Server unavailable is a reason of CONNACK only (MQTT 5 §3.14.2.1).
      return ReasonCode.serverBusy;
    case "overload":
      return ReasonCode.quotaExceeded;
    default:
      return unreachable(reason);
  }
}
