import { concat, text, utf8 } from "#core/lib/bytes.ts";

/** The body of the form of 2016: `qos=0&retain=0&client=c&topic=hello&message=payload`, URL-encoded. */
export interface FormBody {
  readonly topic: string;
  readonly message: string;
  readonly client: string;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
}

/** The client id of requests that give none, as the manuals of that time have it. */
const CLIENT_DEFAULT = "coap";

/** The body, or which part of it is wrong. */
export function readFormBody(payload: Uint8Array): FormBody | string {
  const source = text(payload);
  if (source === undefined) return "body is not UTF-8";
  const fields = new URLSearchParams(source);
  const topic = fields.get("topic") ?? "";
  if (topic === "") return "topic is missing";
  const qos = fields.get("qos") ?? "0";
  if (!/^[012]$/.test(qos)) return "qos must be 0, 1 or 2";
  const retain = fields.get("retain") ?? "0";
  if (!/^(0|1|true|false)$/.test(retain)) return "retain must be 0 or 1";
  return {
    topic,
    message: fields.get("message") ?? "",
    client: fields.get("client") || CLIENT_DEFAULT,
    qos: Number(qos) as 0 | 1 | 2,
    retain: retain === "1" || retain === "true",
  };
}

/** Notifications of that form: `topic=hello&message=payload`, the payload as it is. */
export const formNotification = (topic: string, payload: Uint8Array): Uint8Array =>
  concat(utf8(`topic=${topic}&message=`), payload);
