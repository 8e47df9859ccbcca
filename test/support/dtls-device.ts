/**
 * A client of DTLS 1.2 for walks in virtual time, with a pre-shared key, a certificate or a raw public key: as a device
 * does it, and wrongly where a test wants that. It is no judge of the codec: for that there are the captured exchanges and other people's clients.
 */
import { createPublicKey, type KeyObject, randomBytes, X509Certificate } from "node:crypto";
import { ContentType, GROUPS, HandshakeType, SIGNATURE_SCHEMES } from "#core/dtls/constants.ts";
import type { KeyShare } from "#core/dtls/crypto.ts";
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
import { isEphemeral, type Suite, suiteByName, usesPsk } from "#core/dtls/suites.ts";
import { concat, utf8 } from "#core/lib/bytes.ts";
import { type Duration, seconds } from "#core/lib/time.ts";
import { nodeCrypto, signingKey } from "#core/net/dtls-crypto.ts";
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
  /** What it shows when it is asked for a certificate; undefined: an empty list. */
  readonly proof?: DeviceProof;
  /** RFC 6066 §3. */
  readonly serverName?: string;
  readonly group?: "P-256" | "P-384" | "x25519";
}

/** A key, and a certificate for it (DER); without one, a raw public key. */
export interface DeviceProof {
  readonly key: KeyObject;
  readonly chain?: readonly Uint8Array[];
}

interface Session {
  readonly master: Uint8Array;
  readonly ticket: Uint8Array;
}

/** (Certificate,) ClientKeyExchange, (CertificateVerify,) ChangeCipherSpec, Finished. */
export type FlightOf = readonly Item[];

export type Item = { readonly message: HandshakeMessage; readonly sealed: boolean } | "change-cipher-spec";

const u16 = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 255);
const vector = (bytes: Uint8Array, octets: 1 | 2): Uint8Array =>
  concat(octets === 1 ? Uint8Array.of(bytes.length) : u16(bytes.length), bytes);
const vector24 = (bytes: Uint8Array): Uint8Array =>
  concat(Uint8Array.of(bytes.length >> 16, (bytes.length >> 8) & 255, bytes.length & 255), bytes);
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
  /** The server's certificate, or its raw public key. */
  serverCertificate: Uint8Array = new Uint8Array(0);
  #asksForCertificate = false;
  #share: KeyShare | undefined = undefined;
  #agreed: Uint8Array = new Uint8Array(0);
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
      ...this.#exchangeExtensions(),
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

  get #raw(): boolean {
    const { proof } = this.#options;
    return proof !== undefined && proof.chain === undefined;
  }

  #exchangeExtensions(): Uint8Array[] {
    if (!isEphemeral(this.#suite)) return [];
    const { group = "P-256", serverName } = this.#options;
    const groups = GROUPS.filter(({ name }) => name === group || name === "P-256").map(({ id }) => u16(id));
    if (group !== "P-256") groups.reverse();
    const schemes = SIGNATURE_SCHEMES.map(({ id }) => u16(id));
    return [
      extension(10, vector(concat(...groups), 2)),
      extension(11, Uint8Array.of(1, 0)),
      extension(13, vector(concat(...schemes), 2)),
      ...(this.#raw ? [extension(19, Uint8Array.of(1, 2)), extension(20, Uint8Array.of(1, 2))] : []),
      ...(serverName === undefined
        ? []
        : [extension(0, vector(concat(Uint8Array.of(0), vector(utf8(serverName), 2)), 2))]),
    ];
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
      case HandshakeType.certificate:
        // A list of one, or a raw key (RFC 7250 §3).
        this.serverCertificate = new Uint8Array(message.body.subarray(this.#raw ? 3 : 6));
        return;
      case HandshakeType.serverKeyExchange:
        if (isEphemeral(this.#suite) && !this.#exchange(message.body)) this.state = "failed";
        return;
      case HandshakeType.certificateRequest:
        this.#asksForCertificate = true;
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

  /** RFC 8422 §5.4: takes the server's share and checks its signature. */
  #exchange(body: Uint8Array): boolean {
    const hint = usesPsk(this.#suite) ? 2 + ((body[0] ?? 0) << 8) + (body[1] ?? 0) : 0;
    const params = body.subarray(hint, hint + 4 + (body[hint + 3] ?? 0));
    const group = GROUPS.find(({ id }) => id === ((params[1] ?? 0) << 8) + (params[2] ?? 0));
    if (group === undefined) return false;
    this.#share = nodeCrypto.keyShare(group.name);
    this.#agreed = this.#share.agree(params.subarray(4)) ?? new Uint8Array(0);
    if (usesPsk(this.#suite)) return true;
    const rest = body.subarray(hint + params.length);
    const scheme = SIGNATURE_SCHEMES.find(({ id }) => id === ((rest[0] ?? 0) << 8) + (rest[1] ?? 0));
    try {
      const key = this.#raw
        ? createPublicKey({ key: Buffer.from(this.serverCertificate), format: "der", type: "spki" })
        : new X509Certificate(this.serverCertificate).publicKey;
      const spki = key.export({ format: "der", type: "spki" });
      const signed = concat(this.#random, this.#serverRandom, params);
      return scheme !== undefined && nodeCrypto.verify(spki, scheme, signed, rest.subarray(4));
    } catch {
      return false;
    }
  }

  #keyExchange(): void {
    const { proof } = this.#options;
    const items: Item[] = [];
    if (this.#asksForCertificate) items.push(this.#message(HandshakeType.certificate, this.#shown()));
    items.push(this.#message(HandshakeType.clientKeyExchange, this.#clientShare()));
    this.#makeMaster();
    if (this.#asksForCertificate && proof !== undefined) {
      const scheme = SIGNATURE_SCHEMES.find(({ key }) => key === signingKey(proof.key)?.kind)!;
      const signed = signingKey(proof.key)!.sign(scheme, concat(...this.#transcript));
      const body = concat(u16(scheme.id), vector(signed, 2));
      items.push(this.#message(HandshakeType.certificateVerify, body));
    }
    this.#keys();
    items.push("change-cipher-spec");
    items.push(this.#message(HandshakeType.finished, this.#verifyData("client finished"), true));
    this.#start([...(this.#options.flight?.(items) ?? items)]);
  }

  #shown(): Uint8Array {
    const { proof } = this.#options;
    if (proof?.chain !== undefined) return vector24(concat(...proof.chain.map(vector24)));
    if (proof === undefined) return vector24(new Uint8Array(0));
    return vector24(createPublicKey(proof.key).export({ format: "der", type: "spki" }));
  }

  #clientShare(): Uint8Array {
    const { identity = "dev1" } = this.#options;
    const share = this.#share === undefined ? [] : [vector(this.#share.publicKey, 1)];
    return concat(...(usesPsk(this.#suite) ? [vector(utf8(identity), 2)] : []), ...share);
  }

  #makeMaster(): void {
    const { key = KEY } = this.#options;
    const { prf: hash } = this.#suite;
    const premaster = !usesPsk(this.#suite)
      ? this.#agreed
      : isEphemeral(this.#suite)
        ? pskPremaster(key, this.#agreed)
        : pskPremaster(key);
    this.#master = this.#usesExtended
      ? prf(nodeCrypto, hash, premaster, "extended master secret", [this.#hash()], 48)
      : prf(nodeCrypto, hash, premaster, "master secret", [this.#random, this.#serverRandom], 48);
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
