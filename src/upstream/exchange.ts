/** One publish on its way to a server, and who hears what becomes of it. */
import type { Message, QoS } from "../bus/message.ts";
import type { PublishAnswer, ServerWords, Ticket } from "../contract/answers.ts";
import type { Instant } from "../lib/time.ts";

/** Who asked, and hears what became of it. */
export interface PublishAsker {
  answered(ticket: Ticket, answer: PublishAnswer, words?: ServerWords): void;
}

/** Who asks for what nobody waits for. */
export const NOBODY: PublishAsker = { answered: () => {} };

/** An answer that is not coming any more. */
export interface Unheard {
  readonly asker: PublishAsker;
  readonly ticket: Ticket;
}

export interface Exchange {
  packetId: number;
  readonly message: Message | undefined;
  readonly qos: QoS;
  /** `received`: the server has it, and the device has still to release it. */
  stage: "waiting" | "sent" | "received" | "released";
  /** It was sent on some connection. */
  tried: boolean;
  /** Its packet id is taken. */
  identified: boolean;
  /** The packet id is the device's, and so is the release. */
  readonly own: boolean;
  asker: PublishAsker | undefined;
  readonly ticket: Ticket;
  /** It was under way when a server closed the connection: it may be why. */
  suspect: boolean;
  /** Times that it was the only one. */
  closes: number;
  /** Place in the order of what barriers wait for. */
  sequence: number;
  readonly since: Instant;
}

/** What came from the device, and waits to be sent. `deviceId`: of a QoS 2 message, the device's own packet id. */
export const newExchange = (
  message: Message | undefined,
  qos: QoS,
  asked: { readonly asker: PublishAsker | undefined; readonly ticket: Ticket },
  deviceId: number | undefined,
  sequence: number,
  since: Instant,
): Exchange => ({
  packetId: deviceId ?? 0,
  message,
  qos,
  stage: "waiting",
  tried: false,
  identified: false,
  own: deviceId !== undefined,
  asker: asked.asker,
  ticket: asked.ticket,
  suspect: false,
  closes: 0,
  sequence,
  since,
});
