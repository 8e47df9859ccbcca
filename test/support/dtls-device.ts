/**
 * A client of DTLS 1.2 with pre-shared keys, for walks in virtual time: as a device does it, and wrongly where a test
 * wants that. It is no judge of the codec: for that there are the captured exchanges and other people's clients.
 */
import { randomBytes } from "node:crypto";
import { ContentType, HandshakeType } from "#core/dtls/constants.ts";
import {
  fragmentOf,
  type HandshakeMessage,
  parseFragments,
  wholeMessage,
} from "#core/dtls/handshake/message.ts";
import { Reassembly } from "#core/dtls/handshake/reassembly.ts";
import { keyBlockLength, prf, pskPremaster } from "#core/dtls/prf.ts";
import { type Protection, protectionOf } from "#core/dtls/protection.ts";
import { type DtlsRecord, parseRecord, plainRecord } from "#core/dtls/record.ts";
import { type Suite, suiteByName } from "#core/dtls/suites.ts";
import { concat, utf8 } from "#core/lib/bytes.ts";
import { type Duration, seconds } from "#core/lib/time.ts";
import { nodeCrypto } from "#core/net/dtls-crypto.ts";
import { KEY } from "./dtls-world.ts";

/** Where a device sends and hears: virtual, or a socket. */
export interface DeviceNetwork {
  attach(address: string, port: number, hear: (bytes: Uint8Array) => void): void;
  detach(address: string, port: number): void;
  send(bytes: Uint8Array, address: string, port: number): void;
  /** Returns how to call it off. */
  later(wait: Duration, run: () => void): () => void;
}

export interface DeviceOptions {
  readonly address?: string;
  readonly port?: number;
  readonly identity?: string;
  readonly key?: Uint8Array;
  readonly suite?: string;
  readonly extendedMasterSecret?: boolean;
  /** Its own connection id; undefined offers none. Empty: it only uses ours. */
  readonly cid?: Uint8Array;
  /** The first wait of its retransmission. */
  readonly wait?: Duration;
  /** Octets of a fragment of its messages at most. */
  readonly fragment?: number;
  /** What becomes of its last flight: to leave something out, or to send it in an order that is not allowed. */
  readonly flight?: (items: FlightOf) => FlightOf;
  /** By ticket: the session of another device. */
  readonly resume?: Session;
}

interface Session {
  readonly master: Uint8Array;
  readonly ticket: Uint8Array;
}

/** ClientKeyExchange, ChangeCipherSpec, Finished. */
type FlightOf = readonly Item[];

type Item = { readonly message: HandshakeMessage; readonly sealed: boolean } | "change-cipher-spec";

const u16 = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 255);
const vector = (bytes: Uint8Array, octets: 1 | 2): Uint8Array =>
  concat(octets === 1 ? Uint8Array.of(bytes.length) : u16(bytes.length), bytes);
const extension = (type: number, data: Uint8Array): Uint8Array => concat(u16(type), vector(data, 2));

export class DtlsDevice {
  address: string;
  port: number;
  state: "idle" | "shaking" | "open" | "failed" | "closed" = "idle";
  readonly received: Uint8Array[] = [];
  readonly alerts: (readonly [number, number])[] = [];
  session: Session | undefined = undefined;
  resumed = false;
  /** The connection id by which the gateway knows us. */
  gatewayCid: Uint8Array = new Uint8Array(0);
  readonly #world: DeviceNetwork;
  readonly #options: DeviceOptions;
  readonly #suite: Suite;
  readonly #random = new Uint8Array(randomBytes(32));
  #serverRandom: Uint8Array = new Uint8Array(32);
  #cookie: Uint8Array = new Uint8Array(0);
  #transcript: Uint8Array[] = [];
  #reassembly: Reassembly;
  #messageSequence = 0;
  #plainSequence = 0;
  /** The number of the next protected record. */
  sequence = 0;
  #flight: Item[] = [];
  #master: Uint8Array = new Uint8Array(0);
  #reading: Protection | undefined = undefined;
  writing: Protection | undefined = undefined;
  #early: DtlsRecord[] = [];
  #expectsFinished = false;
  #wait: Duration;
  #callOff: (() => void) | undefined = undefined;
  #usesExtended = false;
  #ticket: Uint8Array | undefined = undefined;

  constructor(world: DeviceNetwork, options: DeviceOptions = {}) {
    this.#world = world;
    this.#options = options;
    this.address = options.address ?? "192.0.2.1";
    this.port = options.port ?? 40_000;
    this.#suite = suiteByName(options.suite ?? "PSK_WITH_AES_128_CCM_8")!;
    this.#wait = options.wait ?? seconds(1);
    this.#reassembly = new Reassembly({ messageMax: 16_384, totalMax: 65_536, aheadMax: 20 }, 0);
    this.attach();
  }

  attach(): void {
    this.#world.attach(this.address, this.port, (bytes) => this.#hear(bytes));
  }

  /** The NAT between gives it another address. */
  move(address: string, port: number): void {
    this.#world.detach(this.address, this.port);
    this.address = address;
    this.port = port;
    this.attach();
  }

  connect(): void {
    this.state = "shaking";
    this.#hello();
  }

  /** Content, as a whole datagram. */
  record(content: Uint8Array, type: number = ContentType.applicationData): Uint8Array {
    const to = { epoch: 1, sequence: this.sequence++, cid: this.gatewayCid };
    return this.writing!.seal(type, content, to, 0);
  }

  send(text: string): void {
    this.sendBytes(this.record(utf8(text)));
  }

  sendBytes(bytes: Uint8Array): void {
    this.#world.send(bytes, this.address, this.port);
  }

  /** The ClientHello that it sends with this cookie. */
  hello(): Uint8Array {
    const { resume, cid, extendedMasterSecret = true } = this.#options;
    const extensions = [
      ...(extendedMasterSecret ? [extension(23, new Uint8Array(0))] : []),
      ...(cid === undefined ? [] : [extension(54, vector(cid, 1))]),
      extension(35, resume?.ticket ?? new Uint8Array(0)),
    ];
    const sessionId = resume === undefined ? new Uint8Array(0) : Uint8Array.of(9, 9, 9);
    return concat(
      Uint8Array.of(0xfe, 0xfd),
      this.#random,
      vector(sessionId, 1),
      vector(this.#cookie, 1),
      vector(u16(this.#suite.id), 2),
      Uint8Array.of(1, 0),
      vector(concat(...extensions), 2),
    );
  }

  #hello(): void {
    this.#transcript = [];
    this.#start([this.#message(HandshakeType.clientHello, this.hello())]);
  }

  #message(type: number, body: Uint8Array, sealed = false): Item {
    const message = { type, body, sequence: this.#messageSequence++ };
    this.#transcript.push(wholeMessage(message));
    return { message, sealed };
  }

  #start(flight: Item[]): void {
    this.#flight = flight;
    this.#wait = this.#options.wait ?? seconds(1);
    this.#emit();
  }

  #emit(): void {
    for (const item of this.#flight) {
      if (item === "change-cipher-spec") {
        this.sendBytes(plainRecord(ContentType.changeCipherSpec, this.#plainSequence++, Uint8Array.of(1)));
        continue;
      }
      const { message, sealed } = item;
      const step = this.#options.fragment ?? Math.max(message.body.length, 1);
      for (let offset = 0; offset === 0 || offset < message.body.length; offset += step) {
        const piece = fragmentOf(message, offset, Math.min(step, message.body.length - offset));
        if (sealed) this.sendBytes(this.record(piece, ContentType.handshake));
        else this.sendBytes(plainRecord(ContentType.handshake, this.#plainSequence++, piece));
      }
    }
    this.#callOff?.();
    this.#callOff = this.#world.later(this.#wait, () => {
      if (this.state !== "shaking") return;
      this.#wait = Math.min(2 * this.#wait, 60_000) as Duration;
      this.#emit();
    });
  }

  #hear(datagram: Uint8Array): void {
    const cidLength = this.#options.cid?.length ?? 0;
    for (let at = 0; at < datagram.length; ) {
      const record = parseRecord(datagram, at, cidLength);
      if (record === undefined) return;
      at = record.end;
      this.#take(record);
    }
  }

  #take(record: DtlsRecord): void {
    if (record.epoch === 0) {
      if (record.type === ContentType.handshake) this.#fragments(record.fragment, false);
      else if (record.type === ContentType.alert) this.#alert(record.fragment);
      return;
    }
    if (this.#reading === undefined) {
      this.#early.push({
        ...record,
        fragment: new Uint8Array(record.fragment),
        cid: new Uint8Array(record.cid),
      });
      return;
    }
    const content = this.#reading.open(record);
    if (content === undefined) return;
    if (content.type === ContentType.handshake) this.#fragments(content.bytes, true);
    else if (content.type === ContentType.alert) this.#alert(content.bytes);
    else this.received.push(new Uint8Array(content.bytes));
  }

  #alert(bytes: Uint8Array): void {
    this.alerts.push([bytes[0] ?? 0, bytes[1] ?? 0]);
    if (bytes[0] === 2) this.state = "failed";
    else if (bytes[1] === 0) this.state = "closed";
  }

  #fragments(bytes: Uint8Array, sealed: boolean): void {
    for (const fragment of parseFragments(bytes) ?? []) {
      if ((fragment.type === HandshakeType.finished) !== sealed) continue;
      // The gateway has not heard our last flight of a resumed handshake.
      if (this.#reassembly.add(fragment) === "old" && sealed && this.state === "open") this.#emit();
    }
    for (let next = this.#reassembly.take(); next !== undefined; next = this.#reassembly.take()) {
      this.#answer(next);
    }
  }

  #answer(message: HandshakeMessage): void {
    if (message.type !== HandshakeType.helloVerifyRequest && message.type !== HandshakeType.finished) {
      this.#transcript.push(wholeMessage(message));
    }
    switch (message.type) {
      case HandshakeType.helloVerifyRequest:
        this.#cookie = new Uint8Array(message.body.subarray(3));
        this.#hello();
        return;
      case HandshakeType.serverHello:
        this.#serverHello(message.body);
        return;
      case HandshakeType.newSessionTicket:
        this.#ticket = new Uint8Array(message.body.subarray(6));
        return;
      case HandshakeType.serverHelloDone:
        this.#keyExchange();
        return;
      case HandshakeType.finished:
        this.#finished(message);
    }
  }

  #serverHello(body: Uint8Array): void {
    this.#serverRandom = new Uint8Array(body.subarray(2, 34));
    const sessionId = body.subarray(35, 35 + (body[34] ?? 0));
    let at = 35 + sessionId.length + 3 + 2;
    while (at + 4 <= body.length) {
      const type = ((body[at] ?? 0) << 8) | (body[at + 1] ?? 0);
      const length = ((body[at + 2] ?? 0) << 8) | (body[at + 3] ?? 0);
      const data = body.subarray(at + 4, at + 4 + length);
      if (type === 23) this.#usesExtended = true;
      if (type === 54) this.gatewayCid = new Uint8Array(data.subarray(1));
      at += 4 + length;
    }
    const { resume } = this.#options;
    if (resume !== undefined && sessionId.length === 3) {
      this.resumed = true;
      this.#master = resume.master;
      this.#keys();
    }
  }

  #keyExchange(): void {
    const { identity = "dev1", key = KEY } = this.#options;
    const exchange = this.#message(HandshakeType.clientKeyExchange, vector(utf8(identity), 2));
    const { prf: hash } = this.#suite;
    const premaster = pskPremaster(key);
    this.#master = this.#usesExtended
      ? prf(nodeCrypto, hash, premaster, "extended master secret", [this.#hash()], 48)
      : prf(nodeCrypto, hash, premaster, "master secret", [this.#random, this.#serverRandom], 48);
    this.#keys();
    const finished = this.#message(HandshakeType.finished, this.#verifyData("client finished"), true);
    const items: readonly Item[] = [exchange, "change-cipher-spec", finished];
    this.#start([...(this.#options.flight?.(items) ?? items)]);
  }

  #keys(): void {
    const { cipher, prf: hash } = this.#suite;
    const seed = [this.#serverRandom, this.#random];
    const block = prf(nodeCrypto, hash, this.#master, "key expansion", seed, keyBlockLength(cipher));
    const terms = { encryptThenMac: false, draftCid: false };
    this.#reading = protectionOf(nodeCrypto, { block, cipher }, "server", terms);
    this.writing = protectionOf(nodeCrypto, { block, cipher }, "client", terms);
    this.#expectsFinished = true;
    const early = this.#early;
    this.#early = [];
    for (const record of early) this.#take(record);
  }

  #finished(message: HandshakeMessage): void {
    if (!this.#expectsFinished) return;
    const wanted = this.#verifyData("server finished");
    if (!nodeCrypto.equal(wanted, message.body)) {
      this.state = "failed";
      return;
    }
    this.#transcript.push(wholeMessage(message));
    this.state = "open";
    if (this.#ticket !== undefined) this.session = { master: this.#master, ticket: this.#ticket };
    if (!this.resumed) return;
    const finished = this.#message(HandshakeType.finished, this.#verifyData("client finished"), true);
    this.#start(["change-cipher-spec", finished]);
  }

  #verifyData(label: string): Uint8Array {
    return prf(nodeCrypto, this.#suite.prf, this.#master, label, [this.#hash()], 12);
  }

  #hash(): Uint8Array {
    return nodeCrypto.hash(this.#suite.prf, this.#transcript);
  }
}
