import { concat, NO_BYTES, text } from "../../lib/bytes.ts";
import { type Instant, inSeconds } from "../../lib/time.ts";
import type { AssociationTerms } from "../association.ts";
import {
  Alert,
  CertificateType,
  ExtensionType,
  HandshakeType,
  PLAINTEXT_MAX,
  SIGNATURE_SCHEMES,
} from "../constants.ts";
import type { Crypto, KeyShare } from "../crypto.ts";
import type { FlightItem } from "../flight.ts";
import { uint16s } from "../octets.ts";
import { keyBlockLength, MASTER_SECRET_LENGTH, prf, pskPremaster, VERIFY_DATA_LENGTH } from "../prf.ts";
import { expiryOf, type Session, type SessionCache, type Tickets } from "../sessions.ts";
import { type Credentials, type DtlsSettings, Failure, type Verified } from "../settings.ts";
import { type Suite, usesPsk } from "../suites.ts";
import {
  parseCertificate,
  parseCertificateVerify,
  parseClientKeyExchange,
  parseRawPublicKey,
} from "./client-messages.ts";
import { type Agreed, answers, type UnderstoodHello, understand } from "./hello.ts";
import { type HandshakeMessage, wholeMessage } from "./message.ts";
import { negotiate, type Terms } from "./negotiation.ts";
import {
  certificate,
  certificateRequest,
  ecdhParams,
  identityHint,
  newSessionTicket,
  rawPublicKey,
  serverHello,
  signature,
} from "./server-messages.ts";

/** What all handshakes of a listener share. */
export interface HandshakeContext {
  readonly crypto: Crypto;
  readonly settings: DtlsSettings;
  readonly credentials: Credentials;
  readonly sessions: SessionCache;
  readonly tickets: Tickets;
  /** Makes keys for identities that have none, so that those look like all others until the end. */
  readonly decoySecret: Uint8Array;
  /** A connection id that nobody has. */
  newCid(): Uint8Array;
  /** For people who look at traffic; off unless it is configured. */
  readonly keyLog: ((clientRandom: Uint8Array, masterSecret: Uint8Array) => void) | undefined;
}

/** What a message leads to: nothing yet, an answer, or the end. */
export interface Reply {
  readonly items: readonly FlightItem[];
  /** Nothing is expected after it. */
  readonly last: boolean;
}
export type Step = Reply | Failure | undefined;

type Expected =
  | "client-hello"
  | "certificate"
  | "client-key-exchange"
  | "certificate-verify"
  | "finished"
  | "nothing";

const RANDOM_LENGTH = 32;
const MESSAGE_OF: Readonly<Record<Exclude<Expected, "nothing">, number>> = {
  "client-hello": HandshakeType.clientHello,
  certificate: HandshakeType.certificate,
  "client-key-exchange": HandshakeType.clientKeyExchange,
  "certificate-verify": HandshakeType.certificateVerify,
  finished: HandshakeType.finished,
};

/**
 * The server's side of the handshake of RFC 5246 §7.3 and its shortened form: messages in, messages out, in one order
 * only. Records, repetition and time are the business of others.
 */
export class ServerHandshake {
  /** Set as soon as there are keys. */
  terms: AssociationTerms | undefined = undefined;
  identity: string | undefined = undefined;
  resumed = false;
  suite: Suite | undefined = undefined;
  /** What the client has named, proven or not; for the log. */
  claimed: string | undefined = undefined;
  /** Reserved in the ServerHello. */
  ownCid: Uint8Array = NO_BYTES;
  /** The longest plaintext that the client takes in a record. */
  peerRecordSize = PLAINTEXT_MAX;
  readonly #context: HandshakeContext;
  #expected: Expected = "client-hello";
  #nextSequence: number;
  #transcript: Uint8Array[] = [];
  #understood!: UnderstoodHello;
  #agreed!: Agreed;
  #negotiated: Terms | undefined = undefined;
  #clientRandom: Uint8Array = NO_BYTES;
  #serverRandom: Uint8Array = NO_BYTES;
  #sessionId: Uint8Array = NO_BYTES;
  #share: KeyShare | undefined = undefined;
  #masterSecret: Uint8Array = NO_BYTES;
  #chain: readonly Uint8Array[] = [];
  #clientKey: Uint8Array | undefined = undefined;
  /** The key is one of those that nobody has. */
  #decoy = false;

  /** `sequence`: of our first message, which is that of the client's (a HelloVerifyRequest had the one before). */
  constructor(context: HandshakeContext, sequence: number) {
    this.#context = context;
    this.#nextSequence = sequence;
  }

  get expectsFinished(): boolean {
    return this.#expected === "finished";
  }

  /** The client named an identity that has no key. */
  get decoy(): boolean {
    return this.#decoy;
  }

  take(message: HandshakeMessage, now: Instant): Step | Promise<Step> {
    if (this.#expected === "nothing" || message.type !== MESSAGE_OF[this.#expected]) {
      return new Failure(
        Alert.unexpectedMessage,
        `message ${message.type} of the handshake is not the one that is due`,
      );
    }
    switch (this.#expected) {
      case "client-hello":
        return this.#clientHello(message, now);
      case "certificate":
        return this.#certificate(message);
      case "client-key-exchange":
        return this.#clientKeyExchange(message);
      case "certificate-verify":
        return this.#certificateVerify(message);
      case "finished":
        return this.#finished(message, now);
    }
  }

  #clientHello(message: HandshakeMessage, now: Instant): Step {
    const { settings, credentials, crypto } = this.#context;
    const understood = understand(message.body, settings);
    if (understood instanceof Failure) return understood;
    this.#understood = understood;
    this.peerRecordSize = understood.peerRecordSize;
    this.#transcript.push(wholeMessage(message));
    // Copies: the message is a view of what is received next, too.
    this.#clientRandom = new Uint8Array(understood.hello.random);
    this.#serverRandom = crypto.random(RANDOM_LENGTH);
    const session = this.#resumable(now);
    if (session instanceof Failure) return session;
    if (session !== undefined) return this.#resume(session, now);
    const terms = negotiate(understood.hello, understood.extensions, settings, credentials);
    if (terms instanceof Failure) return terms;
    return this.#offer(terms);
  }

  /** The session that the client wants to go on with, if that can be. */
  #resumable(now: Instant): Session | Failure | undefined {
    const { settings, sessions, tickets, credentials } = this.#context;
    const { hello, extensions } = this.#understood;
    const ticket = settings.resumption.tickets ? extensions.sessionTicket : undefined;
    const session =
      ticket !== undefined && ticket.length > 0
        ? tickets.open(ticket, now)
        : settings.resumption.ids && hello.sessionId.length > 0
          ? sessions.get(hello.sessionId, now)
          : undefined;
    if (session === undefined || session.stamp !== credentials.stamp) return undefined;
    const offered = uint16s(hello.cipherSuites) ?? [];
    if (!offered.includes(session.suite.id) || !settings.suites.includes(session.suite)) return undefined;
    // RFC 7627 §5.3.
    if (session.extendedMasterSecret && !extensions.extendedMasterSecret) {
      return new Failure(
        Alert.handshakeFailure,
        "the client resumes without the extended master secret that the session had",
      );
    }
    return session.extendedMasterSecret === extensions.extendedMasterSecret ? session : undefined;
  }

  #resume(session: Session, now: Instant): Reply {
    this.resumed = true;
    this.identity = session.identity;
    this.#masterSecret = session.masterSecret;
    // RFC 5077 §3.4: whatever a client with a ticket sends as id comes back, and tells it that it was taken.
    this.#sessionId = this.#understood.hello.sessionId;
    this.#agree(session.suite, undefined);
    const items: FlightItem[] = [this.#serverHello(session.suite)];
    this.#establish(session.suite);
    items.push(...this.#ticket(session.suite, now, session), ...this.#ownFinished(session.suite));
    this.#expected = "finished";
    return { items, last: false };
  }

  #offer(terms: Terms): Reply {
    const { credentials, settings, sessions, crypto } = this.#context;
    const { suite, proof, group } = terms;
    this.#negotiated = terms;
    this.#agree(suite, terms);
    if (settings.resumption.ids && !this.#agreed.ticket) this.#sessionId = sessions.newId();
    const items: FlightItem[] = [this.#serverHello(suite)];
    if (proof !== undefined) {
      const { chain, publicKey } = proof.serverKey;
      const body = proof.type === CertificateType.x509 ? certificate(chain) : rawPublicKey(publicKey);
      items.push(this.#message(HandshakeType.certificate, body));
    }
    if (group !== undefined) this.#share = crypto.keyShare(group.name);
    const exchange = this.#serverKeyExchange(terms, credentials.identityHint);
    if (exchange !== undefined) items.push(this.#message(HandshakeType.serverKeyExchange, exchange));
    if (terms.clientCertificateType !== undefined) {
      const schemes = SIGNATURE_SCHEMES.map(({ id }) => id);
      items.push(this.#message(HandshakeType.certificateRequest, certificateRequest(schemes)));
    }
    items.push(this.#message(HandshakeType.serverHelloDone, NO_BYTES));
    this.#expected = terms.clientCertificateType === undefined ? "client-key-exchange" : "certificate";
    return { items, last: false };
  }

  #agree(suite: Suite, terms: Terms | undefined): void {
    const { settings } = this.#context;
    const { extensions } = this.#understood;
    this.suite = suite;
    this.#agreed = {
      encryptThenMac: suite.cipher.kind === "cbc" && extensions.encryptThenMac,
      elliptic: terms?.group !== undefined,
      ticket: settings.resumption.tickets && extensions.sessionTicket !== undefined,
      clientCertificateType: terms?.clientCertificateType,
      serverCertificateType: terms?.proof?.type,
      cid: this.#connectionId(),
    };
  }

  #connectionId(): Agreed["cid"] {
    const { length, draft } = this.#context.settings.connectionId;
    const { connectionId, draftConnectionId } = this.#understood.extensions;
    if (length === 0) return undefined;
    const type =
      connectionId !== undefined
        ? ExtensionType.connectionId
        : draft && draftConnectionId !== undefined
          ? ExtensionType.connectionIdDraft
          : undefined;
    if (type === undefined) return undefined;
    this.ownCid = this.#context.newCid();
    return { type, own: this.ownCid };
  }

  #serverHello(suite: Suite): FlightItem {
    const extensions = answers(this.#understood, this.#agreed, this.#context.settings);
    const body = serverHello(this.#serverRandom, this.#sessionId, suite.id, extensions);
    return this.#message(HandshakeType.serverHello, body);
  }

  #serverKeyExchange({ suite, group, proof }: Terms, hint: Uint8Array | undefined): Uint8Array | undefined {
    // RFC 4279 §2: without a hint there is none of these, and some clients break at one.
    if (suite.keyExchange === "psk") return hint === undefined ? undefined : identityHint(hint);
    const params = ecdhParams(group!.id, this.#share!.publicKey);
    if (proof === undefined) return concat(identityHint(hint ?? NO_BYTES), params);
    const signed = proof.serverKey.key.sign(
      proof.scheme,
      concat(this.#clientRandom, this.#serverRandom, params),
    );
    return concat(params, signature(proof.scheme, signed));
  }

  #certificate(message: HandshakeMessage): Step {
    const { credentials } = this.#context;
    const raw = this.#negotiated!.clientCertificateType === CertificateType.rawPublicKey;
    if (raw) {
      const key = parseRawPublicKey(message.body);
      if (key === undefined)
        return new Failure(Alert.decodeError, "the client's raw public key is malformed");
      this.#clientKey = key.length === 0 ? undefined : new Uint8Array(key);
    } else {
      const chain = parseCertificate(message.body);
      if (chain === undefined) return new Failure(Alert.decodeError, "the client's certificate is malformed");
      const key = chain[0] === undefined ? undefined : credentials.publicKeyOf(chain[0]);
      if (chain[0] !== undefined && key === undefined) {
        return new Failure(Alert.badCertificate, "the client's certificate is none");
      }
      this.#chain = chain;
      this.#clientKey = key;
    }
    if (this.#clientKey === undefined && credentials.clientCertificate === "require") {
      return new Failure(Alert.handshakeFailure, "the client has no certificate, which is required here");
    }
    this.#transcript.push(wholeMessage(message));
    this.#expected = "client-key-exchange";
    return undefined;
  }

  #clientKeyExchange(message: HandshakeMessage): Step | Promise<Step> {
    const { suite } = this.#negotiated!;
    const sent = parseClientKeyExchange(message.body, suite.keyExchange);
    if (sent === undefined) return new Failure(Alert.decodeError, "the ClientKeyExchange is malformed");
    const agreed = sent.publicKey === undefined ? NO_BYTES : this.#share!.agree(sent.publicKey);
    if (agreed === undefined) {
      return new Failure(Alert.illegalParameter, "the client's share of the key is no point of the curve");
    }
    this.#transcript.push(wholeMessage(message));
    if (sent.identity === undefined) return this.#secretFrom(suite, agreed);
    const identity = text(sent.identity);
    this.claimed = identity;
    if (identity === undefined || identity === "")
      return this.#secretFromKey(suite, sent.identity, undefined, agreed);
    const bytes = new Uint8Array(sent.identity);
    const key = this.#context.credentials.presharedKey(identity);
    if (!(key instanceof Promise)) return this.#secretFromKey(suite, bytes, key, agreed);
    return key.then((found) => this.#secretFromKey(suite, bytes, found, agreed));
  }

  /** RFC 4279 §5.1: an unknown identity ends like a wrong key, at the Finished. */
  #secretFromKey(suite: Suite, identity: Uint8Array, key: Uint8Array | undefined, agreed: Uint8Array): Step {
    const { crypto, decoySecret } = this.#context;
    const decoy = crypto.hmac("sha256", decoySecret, [identity]).subarray(0, 16);
    const used = key ?? decoy;
    this.#decoy = key === undefined;
    if (key !== undefined) this.identity = this.claimed;
    return this.#secretFrom(
      suite,
      suite.keyExchange === "psk" ? pskPremaster(used) : pskPremaster(used, agreed),
    );
  }

  #secretFrom(suite: Suite, premaster: Uint8Array): Step {
    const { crypto, keyLog } = this.#context;
    const extended = this.#understood.extensions.extendedMasterSecret;
    this.#masterSecret = extended
      ? prf(crypto, suite.prf, premaster, "extended master secret", [this.#hash(suite)], MASTER_SECRET_LENGTH)
      : prf(
          crypto,
          suite.prf,
          premaster,
          "master secret",
          [this.#clientRandom, this.#serverRandom],
          MASTER_SECRET_LENGTH,
        );
    keyLog?.(this.#clientRandom, this.#masterSecret);
    this.#establish(suite);
    this.#expected = this.#clientKey === undefined ? "finished" : "certificate-verify";
    return undefined;
  }

  #establish(suite: Suite): void {
    const { crypto, settings } = this.#context;
    const { extensions } = this.#understood;
    const { encryptThenMac, cid } = this.#agreed;
    const seed = [this.#serverRandom, this.#clientRandom];
    const length = keyBlockLength(suite.cipher);
    const draftCid = cid?.type === ExtensionType.connectionIdDraft;
    const peerCid = draftCid ? extensions.draftConnectionId : extensions.connectionId;
    this.terms = {
      suite,
      material: {
        cipher: suite.cipher,
        block: prf(crypto, suite.prf, this.#masterSecret, "key expansion", seed, length),
      },
      encryptThenMac,
      draftCid,
      ownCid: this.ownCid,
      peerCid: cid === undefined || peerCid === undefined ? NO_BYTES : new Uint8Array(peerCid),
      peerRecordSize: this.peerRecordSize,
      ownRecordSize: ownRecordSize(extensions, settings),
      padTo: settings.connectionId.padTo,
    };
  }

  #certificateVerify(message: HandshakeMessage): Step | Promise<Step> {
    const { crypto, credentials } = this.#context;
    const sent = parseCertificateVerify(message.body);
    if (sent === undefined) return new Failure(Alert.decodeError, "the CertificateVerify is malformed");
    if (sent.scheme === undefined) {
      return new Failure(Alert.illegalParameter, "the client signs with an algorithm that was not offered");
    }
    const key = this.#clientKey!;
    if (!crypto.verify(key, sent.scheme, concat(...this.#transcript), sent.signature)) {
      return new Failure(Alert.decryptError, "the client does not have the key of its certificate");
    }
    this.#transcript.push(wholeMessage(message));
    const raw = this.#negotiated!.clientCertificateType === CertificateType.rawPublicKey;
    const verified = raw ? credentials.verifyRawKey(key) : credentials.verifyChain(this.#chain);
    return verified instanceof Promise
      ? verified.then((late) => this.#verified(late))
      : this.#verified(verified);
  }

  #verified(verified: Verified | Failure): Step {
    if (verified instanceof Failure) return verified;
    this.identity = verified.identity;
    this.#chain = [];
    this.#expected = "finished";
    return undefined;
  }

  #finished(message: HandshakeMessage, now: Instant): Step {
    const { crypto } = this.#context;
    const suite = this.suite!;
    if (!crypto.equal(message.body, this.#verifyData(suite, "client finished"))) {
      return new Failure(Alert.decryptError, "the client's Finished does not fit the handshake");
    }
    this.#transcript.push(wholeMessage(message));
    this.#expected = "nothing";
    if (this.resumed) {
      this.#forget();
      return { items: [], last: true };
    }
    const items = [...this.#ticket(suite, now, undefined), ...this.#ownFinished(suite)];
    this.#rememberSession(suite, now);
    this.#forget();
    return { items, last: true };
  }

  #ticket(suite: Suite, now: Instant, earlier: Session | undefined): readonly FlightItem[] {
    if (!this.#agreed.ticket) return [];
    const { tickets, settings } = this.#context;
    const session = earlier ?? this.#session(suite, now);
    const left = inSeconds((session.expiresAt - now) as typeof settings.resumption.lifetime);
    const body = newSessionTicket(left, tickets.seal(session, now));
    return [this.#message(HandshakeType.newSessionTicket, body)];
  }

  #rememberSession(suite: Suite, now: Instant): void {
    if (this.#sessionId.length === 0 || this.#agreed.ticket) return;
    this.#context.sessions.put(this.#sessionId, this.#session(suite, now));
  }

  #session(suite: Suite, now: Instant): Session {
    const { settings, credentials } = this.#context;
    return {
      suite,
      masterSecret: this.#masterSecret,
      extendedMasterSecret: this.#understood.extensions.extendedMasterSecret,
      identity: this.identity,
      stamp: credentials.stamp,
      expiresAt: expiryOf(now, settings.resumption.lifetime),
    };
  }

  #ownFinished(suite: Suite): readonly FlightItem[] {
    const verifyData = this.#verifyData(suite, "server finished");
    const { message } = this.#message(HandshakeType.finished, verifyData);
    return [{ kind: "change-cipher-spec" }, { kind: "message", message, protected: true }];
  }

  #verifyData(suite: Suite, label: string): Uint8Array {
    return prf(
      this.#context.crypto,
      suite.prf,
      this.#masterSecret,
      label,
      [this.#hash(suite)],
      VERIFY_DATA_LENGTH,
    );
  }

  #hash(suite: Suite): Uint8Array {
    return this.#context.crypto.hash(suite.prf, this.#transcript);
  }

  #message(type: number, body: Uint8Array): FlightItem & { readonly kind: "message" } {
    const message = { type, body, sequence: this.#nextSequence++ };
    this.#transcript.push(wholeMessage(message));
    return { kind: "message", message, protected: false };
  }

  /** What the finished handshake needs no more. A session by id keeps the master secret. */
  #forget(): void {
    this.#transcript = [];
    this.#share = undefined;
  }
}

/** RFC 6066 §4 limits both sides, RFC 8449 §4 each as it says itself. */
function ownRecordSize(
  { recordSizeLimit, maxFragmentLength }: UnderstoodHello["extensions"],
  { recordSize }: DtlsSettings,
): number {
  if (recordSizeLimit !== undefined) return recordSize;
  return maxFragmentLength === undefined ? PLAINTEXT_MAX : 2 ** (8 + maxFragmentLength);
}

export const isPsk = (suite: Suite | undefined): boolean => suite !== undefined && usesPsk(suite);
