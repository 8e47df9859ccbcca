/** How a device goes from its session, what its server is told of it then, and what stays here. */
import type { Will } from "../contract/client.ts";
import { after, type Duration, type Instant, latest, NEVER, ZERO } from "../lib/time.ts";
import type { Properties } from "../mqtt/properties.ts";
import { ReasonCode } from "../mqtt/reason-codes.ts";
import type { Departure as How } from "../session/sessions.ts";
import { willMessage } from "./application.ts";
import type { UpstreamContext } from "./context.ts";
import type { Due } from "./due.ts";
import { NOBODY } from "./exchange.ts";
import type { UpstreamSession } from "./session.ts";
import type { SessionHost } from "./session-host.ts";

export class Departure {
  readonly #session: UpstreamSession;
  readonly #host: SessionHost;
  readonly #context: UpstreamContext;
  readonly #due: Due;
  /** The device has gone; what it has asked for is being finished, and then comes this. */
  #last: (() => void) | undefined = undefined;
  /** And then these: logins to its session, which must not cut off what it has asked for. */
  #behind: (() => void)[] | undefined = undefined;
  /** The device is lost, and its will is published when it does not come back in time. */
  #willWaits = false;
  /** What it has said with its goodbye. */
  #said: Readonly<Properties> | undefined = undefined;

  constructor(session: UpstreamSession, host: SessionHost, due: Due) {
    this.#session = session;
    this.#host = host;
    this.#context = host.context;
    this.#due = due;
  }

  get #now(): Instant {
    return this.#context.clock.now();
  }

  leave(how: How, now: Instant, said: Readonly<Properties> | undefined): void {
    const session = this.#session;
    this.#said = said;
    if (how === "expected" && !session.elsewhere) {
      this.#expect(now);
      return;
    }
    session.leftAt = now;
    if (session.expiry > ZERO) session.expectedUntil = undefined;
    if (session.elsewhere) {
      this.#oweWill(now);
      this.#goSilently(now);
    } else if (how === "closed") this.#goOnceAnswered(() => this.#bye(ReasonCode.success));
    else this.#lose(now);
  }

  /** It has said goodbye, or is lost, and what it has asked for is being finished. */
  get going(): boolean {
    return this.#last !== undefined;
  }

  afterGoodbye(run: () => void): void {
    if (!this.going) {
      run();
      return;
    }
    this.#behind ??= [];
    this.#behind.push(run);
  }

  /** Its device comes back. */
  cancel(): void {
    this.finish();
    this.#willWaits = false;
  }

  /** The connection to the server broke. False: the device is not going. */
  cut(now: Instant): boolean {
    if (this.finish()) return true;
    if (!this.#willWaits) return false;
    // The server has found it lost by now.
    this.lost(now);
    return true;
  }

  /** The device knows nothing of it, and counts as connected until then. */
  #expect(now: Instant): void {
    const session = this.#session;
    session.leftAt = latest(now, session.expectedUntil ?? now);
    this.#forgetAsks();
    if (session.leftAt > now) this.#due.at(session.leftAt, () => this.lost(this.#now));
    else this.lost(now);
  }

  /**
   * Its connection is taken by another one, or is denied to it while another one is on its way in, which ends the wait of a
   * will that has none of its own [MQTT-3.1.4-3]. The server holds it back, for our sake, and takes it back when it lets the
   * other one in; one before MQTT 5 was told of no delay, and has published it.
   */
  #oweWill(now: Instant): void {
    const session = this.#session;
    const { will, expiry } = session;
    if (will === undefined || Math.min(will.delay, expiry) > ZERO || session.server.firesAtOnce(will)) return;
    if (this.#host.mayPublishWill?.(session, will) === false) return;
    this.#host.owes(session, willMessage(will, session.mountpoint, now));
  }

  /** Another connection has the session at the server: what stays here stays no longer than that would. */
  #goSilently(now: Instant): void {
    this.#dropAsks();
    this.#due.cancel();
    this.#session.server.detach(now);
    const { expiry } = this.#session;
    const until = after(now, expiry);
    if (expiry === ZERO) this.#session.forget();
    else if (until !== NEVER) this.#due.at(until, () => this.#session.forget());
  }

  /** Its will may have to wait, and is taken back if the device returns meanwhile [MQTT-3.1.3-9]. */
  #lose(now: Instant): void {
    const { will, expiry } = this.#session;
    const { link } = this.#session.server;
    const wait = Math.min(will?.delay ?? 0, expiry) as Duration;
    // A server that is told of a longer delay than `linger` holds it back for as long itself.
    if (link === undefined || wait === ZERO || wait >= this.#context.options.linger) {
      this.lost(now);
      return;
    }
    this.#forgetAsks();
    this.#willWaits = true;
    this.#due.at(after(now, wait), () => this.lost(this.#now));
  }

  /** One that rests may have come to another gateway without a word to this one. */
  #ifHere(run: () => void): void {
    const asked = this.#host.devices?.whereabouts(this.#session, (elsewhere) => {
      if (this.#session.client !== undefined || this.#session.elsewhere) return;
      this.#session.elsewhere = elsewhere;
      if (elsewhere) this.#session.forget();
      else run();
    });
    if (asked !== true) run();
  }

  /** It did not come back in time. */
  lost(now: Instant): void {
    if (this.#session.resting) this.#ifHere(() => this.#loseHere(this.#now));
    else this.#loseHere(now);
  }

  #loseHere(now: Instant): void {
    this.#willWaits = false;
    const { will } = this.#session;
    const { link } = this.#session.server;
    this.#session.will = undefined;
    if (will === undefined) {
      this.#goOnceAnswered(() => this.#bye(ReasonCode.success));
      return;
    }
    if (this.#host.mayPublishWill?.(this.#session, will) === false) {
      this.#bye(ReasonCode.success);
      return;
    }
    const told = this.#session.server.hasTold(will);
    if (link === undefined) {
      // The server has found it lost, and its will waits there, if it was told of it.
      if (this.#session.resting || !told) this.#publishApart(will, now);
      this.#bye(ReasonCode.success);
    } else if (told && link.version === 4) {
      this.#dropAsks();
      this.#session.server.abandon(now);
      this.away();
    } else if (told && will.delay >= this.#context.options.linger) {
      this.#bye(ReasonCode.disconnectWithWill);
    } else {
      // At once, which a server that holds it back for our sake would not do.
      this.#session.server.exchanges.publish(
        willMessage(will, this.#session.mountpoint, now),
        NOBODY,
        0,
        undefined,
      );
      this.#goOnceAnswered(() => this.#bye(ReasonCode.success));
    }
  }

  #publishApart(will: Will, now: Instant): void {
    const message = willMessage(will, this.#session.mountpoint, now);
    this.#context.defer(() => this.#host.publishFor(this.#session, message, NOBODY));
  }

  /** What it has asked for before it said goodbye is finished first. */
  #goOnceAnswered(go: () => void): void {
    const { link, exchanges } = this.#session.server;
    if (link === undefined || !exchanges.awaited) {
      go();
      return;
    }
    this.#last = go;
    this.#due.at(after(this.#now, this.#context.options.pingTimeout), () => this.finish());
  }

  /** All that it has asked for is answered, or will never be. False: it is not going. */
  finish(): boolean {
    const last = this.#last;
    this.#last = undefined;
    last?.();
    this.#letNext();
    return last !== undefined;
  }

  #letNext(): void {
    const behind = this.#behind;
    this.#behind = undefined;
    for (const run of behind ?? []) run();
  }

  /** Nothing of the session is left. */
  forgotten(): void {
    this.#last = undefined;
    this.#letNext();
  }

  #bye(reason: ReasonCode): void {
    this.#dropAsks();
    this.#session.server.bye(reason, this.#now, this.#said);
    this.#said = undefined;
    this.away();
  }

  /** What it has asked for goes on, and it hears no more of it. */
  #forgetAsks(): void {
    const { asks, exchanges } = this.#session.server;
    this.#sayNothing(asks.drop());
    this.#sayNothing(exchanges.disown());
  }

  #dropAsks(): void {
    const { asks, exchanges } = this.#session.server;
    for (const id of exchanges.unreceived()) this.#session.dropInbound(id);
    this.#sayNothing(asks.drop());
    this.#sayNothing(exchanges.clear());
  }

  /** Whoever waits for an answer is told that there is none; not within an ask of its own. */
  #sayNothing(tell: readonly (() => void)[]): void {
    if (tell.length === 0) return;
    this.#context.defer(() => {
      for (const each of tell) each();
    });
  }

  /** Neither device nor connection: what stays here of the session stays as long as the session. */
  away(): void {
    this.#session.server.arrivals.clear();
    this.#due.cancel();
    const until = after(this.#session.leftAt ?? this.#now, this.#session.expiry);
    if (until <= this.#now) this.#session.forget();
    else if (until !== NEVER) this.#due.at(until, () => this.#expire());
  }

  #expire(): void {
    this.#ifHere(() => {
      if (this.#session.server.forgetsNothing) this.#host.wipe(this.#session);
      this.#session.forget();
    });
  }

  /** Another session takes its client id. */
  replaced(now: Instant): void {
    const session = this.#session;
    this.finish();
    // The session ends, and its will waits no longer [MQTT-3.1.2-8].
    if (this.#willWaits && session.will !== undefined) this.#publishApart(session.will, now);
    this.#dropAsks();
    this.#due.cancel();
    session.server.detach(now);
  }

  /** This process ends: what the device expects to find is at the server. */
  shutDown(now: Instant): void {
    const { server } = this.#session;
    if (this.#willWaits) server.abandon(now);
    else server.bye(ReasonCode.success, now);
  }
}
