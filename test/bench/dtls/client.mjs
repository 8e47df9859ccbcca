/**
 * The client's side of DTLS 1.2 with a pre-shared key or a certificate, for the load generator: it talks like a connected
 * UDP socket. On the loopback interface nothing is lost, so nothing is repeated; whom it talks to it does not check.
 */
import { createHash, createPrivateKey, createSign, X509Certificate } from "node:crypto";
import { createSocket } from "node:dgram";
import { EventEmitter, once } from "node:events";
import { readFileSync } from "node:fs";
import { fragmentOf, parseFragments, wholeMessage } from "../../../dist/src/dtls/handshake/message.js";
import { Reassembly } from "../../../dist/src/dtls/handshake/reassembly.js";
import { keyBlockLength, prf, pskPremaster } from "../../../dist/src/dtls/prf.js";
import { protectionOf } from "../../../dist/src/dtls/protection.js";
import { parseRecord, plainRecord } from "../../../dist/src/dtls/record.js";
import { suiteByName } from "../../../dist/src/dtls/suites.js";
import { nodeCrypto } from "../../../dist/src/net/dtls-crypto.js";

const LIMIT_MS = 10_000;
const CHANGE_CIPHER_SPEC = 20;
const ALERT = 21;
const CLOSE_NOTIFY = Uint8Array.of(1, 0);
const HANDSHAKE = 22;
const CONTENT = 23;
const CLIENT_HELLO = 1;
const HELLO_VERIFY_REQUEST = 3;
const SERVER_HELLO = 2;
const CERTIFICATE = 11;
const SERVER_KEY_EXCHANGE = 12;
const SERVER_HELLO_DONE = 14;
const CERTIFICATE_VERIFY = 15;
const CLIENT_KEY_EXCHANGE = 16;
const FINISHED = 20;
const NO_CID = new Uint8Array(0);
const TERMS = { encryptThenMac: false, draftCid: false };

const uint16 = (/** @type {number} */ value) => Buffer.from([value >> 8, value & 255]);
const uint24 = (/** @type {number} */ value) => Buffer.from([value >> 16, (value >> 8) & 255, value & 255]);
/** P-256, no compressed points, ECDSA with SHA-256; renegotiation_info (RFC 8422, RFC 5246 §7.4.1.4.1, RFC 5746). */
const EXTENSIONS = Buffer.from("000a000400020017000b00020100000d000400020403ff01000100", "hex");

/**
 * @typedef {{suite: string, psk?: {identity: string, key: string}, proof?: {certificate: string, key: string}}} Secret
 *   `proof`: PEM files
 * @param {{port: number, bind: string, secret: Secret}} how
 */
export async function secureSocketTo({ port, bind, secret }) {
  const udp = createSocket({ type: "udp4", recvBufferSize: 1 << 20 });
  udp.bind(0, bind);
  await once(udp, "listening");
  udp.connect(port, "127.0.0.1");
  await once(udp, "connect");
  const socket = new SecureSocket(udp, secret);
  await once(socket, "open", { signal: AbortSignal.timeout(LIMIT_MS) });
  return socket;
}

class SecureSocket extends EventEmitter {
  #random = nodeCrypto.random(32);
  #serverRandom = new Uint8Array(32);
  #cookie = new Uint8Array(0);
  #plainSequence = 0;
  #messageSequence = 0;
  #sequence = 0;
  /** @type {Uint8Array[]} */
  #transcript = [];
  #master = new Uint8Array(0);
  /** @type {any} */
  #reading = undefined;
  /** @type {any} */
  #writing = undefined;
  #reassembly = new Reassembly({ messageMax: 16_384, totalMax: 65_536, aheadMax: 20 }, 0);
  #serverShare = new Uint8Array(0);
  #done = false;

  /**
   * @param {import("node:dgram").Socket} udp
   * @param {Secret} secret
   */
  constructor(udp, secret) {
    super();
    this.udp = udp;
    this.secret = secret;
    const suite = suiteByName(secret.suite);
    if (suite === undefined) throw new Error(`no suite ${secret.suite}`);
    this.suite = suite;
    udp.on("message", (datagram) => this.#hear(datagram));
    this.#hello();
  }

  /** @param {Uint8Array} content */
  send(content) {
    this.udp.send(this.#seal(CONTENT, content));
  }

  /** @param {() => void} [closed] */
  close(closed) {
    this.udp.send(this.#seal(ALERT, CLOSE_NOTIFY), () => this.udp.close(closed));
  }

  /**
   * @param {number} type
   * @param {Uint8Array} content
   */
  #seal(type, content) {
    return this.#writing.seal(type, content, { epoch: 1, sequence: this.#sequence++, cid: NO_CID }, 0);
  }

  /** @param {Uint8Array} datagram */
  #hear(datagram) {
    for (let at = 0; at < datagram.length; ) {
      const record = parseRecord(datagram, at, 0);
      if (record === undefined) return;
      at = record.end;
      if (record.type === CHANGE_CIPHER_SPEC) continue;
      const content = record.epoch === 0 ? record.fragment : this.#reading?.open(record)?.bytes;
      if (content === undefined) continue;
      if (record.type === CONTENT) this.emit("message", Buffer.from(content));
      else if (record.type === HANDSHAKE)
        for (const fragment of parseFragments(content) ?? []) this.#fragment(fragment);
      else throw new Error(`the server ends it: ${Buffer.from(content).toString("hex")}`);
    }
  }

  /** @param {import("../../../dist/src/dtls/handshake/message.js").Fragment} fragment */
  #fragment(fragment) {
    this.#reassembly.add(fragment);
    for (;;) {
      const message = this.#reassembly.take();
      if (message === undefined) return;
      this.#message(message);
    }
  }

  /** @param {import("../../../dist/src/dtls/handshake/message.js").HandshakeMessage} message */
  #message({ type, sequence, body }) {
    if (this.#done) return;
    if (type === HELLO_VERIFY_REQUEST) {
      this.#cookie = body.slice(3);
      this.#transcript = [];
      this.#hello();
      return;
    }
    if (type === FINISHED) {
      this.#done = true;
      this.emit("open");
      return;
    }
    this.#transcript.push(wholeMessage({ type, sequence, body }));
    // RFC 8422 §5.4: the kind of the curve, its number, and the point.
    if (type === SERVER_KEY_EXCHANGE) this.#serverShare = body.slice(4, 4 + (body[3] ?? 0));
    if (type === SERVER_HELLO) this.#serverRandom = body.slice(2, 34);
    if (type === SERVER_HELLO_DONE) this.#finish();
  }

  #hello() {
    const body = Buffer.concat([
      Buffer.from([0xfe, 0xfd]),
      this.#random,
      Buffer.from([0, this.#cookie.length]),
      this.#cookie,
      uint16(2),
      uint16(this.suite.id),
      // No compression.
      Buffer.from([1, 0]),
      uint16(EXTENSIONS.length),
      EXTENSIONS,
    ]);
    this.udp.send(this.#handshake(CLIENT_HELLO, body));
  }

  #finish() {
    const { suite } = this;
    const { psk, proof } = this.secret;
    /** @type {Uint8Array[]} */
    const flight = [];
    const random = [this.#random, this.#serverRandom];
    let premaster = new Uint8Array(0);
    if (psk !== undefined) {
      const identity = Buffer.from(psk.identity);
      const exchange = Buffer.concat([uint16(identity.length), identity]);
      flight.push(this.#handshake(CLIENT_KEY_EXCHANGE, exchange));
      premaster = pskPremaster(Buffer.from(psk.key));
    } else if (proof !== undefined) {
      const { raw } = new X509Certificate(readFileSync(proof.certificate));
      const list = [uint24(raw.length + 3), uint24(raw.length), raw];
      flight.push(this.#handshake(CERTIFICATE, Buffer.concat(list)));
      const share = nodeCrypto.keyShare("P-256");
      premaster = share.agree(this.#serverShare) ?? premaster;
      const point = Buffer.concat([Buffer.from([share.publicKey.length]), share.publicKey]);
      flight.push(this.#handshake(CLIENT_KEY_EXCHANGE, point));
      const signer = createSign("sha256");
      for (const part of this.#transcript) signer.update(part);
      const signature = signer.sign(createPrivateKey(readFileSync(proof.key)));
      const signed = [Buffer.from([4, 3]), uint16(signature.length), signature];
      flight.push(this.#handshake(CERTIFICATE_VERIFY, Buffer.concat(signed)));
    }
    this.#master = prf(nodeCrypto, suite.prf, premaster, "master secret", random, 48);
    const seed = [this.#serverRandom, this.#random];
    const length = keyBlockLength(suite.cipher);
    const block = prf(nodeCrypto, suite.prf, this.#master, "key expansion", seed, length);
    const material = { block, cipher: suite.cipher };
    this.#reading = protectionOf(nodeCrypto, material, "server", TERMS);
    this.#writing = protectionOf(nodeCrypto, material, "client", TERMS);
    flight.push(plainRecord(CHANGE_CIPHER_SPEC, this.#plainSequence++, Uint8Array.of(1)));
    const hash = createHash(suite.prf);
    for (const part of this.#transcript) hash.update(part);
    const verify = prf(nodeCrypto, suite.prf, this.#master, "client finished", [hash.digest()], 12);
    const finished = { type: FINISHED, sequence: this.#messageSequence++, body: verify };
    flight.push(this.#seal(HANDSHAKE, fragmentOf(finished, 0, verify.length)));
    this.udp.send(Buffer.concat(flight));
  }

  /**
   * @param {number} type
   * @param {Uint8Array} body
   */
  #handshake(type, body) {
    const message = { type, sequence: this.#messageSequence++, body };
    const whole = fragmentOf(message, 0, body.length);
    this.#transcript.push(whole);
    return plainRecord(HANDSHAKE, this.#plainSequence++, whole);
  }
}
