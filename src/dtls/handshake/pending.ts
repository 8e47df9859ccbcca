import { Alarm } from "../../lib/alarm.ts";
import { copyOf } from "../../lib/bytes.ts";
import { after, type Duration, type Instant, milliseconds } from "../../lib/time.ts";
import type { Association, AssociationTerms } from "../association.ts";
import { Alert, AlertLevel, alertName, ContentType, HandshakeType } from "../constants.ts";
import { Flight } from "../flight.ts";
import { type DtlsRecord, plainRecord } from "../record.ts";
import { Failure } from "../settings.ts";
import { type Fragment, parseFragments } from "./message.ts";
import { Reassembly } from "./reassembly.ts";
import { type HandshakeContext, isPsk, type Reply, ServerHandshake, type Step } from "./server.ts";

/** What a handshake needs of the listener. */
export interface HandshakeHost {
  send(datagram: Uint8Array, handshake: PendingHandshake): void;
  arm(alarm: Alarm, due: Instant): void;
  /** The client will use the connection id of this handshake. */
  reserve(handshake: PendingHandshake): void;
  /** Keys are there; the association is not open before `completed`. */
  associate(terms: AssociationTerms, handshake: PendingHandshake): Association;
  /** `early`: what the client sent together with its last message. */
  completed(handshake: PendingHandshake, early: readonly Uint8Array[], now: Instant): void;
  failed(handshake: PendingHandshake, failure: Failure, now: Instant): void;
  /** The time when an answer comes that somebody had to be asked for. */
  now(): Instant;
}

/** Records of epoch 1 that come before there are keys, and content before the handshake is through. */
const EARLY_MAX = 4;
/** How often a finished handshake answers those who have not heard that it is. */
const REPEATED_ANSWERS_MAX = 8;
/** Records that cannot be opened before the key counts as wrong: one alone may be forged. */
const WRONG_KEY_RECORDS = 2;
/** Nothing proves an alert before there are keys. One that is forged only costs the client this much patience. */
const COMPLAINT_WAIT: Duration = milliseconds(500);
/** RFC 6347 §4.1.1.1: what surely gets through, when larger datagrams seem not to. */
const SAFE_DATAGRAM = 508;
const AHEAD_MAX = 8;

/** A handshake on its way: its records, flights and timer. */
export class PendingHandshake extends Alarm {
  readonly handshake: ServerHandshake;
  readonly address: string;
  readonly port: number;
  /** By which a repeated ClientHello is known. */
  readonly clientRandom: Uint8Array;
  association: Association | undefined = undefined;
  state: "running" | "done" | "ended" = "running";
  readonly #host: HandshakeHost;
  readonly #context: HandshakeContext;
  readonly #reassembly: Reassembly;
  readonly #expiresAt: Instant;
  #plainSequence: number;
  #flight: Flight | undefined = undefined;
  #wait: Duration;
  #repetitions = 0;
  #answered = 0;
  /** Somebody is being asked; messages wait. */
  #busy = false;
  /** Newest records of epoch 0 that carried a message, and a ChangeCipherSpec. */
  #newestMessage = -1;
  #newestChange = -1;
  #unreadable = 0;
  #complaint: number | undefined = undefined;
  #earlyRecords: DtlsRecord[] = [];
  #earlyContent: Uint8Array[] = [];

  constructor(
    host: HandshakeHost,
    context: HandshakeContext,
    from: { readonly address: string; readonly port: number },
    hello: { readonly random: Uint8Array; readonly messageSequence: number; readonly recordSequence: number },
    now: Instant,
  ) {
    super();
    this.#host = host;
    this.#context = context;
    this.address = from.address;
    this.port = from.port;
    this.clientRandom = copyOf(hello.random);
    this.handshake = new ServerHandshake(context, hello.messageSequence);
    const { handshakeMessageMax } = context.settings;
    const limits = {
      messageMax: handshakeMessageMax,
      totalMax: 2 * handshakeMessageMax,
      aheadMax: AHEAD_MAX,
    };
    this.#reassembly = new Reassembly(limits, hello.messageSequence);
    // RFC 6347 §4.2.1: the first record of the answer has the number of the ClientHello's.
    this.#plainSequence = hello.recordSequence;
    this.#wait = context.settings.retransmission.first;
    this.#expiresAt = after(now, context.settings.handshakeTimeout);
    host.arm(this, this.#expiresAt);
  }

  /** Tells whether the record was this handshake's. */
  receive(record: DtlsRecord, now: Instant): boolean {
    if (this.state !== "running") return false;
    return record.epoch === 0 ? this.#plain(record, now) : this.#protected(record, now);
  }

  /** The client has not heard our last words. */
  answerAgain(): void {
    if (this.#flight === undefined || ++this.#answered > REPEATED_ANSWERS_MAX) return;
    this.#send(this.#flight);
  }

  override fire(now: Instant): void {
    if (this.state !== "running") return;
    const { retransmission } = this.#context.settings;
    if (this.#complaint !== undefined) {
      const reason = `the client gave up: ${alertName(this.#complaint)}`;
      this.#end(new Failure(this.#complaint, reason), now, false);
    } else if (this.#unreadable > 0) {
      this.#end(this.#wrongKey(), now, true);
    } else if (now >= this.#expiresAt || this.#repetitions >= retransmission.repetitions) {
      this.#end(new Failure(Alert.userCanceled, "the client stopped answering"), now, false);
    } else {
      if (this.#flight !== undefined && !this.#busy) {
        this.#repetitions++;
        this.#send(this.#flight);
      }
      this.#wait = Math.min(2 * this.#wait, retransmission.longest) as Duration;
      this.#arm(now);
    }
  }

  #plain(record: DtlsRecord, now: Instant): boolean {
    const { fragment, sequence } = record;
    switch (record.type) {
      case ContentType.handshake:
        this.#fragments(parseFragments(fragment) ?? [], sequence, false, now);
        return true;
      case ContentType.changeCipherSpec:
        if (fragment.length !== 1 || fragment[0] !== 1) return true;
        this.#newestChange = Math.max(this.#newestChange, sequence);
        this.#proceed(now);
        return true;
      case ContentType.alert:
        if (
          fragment.length === 2 &&
          (fragment[0] === AlertLevel.fatal || fragment[1] === Alert.closeNotify)
        ) {
          this.#complaint = fragment[1];
          this.#host.arm(this, after(now, COMPLAINT_WAIT));
        }
        return true;
      default:
        // RFC 6347 §4.1: application data is never in the clear.
        return false;
    }
  }

  #protected(record: DtlsRecord, now: Instant): boolean {
    if (this.association === undefined) {
      if (this.#earlyRecords.length >= EARLY_MAX) return false;
      const { cid, fragment } = record;
      this.#earlyRecords.push({ ...record, cid: copyOf(cid), fragment: copyOf(fragment) });
      return true;
    }
    const content = this.association.open(record);
    if (content === "forged") {
      this.#unreadable++;
      if (this.#unreadable >= WRONG_KEY_RECORDS && this.handshake.expectsFinished) {
        this.#end(this.#wrongKey(), now, true);
      }
      return false;
    }
    if (typeof content === "string") return true;
    this.#unreadable = 0;
    switch (content.type) {
      case ContentType.handshake:
        this.#fragments(parseFragments(content.bytes) ?? [], record.sequence, true, now);
        break;
      case ContentType.applicationData:
        if (this.#earlyContent.length < EARLY_MAX) this.#earlyContent.push(copyOf(content.bytes));
        break;
      case ContentType.alert:
        if (content.bytes[0] === AlertLevel.fatal || content.bytes[1] === Alert.closeNotify) {
          const alert = content.bytes[1] ?? Alert.closeNotify;
          this.#end(new Failure(alert, `the client gave up: ${alertName(alert)}`), now, false);
        }
        break;
    }
    return true;
  }

  #fragments(fragments: readonly Fragment[], sequence: number, isProtected: boolean, now: Instant): void {
    for (const fragment of fragments) {
      // A Finished is protected, and nothing else is.
      if ((fragment.type === HandshakeType.finished) !== isProtected) continue;
      const added = this.#reassembly.add(fragment);
      // Also of a message that is known: its ChangeCipherSpec comes behind it each time.
      if (!isProtected && added !== "refused") this.#newestMessage = Math.max(this.#newestMessage, sequence);
      if (added === "old" && fragment.type === HandshakeType.clientHello && fragment.offset === 0) {
        this.answerAgain();
      }
    }
    this.#proceed(now);
  }

  #proceed(now: Instant): void {
    while (this.state === "running" && !this.#busy) {
      // RFC 5246 §7.4.9: never a Finished without the ChangeCipherSpec that comes right before it.
      if (this.handshake.expectsFinished && this.#newestChange <= this.#newestMessage) return;
      const message = this.#reassembly.take();
      if (message === undefined) return;
      this.#complaint = undefined;
      const step = this.handshake.take(message, now);
      if (step instanceof Promise) this.#await(step);
      else this.#apply(step, now);
    }
  }

  #await(step: Promise<Step>): void {
    this.#busy = true;
    step.then(
      (late) => this.#resume(late),
      () => this.#resume(new Failure(Alert.internalError, "whoever knows the client's key did not answer")),
    );
  }

  #resume(step: Step): void {
    if (this.state !== "running") return;
    this.#busy = false;
    const now = this.#host.now();
    this.#apply(step, now);
    this.#proceed(now);
  }

  #apply(step: Step, now: Instant): void {
    if (step instanceof Failure) {
      this.#end(step, now, true);
      return;
    }
    const { terms, ownCid } = this.handshake;
    if (ownCid.length > 0 && this.#flight === undefined) this.#host.reserve(this);
    if (terms !== undefined && this.association === undefined) {
      this.association = this.#host.associate(terms, this);
      const early = this.#earlyRecords;
      this.#earlyRecords = [];
      if (step !== undefined) this.#reply(step, now);
      for (const record of early) if (this.state === "running") this.#protected(record, now);
    } else if (step !== undefined) this.#reply(step, now);
  }

  #reply({ items, last }: Reply, now: Instant): void {
    if (items.length > 0) {
      this.#flight = new Flight(items);
      this.#repetitions = 0;
      this.#wait = this.#context.settings.retransmission.first;
      this.#send(this.#flight);
    }
    if (!last) {
      this.#arm(now);
      return;
    }
    this.state = "done";
    this.#answered = 0;
    this.#host.completed(this, this.#earlyContent, now);
    this.#earlyContent = [];
  }

  #arm(now: Instant): void {
    this.#host.arm(this, Math.min(after(now, this.#wait), this.#expiresAt) as Instant);
  }

  #send(flight: Flight): void {
    const { datagramSize } = this.#context.settings;
    const size = this.#repetitions >= 2 ? Math.min(datagramSize, SAFE_DATAGRAM) : datagramSize;
    const next = (): number => this.#plainSequence++;
    const { peerRecordSize } = this.handshake;
    for (const datagram of flight.datagrams(size, peerRecordSize, next, this.association)) {
      this.#host.send(datagram, this);
    }
  }

  #wrongKey(): Failure {
    const { handshake } = this;
    const psk = isPsk(handshake.suite);
    const reason = handshake.decoy
      ? "no pre-shared key is known for this identity"
      : psk
        ? "the client has another pre-shared key for this identity"
        : "the client's Finished cannot be opened";
    // RFC 4279 §2: the same alert whether the identity or the key is wrong.
    return new Failure(Alert.decryptError, reason);
  }

  #end(failure: Failure, now: Instant, tell: boolean): void {
    this.state = "ended";
    if (tell) this.#tell(failure.alert);
    this.association?.wipe();
    this.#host.failed(this, failure, now);
  }

  #tell(alert: number): void {
    const content = Uint8Array.of(AlertLevel.fatal, alert);
    // After our own ChangeCipherSpec the client reads nothing that is not protected.
    const sealed =
      this.handshake.resumed && this.association !== undefined
        ? this.association.seal(ContentType.alert, content)
        : undefined;
    this.#host.send(sealed ?? plainRecord(ContentType.alert, this.#plainSequence++, content), this);
  }
}
