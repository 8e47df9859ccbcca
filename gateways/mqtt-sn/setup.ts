/** What all listeners and channels of this gateway share: configuration made ready, counters, limits. */

import type { GatewayHost } from "#core/contract/gateway.ts";
import type { Counter } from "#core/contract/note.ts";
import type { Peer } from "#core/contract/peer.ts";
import { utf8 } from "#core/lib/bytes.ts";
import { type Instant, seconds } from "#core/lib/time.ts";
import { AddressRanges } from "./addresses.ts";
import type { MqttSnConfig } from "./config.ts";
import { clientsIn, ListedFiles, predefinedTopicsIn } from "./listed-files.ts";
import { PredefinedTopics } from "./topics.ts";

export interface Login {
  readonly username: string | undefined;
  readonly password: Uint8Array | undefined;
}

export interface Counters {
  readonly malformed: Counter;
  /** Well-formed, but not for a gateway or not now. */
  readonly dropped: Counter;
  readonly retries: Counter;
  readonly lost: Counter;
  readonly wakeUps: Counter;
  /** PINGRESP that closed a flush. */
  readonly flushes: Counter;
  readonly tooLong: Counter;
  readonly refusedTopics: Counter;
  readonly anonymous: Counter;
}

/** What is made of the configuration, and made anew with it. */
interface Prepared {
  readonly config: MqttSnConfig;
  readonly predefined: PredefinedTopics;
  readonly forwarders: AddressRanges;
  readonly anonymousSenders: AddressRanges;
  readonly listed: ReadonlyMap<string, Login>;
}

function prepare(config: MqttSnConfig, host: GatewayHost): Prepared {
  const files = new ListedFiles(host);
  const { clients, file } = config.credentials;
  const listed = [...clients, ...files.read("credentials.file", file, clientsIn)];
  const topics = files.read("predefinedTopicsFile", config.predefinedTopicsFile, predefinedTopicsIn);
  files.failOnProblems();
  return {
    config,
    predefined: new PredefinedTopics([...config.predefinedTopics, ...topics]),
    forwarders: new AddressRanges(config.forwarders.addresses),
    anonymousSenders: new AddressRanges(config.qosMinusOne.addresses),
    listed: new Map(
      listed.map(({ client, username, password }) => [
        client,
        { username, password: password === undefined ? undefined : utf8(password) },
      ]),
    ),
  };
}

export class Setup {
  readonly host: GatewayHost;
  readonly counters: Counters;
  /** Answers to senders without a session. */
  readonly strangers: ReplyLimit;
  #prepared: Prepared;

  constructor(config: MqttSnConfig, host: GatewayHost) {
    this.host = host;
    this.#prepared = prepare(config, host);
    this.strangers = new ReplyLimit(config.unknownReplies);
    this.counters = countersOf(host);
  }

  /** For all channels at once: a sleeper may keep its channel for months. */
  reload(config: MqttSnConfig): void {
    this.#prepared = prepare(config, this.host);
  }

  get config(): MqttSnConfig {
    return this.#prepared.config;
  }

  get predefined(): PredefinedTopics {
    return this.#prepared.predefined;
  }

  /** User name and password of a device; undefined when it is not listed and must be. */
  login(clientId: string, peer: Peer): Login | undefined {
    const listed = this.#prepared.listed.get(clientId);
    if (listed !== undefined) return listed;
    const { username, password, listedOnly } = this.config.credentials;
    if (listedOnly) return undefined;
    return {
      username: username === "" ? undefined : fill(username, clientId, peer),
      password: password === "" ? undefined : utf8(fill(password, clientId, peer)),
    };
  }

  /** Who all devices are upstream, in the aggregating mode (MQTT-SN 1.2 §4.2). */
  get aggregate(): string | undefined {
    return this.config.mode === "aggregating" ? this.config.aggregateClientId : undefined;
  }

  mayForward(address: string): boolean {
    const { mode } = this.config.forwarders;
    return mode === "open" || (mode === "listed" && this.#prepared.forwarders.has(address));
  }

  mayPublishUnconnected(address: string): boolean {
    const { mode } = this.config.qosMinusOne;
    return mode === "open" || (mode === "listed" && this.#prepared.anonymousSenders.has(address));
  }
}

function countersOf(host: GatewayHost): Counters {
  return {
    malformed: host.counter("malformed", "Messages that break the format"),
    dropped: host.counter("dropped", "Messages that are not for a gateway, or not now"),
    retries: host.counter("retries", "Messages repeated to clients"),
    lost: host.counter("lost", "Clients lost by silence or missing acknowledgement"),
    wakeUps: host.counter("wake_ups", "Sleepers that woke up"),
    flushes: host.counter("flushes", "Wake-ups that ended with PINGRESP"),
    tooLong: host.counter("too_long", "Messages that were too long to be sent"),
    refusedTopics: host.counter("refused_topics", "Messages whose topic the client refused to register"),
    anonymous: host.counter(
      "unconnected_publishes",
      "Publishes with QoS -1 from senders without a connection",
    ),
  };
}

const fill = (template: string, clientId: string, peer: Peer): string =>
  template.replace(/%([cani%])/g, (_, key: string) => {
    if (key === "c") return clientId;
    if (key === "a") return peer.address;
    if (key === "n") return peer.node ?? "";
    return key === "i" ? (peer.identity ?? "") : "%";
  });

const SECOND = seconds(1);

/**
 * One answer a second to each sender, and so many to all. Two gateways that answer each other stop at once,
 * and a forged source address is of no use (MQTT-SN 1.2 §5.4.21 has the answer, this has its limit).
 */
export class ReplyLimit {
  readonly #perSecond: number;
  #answered = new Set<string>();
  #until = 0;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  mayAnswer(address: string, port: number, now: Instant): boolean {
    if (now >= this.#until) {
      this.#answered = new Set();
      this.#until = now + SECOND;
    }
    const sender = `${address} ${port}`;
    if (this.#answered.size >= this.#perSecond || this.#answered.has(sender)) return false;
    this.#answered.add(sender);
    return true;
  }
}
