/** Both ends of CoAP in one device: it asks the gateway, and is asked and told things by it (RFC 7252, RFC 7641). */

import { isRequest } from "#gateways/coap/stack/message/codes.ts";
import {
  CoapMessage,
  decodeDatagram,
  Type,
  tokenKey,
  tokenOf,
} from "#gateways/coap/stack/message/message.ts";
import type { OptionValue } from "#gateways/coap/stack/message/options.ts";
import { copy, emptyMessage, MessageWriter } from "#gateways/coap/stack/message/writer.ts";
import { Awaited, GOODBYE_PATIENCE } from "../awaited.ts";
import { type Field, Link } from "../field.ts";

/** RFC 7252 §4.8: ACK_TIMEOUT, ACK_RANDOM_FACTOR, MAX_RETRANSMIT. */
const ACK_TIMEOUT = 2000;
const ACK_RANDOM_FACTOR = 1.5;
const MAX_RETRANSMIT = 4;
/** How long a response may come after its request was acknowledged. */
const RESPONSE_WITHIN = 60_000;
/** Responses that are remembered for requests that come twice (RFC 7252 §4.5). */
const REMEMBERED = 8;

export interface CoapAnswer {
  readonly code: number;
  readonly options?: readonly OptionValue[];
  readonly payload?: Uint8Array;
}

export interface CoapAsk extends CoapAnswer {
  /** Of an observation, whose notifications have it too. */
  readonly token?: Uint8Array;
}

export interface CoapListener {
  /** A request of the gateway's; undefined: reset it. */
  asked(request: CoapMessage): CoapAnswer | undefined;
  /** A response under a token that `observe` has named; false when nobody wants it any more. */
  notified(token: string, notification: CoapMessage): boolean;
  /** What was sent under this token is not wanted. */
  rejected?(messageId: number): void;
}

const writer = new MessageWriter();

export class CoapEndpoint {
  readonly #field: Field;
  readonly #listener: CoapListener;
  readonly #awaited: Awaited<CoapMessage>;
  readonly #answered = new Map<number, Uint8Array>();
  #link: Link | undefined = undefined;
  #messageId: number;
  #tokens: number;

  constructor(field: Field, listener: CoapListener) {
    this.#field = field;
    this.#listener = listener;
    this.#awaited = new Awaited(field);
    this.#messageId = field.luck.below(0x1_0000);
    this.#tokens = field.luck.below(0x1000_0000);
  }

  async open(port: number): Promise<void> {
    this.#link = await Link.open(this.#field, port, (bytes) => this.#received(bytes));
  }

  close(): void {
    this.#link?.close();
  }

  newToken(): Uint8Array {
    this.#tokens = (this.#tokens + 1) >>> 0;
    return Uint8Array.of(this.#tokens >>> 24, this.#tokens >>> 16, this.#tokens >>> 8, this.#tokens);
  }

  /** A confirmable request and its response, which may come by itself (RFC 7252 §5.2.2). */
  ask({ code, options, payload, token = this.newToken() }: CoapAsk): Promise<CoapMessage> {
    const messageId = this.#nextId();
    const bytes = copy(
      writer.begin().addAll(options).datagram(Type.CON, code, messageId, token, 0, token.length, payload),
    );
    const key = tokenKey(token, 0, token.length);
    let acknowledged = false;
    const answer = this.#awaited.ask(
      () => this.#link?.send(bytes),
      (message) => {
        if (message.type === Type.RST) return message.messageId === messageId;
        if (message.code === 0) {
          if (message.type === Type.ACK && message.messageId === messageId && !acknowledged) {
            acknowledged = true;
            answer.received(RESPONSE_WITHIN);
          }
          return false;
        }
        return !isRequest(message.code) && keyOf(message) === key;
      },
      this.#patience(),
    );
    return answer;
  }

  /** A message that nobody has asked for now: a notification. Returns its message id. */
  tell(token: string, { code, options, payload }: CoapAnswer, confirmable: boolean): number {
    const messageId = this.#nextId();
    const bytes = tokenOf(token);
    const type = confirmable ? Type.CON : Type.NON;
    this.#link?.send(
      writer.begin().addAll(options).datagram(type, code, messageId, bytes, 0, bytes.length, payload),
    );
    return messageId;
  }

  #patience(): readonly number[] {
    if (this.#field.ending) return GOODBYE_PATIENCE;
    const first = this.#field.luck.between(ACK_TIMEOUT, ACK_TIMEOUT * ACK_RANDOM_FACTOR);
    return Array.from({ length: MAX_RETRANSMIT + 1 }, (_, attempt) => first * 2 ** attempt);
  }

  #nextId(): number {
    this.#messageId = (this.#messageId + 1) & 0xffff;
    return this.#messageId;
  }

  #received(bytes: Uint8Array): void {
    const message = new CoapMessage();
    if (decodeDatagram(bytes, message) !== undefined) return;
    if (isRequest(message.code)) {
      this.#request(message);
      return;
    }
    if (message.type === Type.RST) this.#listener.rejected?.(message.messageId);
    if (this.#awaited.heard(message)) {
      if (message.type === Type.CON) this.#empty(Type.ACK, message.messageId);
      return;
    }
    if (message.type !== Type.CON && message.type !== Type.NON) return;
    // A ping, or a notification of an observation that is over, is reset (RFC 7252 §4.3, RFC 7641 §3.6).
    const wanted = message.code !== 0 && this.#listener.notified(keyOf(message), message);
    if (!wanted) this.#empty(Type.RST, message.messageId);
    else if (message.type === Type.CON) this.#empty(Type.ACK, message.messageId);
  }

  #request(request: CoapMessage): void {
    const { messageId } = request;
    const before = this.#answered.get(messageId);
    if (before !== undefined) {
      this.#link?.send(before);
      return;
    }
    const answer = this.#listener.asked(request);
    if (answer === undefined) {
      this.#empty(Type.RST, messageId);
      return;
    }
    const confirmed = request.type === Type.CON;
    const { bytes: from, tokenStart, tokenLength } = request;
    const response = copy(
      writer
        .begin()
        .addAll(answer.options)
        .datagram(
          confirmed ? Type.ACK : Type.NON,
          answer.code,
          confirmed ? messageId : this.#nextId(),
          from,
          tokenStart,
          tokenLength,
          answer.payload,
        ),
    );
    this.#answered.set(messageId, response);
    if (this.#answered.size > REMEMBERED) this.#answered.delete(this.#answered.keys().next().value as number);
    this.#link?.send(response);
  }

  #empty(type: Type, messageId: number): void {
    this.#link?.send(emptyMessage(type, messageId, new Uint8Array(4)));
  }
}

export const keyOf = ({ bytes, tokenStart, tokenLength }: CoapMessage): string =>
  tokenKey(bytes, tokenStart, tokenLength);
export const textOf = ({ payload }: CoapMessage): string => Buffer.from(payload).toString();
