import type { Message, QoS } from "../bus/message.ts";
import type { Refusal } from "../lib/refusals.ts";

export type { Refusal };

/** MQTT client identifier: the identity behind one session. */
export type ClientId = string;

/** A number by which a channel recognises the answer to one of its asks; the channel chooses it. */
export type Ticket = number;

/** What an MQTT server has said, for gateways whose devices speak MQTT themselves: reason code and properties. */
export interface ServerWords {
  readonly reason: number;
  readonly properties: Readonly<object>;
}

export type Pending = "pending";

/** `no-subscribers`: accepted, and at this moment nobody was subscribed. */
export type PublishAnswer = "accepted" | "no-subscribers" | Refusal;

/** The granted QoS, or why not. */
export type SubscribeAnswer = QoS | Refusal;

/** `no-subscription`: there was none to end. */
export type UnsubscribeAnswer = "unsubscribed" | "no-subscription" | Refusal;

export type WillAnswer = "accepted" | Refusal;

/** Messages that were found, or why nothing was looked up. */
export type RetainedAnswer = readonly Message[] | Refusal;

/** What comes under a ticket, but for what was found and who was connected. */
export type Answer = PublishAnswer | SubscribeAnswer | UnsubscribeAnswer | WillAnswer;
