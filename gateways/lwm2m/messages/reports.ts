/** The messages on the MQTT side, in the JSON that applications of this kind of gateway already read. */
import { utf8 } from "#core/lib/bytes.ts";
import type { BadCommand } from "../commands/command.ts";
import { formatExactJson, type Json, type JsonObject } from "../content/exact-json.ts";
import type { Registration } from "../registration/registration.ts";

export const encodeReport = (report: JsonObject): Uint8Array => utf8(formatExactJson(report));

export const registrationReport = (
  msgType: "register" | "update",
  registration: Registration,
): JsonObject => ({
  msgType,
  data: {
    ...registration.custom,
    ep: registration.ep,
    lt: registration.lt,
    lwm2m: registration.lwm2m,
    b: registration.b,
    // From 1.1 on it is a parameter of its own (LwM2M 1.1 §6.2.1.1).
    ...(registration.queueMode && !registration.b.includes("Q") ? { Q: true } : undefined),
    alternatePath: registration.list.root,
    objectList: registration.list.objects,
  },
});

/** Why a registration ends: by its device, by its lifetime, or by an operator. */
export type EndReason = "deregistered" | "lifetime" | "kicked";

export const deregisterReport = (ep: string, reason: EndReason): JsonObject => ({
  msgType: "deregister",
  data: { ep, reason },
});

/** A command that never reached the device. */
export const badCommandReport = (bad: BadCommand): JsonObject => ({
  ...bad.echo,
  msgType: bad.msgType,
  data: {
    ...(bad.requestPath === undefined ? undefined : { reqPath: bad.requestPath }),
    code: "4.00",
    codeMsg: "bad_request",
    reason: bad.reason,
  },
});

/** What can happen to a command besides being answered by the device. */
export type Fate = "ack" | "queued" | "coap_timeout" | "coap_reset" | "expired" | "cancelled" | "queue_full";

const FATE_CODES: Readonly<Record<Fate, string | undefined>> = {
  ack: undefined,
  queued: undefined,
  coap_timeout: "5.04",
  coap_reset: "5.02",
  expired: "5.04",
  cancelled: "5.03",
  queue_full: "5.03",
};

export function fateReport(fate: Fate, msgType: string, echo: JsonObject, data: JsonObject): JsonObject {
  const code = FATE_CODES[fate];
  return {
    ...echo,
    msgType: fate,
    data: { ...data, reqMsgType: msgType, ...(code === undefined ? undefined : { code, codeMsg: fate }) },
  };
}

export const answerReport = (msgType: string, echo: JsonObject, data: JsonObject): JsonObject => ({
  ...echo,
  msgType,
  data,
});

export function notifyReport(
  echo: JsonObject,
  sequence: number,
  automatic: boolean,
  data: JsonObject,
): JsonObject {
  return {
    ...echo,
    msgType: "notify",
    seqNum: sequence,
    ...(automatic ? { is_auto_observe: true } : undefined),
    data,
  };
}

export const sendReport = (content: readonly Json[]): JsonObject => ({ msgType: "send", data: { content } });
