import type { Refusal } from "../contract/answers.ts";
import type { Datagram, DatagramAssociation, DatagramPath, Endpoint, Route } from "../contract/endpoint.ts";
import type { Peer, Shown, Transport } from "../contract/peer.ts";
import type { Core } from "../door/core.ts";
import type { Door } from "../door/door.ts";
import { addressKey } from "../lib/address-key.ts";
import { CallbackAlarm } from "../lib/alarm.ts";
import { copyOf } from "../lib/bytes.ts";
import { Burden } from "../lib/memory.ts";
import { after, type Instant, minutes } from "../lib/time.ts";
import type { OutgoingDatagram } from "../net/transport.ts";
import { AddressProof, type Proving } from "./address-proof.ts";
import { ChannelLoop, type Link } from "./channel-loop.ts";
import { Leisure } from "./leisure.ts";
import { Peers, type Resident, type Roaming, residentKey } from "./peers.ts";
import { UnprovenPeers } from "./unproven-peers.ts";

/** Where a runtime sends: a bound socket, or a virtual network. */
export interface DatagramPort {
  readonly transport: Transport;
  send(batch: readonly OutgoingDatagram[]): void;
  readonly backlog: number;
}

export interface DatagramRuntimeOptions {
  readonly transport: "udp" | "dtls";
  readonly roaming: Roaming;
  /** Datagrams that may wait for the kernel; above it, further ones are dropped and counted. */
  readonly backlogMax: number;
  /** Where beacons go. */
  readonly beaconTo: readonly { readonly address: string; readonly port: number }[];
}

/** Runs the peers of one datagram listener: routes each datagram to its channel, and sends in batches. */
export class DatagramRuntime {
  readonly core: Core;
  readonly door: Door;
  readonly peers: Peers;
  /** Those of them whose address is not proven. */
  readonly unproven = new UnprovenPeers();
  /** Datagrams that no channel wanted or that were too large, and those not sent because the socket was full. */
  dropped = 0;
  unsent = 0;
  readonly #endpoint: Endpoint;
  readonly #options: DatagramRuntimeOptions;
  readonly #defer: (run: () => void) => void;
  #port: DatagramPort | undefined = undefined;
  #outgoing: OutgoingDatagram[] = [];
  #deferred = false;
  #quietUntil = 0 as Instant;
  #beat: CallbackAlarm | undefined = undefined;
  #receiving = false;
  readonly #leisure: Leisure;
  readonly #flush = (): void => {
    this.#deferred = false;
    this.flush();
  };

  constructor(
    core: Core,
    door: Door,
    endpoint: Endpoint,
    options: DatagramRuntimeOptions,
    defer: (run: () => void) => void,
  ) {
    this.core = core;
    this.door = door;
    this.#endpoint = endpoint;
    this.#options = options;
    this.#defer = defer;
    this.peers = new Peers(options.roaming);
    this.#leisure = new Leisure(core.alarms, core.random);
  }

  /** The socket is bound: datagrams may flow, and the beacon begins. */
  bind(port: DatagramPort): void {
    this.#port = port;
    const beacon = this.#endpoint.beacon;
    if (beacon === undefined || this.#options.beaconTo.length === 0) return;
    const alarm = new CallbackAlarm((now) => {
      const bytes = beacon.bytes();
      if (bytes !== undefined) this.#broadcast(bytes);
      this.core.alarms.arm(alarm, after(now, beacon.period));
    });
    this.#beat = alarm;
    this.core.alarms.arm(alarm, this.core.now);
  }

  /** The socket is closed. */
  close(): void {
    this.#port = undefined;
    this.#outgoing = [];
    this.#leisure.close();
    if (this.#beat !== undefined) this.core.alarms.disarm(this.#beat);
  }

  readonly receive = (batch: readonly Datagram[]): void => {
    this.core.tick();
    this.#receiving = true;
    for (let index = 0; index < batch.length; index++) this.#route(batch[index]!);
    this.#receiving = false;
    this.flush();
  };

  /** Queues one datagram; it leaves at the end of the batch, or of this turn of the event loop. */
  send(datagram: OutgoingDatagram): void {
    if (this.#outgoing.length + (this.#port?.backlog ?? 0) >= this.#options.backlogMax) {
      this.unsent++;
      return;
    }
    this.#outgoing.push(datagram);
    if (this.#receiving || this.#deferred) return;
    this.#deferred = true;
    this.#defer(this.#flush);
  }

  flush(): void {
    if (this.#outgoing.length === 0 || this.#port === undefined) return;
    const batch = this.#outgoing;
    this.#outgoing = [];
    this.#port.send(batch);
  }

  #route(datagram: Datagram): void {
    if (datagram.bytes.length > this.door.policy.limits.packetSize) {
      this.dropped++;
      return;
    }
    const senderKey = residentKey(datagram, undefined);
    const known = this.peers.at(senderKey);
    // Before the protocol has a say: neither an answer nor a claim is for who may not talk here.
    if (known === undefined && (this.door.shut || !this.#allows(datagram))) return;
    const route = this.#endpoint.route?.(datagram, known !== undefined, this.core.now) ?? TO_CHANNEL;
    switch (route.to) {
      case "channel":
        this.#toChannel(datagram, route, senderKey, known);
        return;
      case "sender":
        this.#toSender(datagram, route, senderKey, known);
        if (route.turnedAway !== undefined)
          this.door.turnedAway(datagram, "unauthenticated", route.turnedAway, "talk");
        return;
      case "nobody":
        this.dropped++;
        this.core.trace?.stray(this.door, datagram, route.why);
        if (route.refusal !== undefined) {
          this.door.turnedAway(datagram, route.refusal, route.why);
          return;
        }
        this.core.note(
          this.door.gateway,
          { level: "debug", event: "datagram-dropped", detail: { why: route.why } },
          { peer: addressKey(datagram.address, datagram.port) },
        );
        return;
    }
  }

  #toSender(
    datagram: Datagram,
    { bytes, broadcast, leisure }: Route & { to: "sender" },
    senderKey: string,
    known: Resident | undefined,
  ): void {
    const say = (by: Resident | undefined): void => {
      this.core.trace?.stray(this.door, datagram, bytes);
      this.#answer(datagram, bytes, by);
      if (broadcast === true) this.#broadcast(bytes);
    };
    if (leisure === undefined) {
      say(known);
      return;
    }
    // Later, who is known there may have changed.
    const kept = this.#leisure.keep(senderKey, this.core.now, leisure.most, () => {
      if (leisure.wanted()) say(this.peers.at(senderKey));
    });
    if (!kept) this.dropped++;
  }

  #allows(datagram: Datagram): boolean {
    const refusal = this.door.policy.allows(datagram, this.core.now);
    if (refusal === "accepted") return true;
    this.dropped++;
    this.#refused(refusal, datagram);
    return false;
  }

  #refused(refusal: Refusal, datagram: Datagram): void {
    this.core.counters.connectsRefused.value++;
    this.door.turnedAway(datagram, refusal);
    this.core.trace?.stray(this.door, datagram, refusal);
  }

  #toChannel(
    datagram: Datagram,
    route: Route & { to: "channel" },
    senderKey: string,
    known: Resident | undefined,
  ): void {
    const { node, claim } = route;
    const key = node === undefined ? senderKey : residentKey(datagram, node);
    const here = node === undefined ? known : this.peers.at(key);
    const resident =
      (claim === undefined ? undefined : this.#follow(claim, datagram, key, here, node)) ??
      here ??
      this.#admit(datagram, key, node);
    if (resident === undefined) return;
    const { association, address, port } = datagram;
    if (association !== undefined && (resident.port !== port || resident.address !== address)) {
      this.peers.followed(resident, address, port);
    }
    resident.heardBy = datagram.path;
    const { proof } = resident;
    if (proof === undefined) {
      resident.loop.receive(datagram.bytes);
      return;
    }
    proof.received(datagram.bytes.length);
    // Not for the datagram that opened it: a flood sends no more than one.
    if (resident === here) resident.heardLately = true;
    resident.loop.receive(datagram.bytes);
    if (proof.proven) this.unproven.remove(resident);
  }

  /** An answer past all channels, under the same bound: by the peer's account, or by this one datagram. */
  #answer(datagram: Datagram, bytes: Uint8Array, known: Resident | undefined): void {
    const { length } = datagram.bytes;
    const factor = this.#unprovenFactor;
    if (known?.proof !== undefined) {
      known.proof.received(length);
      known.loop.sendView(bytes);
    } else if (factor === undefined || known !== undefined || bytes.length <= factor * length) {
      this.send({ ...datagram, bytes });
    } else this.core.counters.unprovenDropped.value++;
  }

  /** Who sends over a transport that proves the address itself has nothing to prove here. */
  get #unprovenFactor(): number | undefined {
    return this.#transport === "udp" ? this.#endpoint.unprovenFactor : undefined;
  }

  /** The channel that a datagram speaks for, moved here if it came from elsewhere. */
  #follow(
    claim: string,
    datagram: Datagram,
    key: string,
    here: Resident | undefined,
    node: string | undefined,
  ): Resident | undefined {
    const { address, port, association } = datagram;
    const identity = association?.identity;
    const from = { transport: this.#transport, address, port, node, identity, association };
    const claimant = this.peers.claimant(claim, from);
    if (claimant === undefined || claimant === here) return claimant;
    // A new binding of this address: whoever was here before is not here any more (port reuse behind NAT).
    here?.loop.gone("address taken by another device", true);
    this.unproven.remove(claimant);
    this.peers.move(claimant, key, from);
    if (claimant.proof !== undefined) this.unproven.add(claimant);
    return claimant;
  }

  #admit(datagram: Datagram, key: string, node: string | undefined): Resident | undefined {
    const { core } = this;
    const link = new DatagramLink(this, this.#transport, datagram, key, node, this.#unprovenFactor);
    if (link.proof !== undefined) this.#makeRoom(link);
    const full = this.door.loops.size >= this.door.policy.limits.connections || core.memory.refuses;
    const refusal = full ? "quota" : this.door.policy.admit(link, core.now);
    if (refusal !== "accepted") {
      this.#refused(refusal, datagram);
      return undefined;
    }
    link.loop = new ChannelLoop(this.door, link);
    this.peers.add(link);
    if (link.proof !== undefined) this.unproven.add(link);
    link.loop.open(this.#endpoint);
    return link.loop.closed ? undefined : link;
  }

  /** For a newcomer that has proven nothing: who has proven nothing either, and was not heard lately, goes. */
  #makeRoom({ address, key }: Resident): void {
    const { unproven, connections, unprovenOfNetwork } = this.door.policy.limits;
    const limits = { total: unproven ?? NO_LIMIT, network: unprovenOfNetwork ?? NO_LIMIT };
    const peer = this.unproven.displaced(address, limits, this.door.loops.size >= connections);
    if (peer === undefined) return;
    const { core } = this;
    core.counters.unprovenDisplaced.value++;
    // Said once for a flood of them.
    if (core.now >= this.#quietUntil) {
      const detail = { unproven: this.unproven.count };
      core.note(this.door.gateway, { level: "warn", event: "unproven-displaced", detail }, { peer: key });
    }
    this.#quietUntil = after(core.now, QUIET);
    peer.loop.gone("unproven, and others came", true);
  }

  #broadcast(bytes: Uint8Array): void {
    for (const { address, port } of this.#options.beaconTo) this.send({ bytes, address, port });
  }

  get #transport(): Transport {
    return this.#options.transport;
  }
}

const NO_LIMIT = Number.POSITIVE_INFINITY;
/** How long a flood has to be over until the next one is noted. */
const QUIET = minutes(1);

const TO_CHANNEL: Route = { to: "channel" };

/** One device: where it is, and the way to it. */
class DatagramLink implements Link, Resident, Proving {
  readonly transport: Transport;
  address: string;
  port: number;
  heardBy: DatagramPath | undefined;
  node: string | undefined;
  association: DatagramAssociation | undefined;
  key: string;
  claims: Set<string> | string | undefined = undefined;
  heardLately = false;
  loop!: ChannelLoop;
  readonly proof: AddressProof | undefined;
  readonly #runtime: DatagramRuntime;
  #burden: Burden | undefined = undefined;

  constructor(
    runtime: DatagramRuntime,
    transport: Transport,
    { address, port, path, association }: Datagram,
    key: string,
    node: string | undefined,
    unprovenFactor: number | undefined,
  ) {
    this.proof = unprovenFactor === undefined ? undefined : new AddressProof(unprovenFactor, this);
    this.#runtime = runtime;
    this.transport = transport;
    this.address = address;
    this.port = port;
    this.heardBy = path;
    this.association = association;
    this.key = key;
    this.node = node;
  }

  get peer(): Peer {
    return this;
  }

  get identity(): string | undefined {
    return this.association?.identity;
  }

  get shown(): Shown | undefined {
    return this.proof?.shown;
  }

  get forgeable(): boolean {
    return this.proof?.proven === false;
  }

  get burden(): Burden {
    this.#burden ??= new Burden(this.#runtime.core.memory, () => this.loop.stop("overload"));
    return this.#burden;
  }

  /** Sessions of who was here are no more to be had by forging. */
  proven(): void {
    const { engine } = this.#runtime.core;
    for (const { session } of this.loop.clients())
      if (session.attendance !== undefined) engine.proven?.(session.attendance);
  }

  checksLogins(gateway: string | undefined): boolean {
    return this.#runtime.door.checksLogins(gateway);
  }

  send(bytes: Uint8Array): void {
    this.sendView(copyOf(bytes));
  }

  sendView(bytes: Uint8Array): void {
    if (this.proof?.spend(bytes.length) === false) {
      this.#runtime.core.counters.unprovenDropped.value++;
      return;
    }
    const { address, port, heardBy: path, association } = this;
    this.#runtime.send({ bytes, address, port, path, association });
  }

  /** A datagram that is not read is lost; rates are kept by refusing. */
  pauseReading(): void {}
  resumeReading(): void {}

  close(): void {
    this.#burden?.gone();
    this.#runtime.unproven.remove(this);
    this.#runtime.peers.remove(this);
  }

  claim(name: string): void {
    this.#runtime.peers.claim(this, name);
  }

  unclaim(name: string): void {
    this.#runtime.peers.unclaim(this, name);
  }

  get roaming(): Roaming {
    return this.#runtime.peers.roaming;
  }
}
