import { topicMatches } from "../bus/topic.ts";
import { AddressSet } from "../policy/addresses.ts";
import type { TracedChannel } from "./traced-channel.ts";

/** What a trace follows. A cause is recorded when each condition that is given holds for something that belongs to it. */
export interface TraceFilter {
  /** Client id, in whatever gateway. */
  readonly client?: string | undefined;
  /** Topics on the bus that match this filter. */
  readonly topic?: string | undefined;
  /** An IP address or a CIDR range. */
  readonly address?: string | undefined;
  readonly gateway?: string | undefined;
}

/** What something that happens is about: as much as a trace asks for, known before a row is made of it. */
export interface About {
  readonly channel?: TracedChannel;
  readonly gateway?: string;
  readonly address?: string;
  /** Where it is about one of the channel's clients, or about one without a channel. */
  readonly client?: string | undefined;
  /** `gateway:client id`. */
  readonly publisher?: string;
  readonly topic?: string;
  /** A topic or filter that somebody asked for, or another word. */
  readonly asked?: string | undefined;
}

type Condition = (about: About) => boolean;

/** Made ready to be asked: bits of the conditions that something meets. */
export class Conditions {
  /** The bits that stand for all conditions met. */
  readonly all: number;
  /** Those that a channel meets or does not, whatever comes over it. */
  readonly #ofChannels: number;
  readonly #conditions: readonly Condition[];

  constructor({ client, topic, address, gateway }: TraceFilter) {
    const conditions: Condition[] = [];
    if (client !== undefined) conditions.push((about) => concernsClient(about, client));
    if (address !== undefined) conditions.push(concernsAddress(address));
    if (gateway !== undefined) conditions.push((about) => concernsGateway(about, gateway));
    this.#ofChannels = (1 << conditions.length) - 1;
    if (topic !== undefined) conditions.push((about) => concernsTopic(about, topic));
    this.#conditions = conditions;
    this.all = (1 << conditions.length) - 1;
  }

  met(about: About): number {
    let met = 0;
    for (let index = 0; index < this.#conditions.length; index++) {
      if (this.#conditions[index]!(about)) met |= 1 << index;
    }
    return met;
  }

  /** All that comes over this channel is of interest, as far as that is for a channel to say. */
  concern(channel: TracedChannel): boolean {
    const wanted = this.#ofChannels;
    return wanted === 0 ? this.all === 0 : (this.met({ channel }) & wanted) === wanted;
  }
}

function concernsClient({ client: about, channel, publisher }: About, client: string): boolean {
  if (about !== undefined) return about === client;
  if (channel !== undefined) return channel.isOf(client);
  return (
    publisher !== undefined &&
    publisher.length > client.length &&
    publisher.endsWith(client) &&
    publisher.indexOf(":") === publisher.length - client.length - 1
  );
}

/** What a channel's address says is remembered: reading one costs more than all the rest. */
function concernsAddress(range: string): Condition {
  const addresses = new AddressSet([range]);
  const known = new WeakMap<TracedChannel, boolean>();
  return ({ channel, address }) => {
    if (channel === undefined) return address !== undefined && addresses.has(address);
    let has = known.get(channel);
    if (has === undefined) {
      has = addresses.has(channel.driver.peer.address);
      known.set(channel, has);
    }
    return has;
  };
}

function concernsTopic({ topic, asked }: About, filter: string): boolean {
  if (topic !== undefined) return topicMatches(filter, topic);
  return asked !== undefined && (asked === filter || topicMatches(filter, asked));
}

const concernsGateway = ({ gateway: about, channel, publisher }: About, gateway: string): boolean =>
  publisher === undefined
    ? (about ?? channel?.gateway) === gateway
    : publisher.startsWith(gateway) && publisher[gateway.length] === ":";
