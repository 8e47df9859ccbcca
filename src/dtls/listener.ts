import { type Alarm, CallbackAlarm } from "../lib/alarm.ts";
import { sameBytes } from "../lib/bytes.ts";
import { after, type Duration, type Instant, minutes, seconds } from "../lib/time.ts";
import { Association, type AssociationTerms } from "./association.ts";
import { Associations, placeOf } from "./associations.ts";
import { Alert, AlertLevel, alertName, ContentType, HandshakeType } from "./constants.ts";
import { Cookies } from "./cookie.ts";
import { FailureLog } from "./failure-log.ts";
import { parseClientHelloHead } from "./handshake/client-hello.ts";
import { fragmentOf, parseFragments } from "./handshake/message.ts";
import { type HandshakeHost, PendingHandshake } from "./handshake/pending.ts";
import type { HandshakeContext } from "./handshake/server.ts";
import { helloVerifyRequest } from "./handshake/server-messages.ts";
import { Handshakes } from "./handshakes.ts";
import { handshakeOctets, type MemoryHolder, octetsOf } from "./memory.ts";
import type { DtlsPorts } from "./ports.ts";
import type { Content } from "./protection.ts";
import { type DtlsRecord, parseRecord, plainRecord, RECORD_HEADER_LENGTH } from "./record.ts";
import { SessionCache, Tickets } from "./sessions.ts";
import type { Credentials, DtlsSettings, Failure } from "./settings.ts";

const SWEEP_PERIOD: Duration = seconds(1);
/** Ciphers of an association that was quiet for this long are let go. */
const WARM_TIME: Duration = seconds(2);
/** RFC 6347 §4.2.4: so long the last flight can be asked for again; twice the lifetime of a segment. */
const LAST_FLIGHT_TIME: Duration = minutes(4);
/** RFC 9146 §6: what goes to an address that has not answered, for each octet that came from it. */
const AMPLIFICATION_MAX = 3;
/** So near to a limit of its sequence numbers, an association gets further ones before it has to wait for them. */
const READ_AHEAD = 16;
const WRITE_AHEAD = 256;
const ANSWERED = Number.POSITIVE_INFINITY;

/** One datagram socket that speaks DTLS: whose record it is, who may shake hands, who goes. */
export class DtlsListener implements HandshakeHost, MemoryHolder {
  readonly associations: Associations;
  readonly #handshakes: Handshakes;
  /** Finished handshakes whose last flight may have to be repeated. */
  readonly #finished = new Map<Association, { handshake: PendingHandshake; until: Instant }>();
  readonly #ports: DtlsPorts;
  readonly #cookies: Cookies;
  readonly #failures = new FailureLog();
  readonly #sweep: Alarm;
  #context: HandshakeContext;
  /** Of all associations, as estimated. */
  #associated = 0;

  constructor(
    ports: DtlsPorts,
    settings: DtlsSettings,
    credentials: Credentials,
    ticketSecret: Uint8Array,
    keyLog?: HandshakeContext["keyLog"],
  ) {
    const { crypto } = ports;
    this.#ports = ports;
    this.#cookies = new Cookies(crypto, ports.now());
    this.associations = new Associations();
    this.#handshakes = new Handshakes(settings.limits);
    ports.memory.join(this);
    this.#context = {
      crypto,
      settings,
      credentials,
      sessions: new SessionCache(crypto, settings.limits.sessions),
      tickets: new Tickets(crypto, ticketSecret),
      decoySecret: crypto.random(32),
      newCid: () => this.#newCid(),
      keyLog,
    };
    this.#sweep = new CallbackAlarm((now) => this.#onSweep(now));
    ports.alarms.arm(this.#sweep, after(ports.now(), SWEEP_PERIOD));
  }

  /** Handshakes in progress. */
  get handshakes(): number {
    return this.#handshakes.size;
  }

  get octets(): number {
    return (
      this.#associated + this.#handshakes.size * handshakeOctets(this.#context.settings.handshakeMessageMax)
    );
  }

  giveBack(): boolean {
    const oldest = this.associations.oldest();
    if (oldest === undefined) return false;
    this.#ports.note({
      level: "debug",
      event: "dtls-associations-full",
      detail: { address: oldest.address, idle: this.#ports.now() - oldest.lastSeen },
    });
    this.close(oldest, "too many associations");
    return true;
  }

  /** Keys or settings have changed: for handshakes that begin from now on. */
  reload(settings: DtlsSettings, credentials: Credentials): void {
    this.#context = { ...this.#context, settings, credentials };
  }

  receive(datagram: Uint8Array, address: string, port: number, now: Instant): void {
    const cidLength = this.#context.settings.connectionId.length;
    const place = placeOf(address, port);
    for (let at = 0; at < datagram.length; ) {
      const record = parseRecord(datagram, at, cidLength);
      if (record === undefined) {
        this.#ports.recordDropped("malformed");
        return;
      }
      at = record.end;
      if (record.type === ContentType.tls12Cid) this.#byCid(record, address, port, now);
      else if (record.epoch === 0) this.#unprotected(record, address, port, place, now);
      else this.#byPlace(record, address, port, place, now);
    }
  }

  /** Sends content; false when it cannot be. */
  write(association: Association, content: Uint8Array): boolean {
    if (association.closed) return false;
    if (content.length > association.maxContent) {
      this.#ports.recordDropped("too-large");
      return false;
    }
    if (association.nextSequence >= association.writeLimit) {
      const { keeper } = this.#ports;
      const copy = new Uint8Array(content);
      keeper?.whenWritable(association, () => void this.write(association, copy));
      return keeper !== undefined;
    }
    return this.#sealed(association, ContentType.applicationData, content);
  }

  /** RFC 5246 §7.2.1: says that nothing more will come. */
  close(association: Association, why: string): void {
    if (association.closed) return;
    this.#alert(association, AlertLevel.warning, Alert.closeNotify);
    this.#drop(association, why, true);
  }

  /** This process ends. Associations that are kept live on; the others are told. */
  stop(): void {
    this.#ports.alarms.disarm(this.#sweep);
    this.#ports.memory.leave(this);
    for (const handshake of this.#handshakes.all()) this.#ports.alarms.disarm(handshake);
    for (const association of this.associations.all()) {
      if (this.#ports.keeper === undefined) this.#alert(association, AlertLevel.warning, Alert.closeNotify);
      else this.#ports.keeper.quiet(association);
    }
  }

  /** An association from before this process. */
  restore(association: Association): void {
    this.#add(association, false);
  }

  // What handshakes need.

  now(): Instant {
    return this.#ports.now();
  }

  arm(alarm: Alarm, due: Instant): void {
    this.#ports.alarms.arm(alarm, due);
  }

  send(datagram: Uint8Array, { address, port }: PendingHandshake): void {
    this.#ports.send(datagram, address, port);
  }

  reserve(pending: PendingHandshake): void {
    this.#handshakes.reserve(pending);
  }

  associate(terms: AssociationTerms, handshake: PendingHandshake): Association {
    return new Association(
      this.#ports.crypto,
      this.associations.newId(),
      terms,
      handshake,
      this.#ports.now(),
    );
  }

  completed(pending: PendingHandshake, early: readonly Uint8Array[], now: Instant): void {
    const association = pending.association!;
    const { handshake } = pending;
    this.#forget(pending);
    this.#makeRoom();
    association.identity = handshake.identity;
    association.lastSeen = now;
    const former = this.associations.at(placeOf(association.address, association.port));
    if (
      former !== undefined &&
      (former.terms.ownCid.length === 0 || former.identity === association.identity)
    ) {
      // RFC 6347 §4.2.8: only now is the old one known to be of no use.
      this.#drop(former, "replaced by a new association", true);
    }
    this.#add(association, true);
    this.#finished.set(association, { handshake: pending, until: after(now, LAST_FLIGHT_TIME) });
    this.#ports.handshakeEnded(association.terms.suite.name, handshake.resumed ? "resumed" : "completed");
    this.#ports.note({
      level: "debug",
      event: "dtls-associated",
      detail: {
        address: association.address,
        port: association.port,
        suite: association.terms.suite.name,
        identity: association.identity,
        connectionId: association.terms.ownCid.length > 0,
        resumed: handshake.resumed,
      },
    });
    this.#ports.keeper?.keep(association);
    for (const content of early) {
      this.#answered(association);
      this.#ports.deliver(association, content);
    }
  }

  failed(pending: PendingHandshake, { alert, reason }: Failure, now: Instant): void {
    const { handshake, address, port } = pending;
    this.#forget(pending);
    this.#ports.handshakeEnded(handshake.suite?.name ?? "none", alertName(alert));
    const identity = handshake.claimed ?? handshake.identity;
    const level = this.#failures.isNew(`${address} ${identity ?? ""} ${reason}`, now) ? "info" : "debug";
    const detail = {
      address,
      port,
      alert: alertName(alert),
      reason,
      ...(identity === undefined ? {} : { identity }),
    };
    this.#ports.note({ level, event: "dtls-handshake-failed", detail });
  }

  // Records.

  #byCid(record: DtlsRecord, address: string, port: number, now: Instant): void {
    const association = this.associations.byCid(record.cid);
    if (association !== undefined) {
      this.#open(association, record, address, port, now);
      return;
    }
    const pending = this.#handshakes.byCid(record.cid);
    if (pending === undefined) this.#ports.recordDropped("unknown");
    else if (!pending.receive(record, now)) this.#ports.recordDropped("forged");
  }

  #byPlace(record: DtlsRecord, address: string, port: number, place: string, now: Instant): void {
    const pending = this.#handshakes.at(place);
    const association = this.associations.at(place);
    // While a new handshake is on its way, the old association goes on.
    if (
      association !== undefined &&
      this.#open(association, record, address, port, now, pending !== undefined)
    ) {
      return;
    }
    if (pending === undefined) this.#ports.recordDropped("unknown");
    else if (!pending.receive(record, now)) this.#ports.recordDropped("forged");
  }

  #unprotected(record: DtlsRecord, address: string, port: number, place: string, now: Instant): void {
    const pending = this.#handshakes.at(place);
    if (record.type === ContentType.handshake && this.#begins(record, pending, address, port, place, now))
      return;
    const current = this.#handshakes.at(place);
    if (current === undefined) this.#ports.recordDropped("unprotected");
    else current.receive(record, now);
  }

  /** A ClientHello of somebody new: answered without remembering it, until its cookie proves the address. */
  #begins(
    record: DtlsRecord,
    pending: PendingHandshake | undefined,
    address: string,
    port: number,
    place: string,
    now: Instant,
  ): boolean {
    const fragment = parseFragments(record.fragment)?.[0];
    if (fragment === undefined || fragment.type !== HandshakeType.clientHello || fragment.offset !== 0) {
      return false;
    }
    // The first fragment is enough where it reaches behind what the cookie is bound to.
    const hello = parseClientHelloHead(fragment.bytes);
    if (hello === undefined) {
      this.#ports.recordDropped("malformed");
      return true;
    }
    if (pending !== undefined && sameBytes(pending.clientRandom, hello.random) && hello.cookie.length > 0)
      return false;
    if (!this.#cookies.accepts(place, hello, now)) {
      const body = helloVerifyRequest(this.#cookies.for(place, hello, now));
      const message = { type: HandshakeType.helloVerifyRequest, sequence: fragment.sequence, body };
      const content = fragmentOf(message, 0, body.length);
      const answer = plainRecord(ContentType.handshake, record.sequence, content, record.version);
      // Not more than it cost: a shorter ClientHello than this is none.
      if (answer.length <= record.fragment.length + RECORD_HEADER_LENGTH)
        this.#ports.send(answer, address, port);
      return true;
    }
    const { limits, handshakeMessageMax } = this.#context.settings;
    if (!this.#handshakes.inRate(address, limits)) {
      this.#ports.handshakeEnded("none", "too_fast");
      return true;
    }
    if (pending !== undefined) this.#forget(pending);
    this.#ports.memory.makeRoom(handshakeOctets(handshakeMessageMax));
    const begin = {
      random: hello.random,
      messageSequence: fragment.sequence,
      recordSequence: record.sequence,
    };
    const started = new PendingHandshake(this, this.#context, { address, port }, begin, now);
    const loser = this.#handshakes.begin(started, now);
    if (loser !== undefined) {
      this.#forget(loser);
      this.#ports.handshakeEnded("none", "too_many");
    }
    if (loser !== started) started.receive(record, now);
    return true;
  }

  /** Tells whether the record was this association's. `quietly`: it may be somebody else's. */
  #open(
    association: Association,
    record: DtlsRecord,
    address: string,
    port: number,
    now: Instant,
    quietly = false,
  ): boolean {
    const content = association.open(record);
    if (typeof content === "string") {
      if (quietly) return false;
      this.#ports.recordDropped(content);
      return true;
    }
    if (content.bytes.length > association.maxOwnContent) {
      this.#ports.recordDropped("too-large");
      return true;
    }
    const length = RECORD_HEADER_LENGTH + record.cid.length + record.fragment.length;
    if (record.sequence < association.readLimit) {
      this.#content(association, content, address, port, length, now);
      if (record.sequence + READ_AHEAD >= association.readLimit) this.#ports.keeper?.renew(association);
    } else {
      const owned = { ...content, bytes: new Uint8Array(content.bytes) };
      this.#ports.keeper?.whenReadable(association, record.sequence, () => {
        if (!association.closed) this.#content(association, owned, address, port, length, this.#ports.now());
      });
    }
    return true;
  }

  #content(
    association: Association,
    content: Content & { readonly newest: boolean },
    address: string,
    port: number,
    length: number,
    now: Instant,
  ): void {
    this.#seen(association, content.newest, address, port, length, now);
    switch (content.type) {
      case ContentType.applicationData:
        this.#answered(association);
        this.#ports.deliver(association, content.bytes);
        return;
      case ContentType.alert:
        this.#alerted(association, content.bytes);
        return;
      case ContentType.handshake:
        this.#handshakeMessage(association, content.bytes);
        return;
      default:
        this.#ports.recordDropped("malformed");
    }
  }

  /** RFC 9146 §6: the sender of the newest verified record is where the peer is. */
  #seen(
    association: Association,
    newest: boolean,
    address: string,
    port: number,
    length: number,
    now: Instant,
  ): void {
    this.associations.touch(association, now);
    if (!newest) return;
    if (association.address === address && association.port === port) {
      if (association.budget === ANSWERED) return;
      if (association.triedSinceMove) association.budget = ANSWERED;
      else association.budget += AMPLIFICATION_MAX * length;
      return;
    }
    if (association.terms.ownCid.length === 0) return;
    this.associations.move(association, address, port);
    association.budget = AMPLIFICATION_MAX * length;
    association.triedSinceMove = false;
    this.#ports.keeper?.moved(association);
  }

  /** Whoever sends content has heard that the handshake is through. */
  #answered(association: Association): void {
    if (this.#finished.size > 0) this.#finished.delete(association);
  }

  #alerted(association: Association, bytes: Uint8Array): void {
    const [level, alert] = [bytes[0], bytes[1]];
    if (bytes.length !== 2 || alert === undefined) return;
    if (alert === Alert.closeNotify) {
      this.close(association, "closed by the peer");
    } else if (level === AlertLevel.fatal) {
      const { address, port, identity } = association;
      const detail = { address, port, identity, alert: alertName(alert) };
      this.#ports.note({ level: "info", event: "dtls-alert", detail });
      this.#drop(association, `the peer sent ${alertName(alert)}`, true);
    }
  }

  #handshakeMessage(association: Association, bytes: Uint8Array): void {
    const fragment = parseFragments(bytes)?.[0];
    if (fragment?.type === HandshakeType.finished) {
      // Once for all of its fragments.
      const last = fragment.offset + fragment.bytes.length === fragment.length;
      if (last) this.#finished.get(association)?.handshake.answerAgain();
    } else if (fragment?.type === HandshakeType.clientHello && fragment.offset === 0) {
      // RFC 5746 §4.5 leaves it to the server: never.
      this.#alert(association, AlertLevel.warning, Alert.noRenegotiation);
    }
  }

  #alert(association: Association, level: number, alert: number): void {
    this.#sealed(association, ContentType.alert, Uint8Array.of(level, alert));
  }

  #sealed(association: Association, type: number, content: Uint8Array): boolean {
    if (association.nextSequence >= association.writeLimit) return false;
    const record = association.seal(type, content);
    if (record === undefined) {
      this.#drop(association, "its sequence numbers are spent", true);
      return false;
    }
    if (association.budget !== ANSWERED) {
      association.triedSinceMove = true;
      if (record.length > association.budget) {
        this.#ports.recordDropped("unproven");
        return false;
      }
      association.budget -= record.length;
    }
    this.#ports.send(record, association.address, association.port);
    if (association.nextSequence + WRITE_AHEAD >= association.writeLimit)
      this.#ports.keeper?.renew(association);
    return true;
  }

  #add(association: Association, warm: boolean): void {
    this.associations.add(association, warm);
    this.#associated += octetsOf(association);
  }

  #drop(association: Association, why: string, forget: boolean): void {
    this.associations.delete(association);
    this.#associated -= octetsOf(association);
    this.#finished.delete(association);
    association.wipe();
    if (forget) this.#ports.keeper?.forget(association);
    this.#ports.closed(association, why);
  }

  #forget(pending: PendingHandshake): void {
    this.#ports.alarms.disarm(pending);
    if (pending.state === "running") pending.state = "ended";
    this.#handshakes.delete(pending);
  }

  #newCid(): Uint8Array {
    const { crypto } = this.#ports;
    const { length, first } = this.#context.settings.connectionId;
    for (;;) {
      const cid = crypto.random(length);
      if (first !== undefined && length > 0) cid[0] = first;
      if (this.associations.byCid(cid) === undefined && this.#handshakes.byCid(cid) === undefined) return cid;
    }
  }

  /** For one more association. */
  #makeRoom(): void {
    const { associations } = this.#context.settings.limits;
    while (this.associations.size >= associations && this.giveBack());
    this.#ports.memory.makeRoom(0);
  }

  #onSweep(now: Instant): void {
    this.#ports.alarms.arm(this.#sweep, after(now, SWEEP_PERIOD));
    this.#handshakes.nextSecond();
    this.associations.quiet(now, WARM_TIME, (association) => {
      association.cool();
      this.#ports.keeper?.quiet(association);
    });
    for (const [association, { until }] of this.#finished) {
      if (until > now) break;
      this.#finished.delete(association);
    }
    const { idle, associations } = this.#context.settings.limits;
    // Those of an earlier life may have been allowed more.
    while (this.associations.size > associations && this.giveBack());
    this.#ports.memory.makeRoom(0);
    for (let oldest = this.associations.oldest(); oldest !== undefined; oldest = this.associations.oldest()) {
      if (after(oldest.lastSeen, idle) > now) break;
      this.close(oldest, "idle for too long");
    }
  }
}
