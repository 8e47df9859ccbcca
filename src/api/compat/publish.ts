/** Publishing with the manuals' fields: as the client id that is named, by its rights. */
import type { FastifyReply } from "fastify";
import type { QoS } from "../../bus/message.ts";
import { topicNameProblem } from "../../bus/topic.ts";
import { Refused } from "../problem.ts";
import { cameVia, isAccepted, publishAll } from "../routes/messages.ts";
import { bytesOf } from "../schemas.ts";
import type { Call } from "./call.ts";
import { CODES, ManualError, numbered } from "./codes.ts";

/** As the manuals have it for who names none. */
const CLIENT_ID = "http";

const TRUE = new Set<unknown>([true, "true", "1", 1]);

function textIn(body: Call["body"], ...names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = body[name];
    if (value === undefined || value === null) continue;
    if (typeof value === "string") return value;
    // Payloads that are JSON are sent as they are written.
    if (name === "payload" || name === "message")
      return typeof value === "object" ? JSON.stringify(value) : String(value);
    throw new ManualError(CODES.type, `${name} is no text`);
  }
  return undefined;
}

/** Throws `ManualError`. */
export async function publishManual({ ports, who, address, via, body }: Call): Promise<void> {
  const topic = textIn(body, "topic");
  if (topic === undefined || topic === "") throw new ManualError(CODES.missing, "topic is missing");
  const problem = topicNameProblem(topic);
  if (problem !== undefined) throw new ManualError(CODES.type, `topic ${problem}`);
  const qos = numbered(String(body["qos"] ?? 0), "qos", 0);
  if (qos > 2) throw new ManualError(CODES.type, "qos is 0, 1 or 2");
  const payload = textIn(body, "payload", "message") ?? "";
  const encoding = TRUE.has(body["base64"]) || body["encoding"] === "base64" ? "base64" : "text";
  const caller = {
    clientId: textIn(body, "client_id", "clientid", "client") ?? CLIENT_ID,
    username: who.name,
    address,
  };
  const message = {
    topic,
    payload: bytesOf(payload, encoding, "payload"),
    qos: qos as QoS,
    retain: TRUE.has(body["retain"]),
    properties: cameVia(via),
    expiry: undefined,
  };
  const [published] = await publishAll(ports, caller, [message]);
  if (!isAccepted(published!)) throw new ManualError(CODES.unknown, `not published: ${published}`);
}

/** The oldest form: answers `ok`, or says what is wrong with 400. */
export async function publishForm(call: Call, reply: FastifyReply): Promise<FastifyReply> {
  try {
    await publishManual(call);
    return reply.type("text/plain; charset=utf-8").send("ok");
  } catch (error) {
    if (!(error instanceof ManualError || error instanceof Refused)) throw error;
    return reply.code(400).type("text/plain; charset=utf-8").send(error.message);
  }
}
