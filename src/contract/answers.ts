import type { Message, QoS } from "../bus/message.ts";

/** MQTT client identifier: the identity behind one session. */
export type ClientId = string;

/** A number by which a channel recognises the answer to one of its asks; the channel chooses it. */
export type Ticket = number;

/** What we refuse; each gateway maps it to its protocol's own code in one exhaustive switch. */
export type Refusal =
  | "unauthenticated" // wrong or missing credentials
  | "forbidden" // the ACL, or a listener rule, says no
  | "banned" // on the ban list, or flapping
  | "malformed" // a topic, filter or client id that no client may use
  | "congested" // a rate or a queue limit; trying again later may help
  | "quota" // a limit of this client (subscriptions, topic levels, ...); trying again will not help
  | "too-large" // over the packet or payload size limit
  | "unavailable"; // the bus or the store cannot accept anything now

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
