/** Clients on their way in, and the session that each gets when a server has let it in. */
import type { Message } from "../bus/message.ts";
import type { Ticket } from "../contract/answers.ts";
import { ZERO } from "../lib/time.ts";
import type { EngineClient, OpenAnswer, Opening } from "../session/engine.ts";
import type { SessionsOptions } from "../session/sessions.ts";
import type { Named } from "./client-id.ts";
import type { UpstreamContext } from "./context.ts";
import { type Admitted, Entry, type EntryHost, type Refused } from "./entry.ts";
import { UpstreamSession } from "./session.ts";
import type { SessionHost, SessionLimits } from "./session-host.ts";

const NO_SESSION: Refused = { ok: false, refusal: "unavailable", reason: "no session to resume" };
const ANOTHER_USERS: Refused = {
  ok: false,
  refusal: "forbidden",
  reason: "this client id has a session of another user",
};
const FULL: Refused = { ok: false, refusal: "quota", reason: "session limit reached" };
const LEFT: Refused = { ok: false, refusal: "unavailable", reason: "the client has left" };

/** The engine that it leads to. */
export interface EntranceHost extends SessionHost {
  readonly limits: SessionLimits & Pick<SessionsOptions, "sessions" | "otherUser">;
  /** Under which id servers know a client's session. */
  readonly idOf: (named: Named) => string;
}

/** A client that opens it so comes back to this session; else it is thrown away. */
const isFormerOf = (session: UpstreamSession, { gateway, proven }: EngineClient, opening: Opening): boolean =>
  !opening.cleanStart && session.gateway === gateway && session.belongsTo(proven);

export class Entrance implements EntryHost {
  readonly context: UpstreamContext;
  readonly limits: EntranceHost["limits"];
  readonly #host: EntranceHost;
  readonly #sessions: Map<string, UpstreamSession>;
  /** Under which id servers know them, who came first first. */
  readonly #entries = new Map<string, Entry[]>();
  /** Wills of those whose connection they take. */
  readonly #owed = new Map<string, Message>();
  takenOver = 0;

  constructor(host: EntranceHost, sessions: Map<string, UpstreamSession>) {
    this.context = host.context;
    this.limits = host.limits;
    this.#host = host;
    this.#sessions = sessions;
  }

  /** Clients that wait for a server to let them in. */
  get count(): number {
    let count = 0;
    for (const entries of this.#entries.values()) count += entries.length;
    return count;
  }

  isAwaited(id: string): boolean {
    return this.#entries.has(id);
  }

  owes(id: string, will: Message): void {
    if (this.#entries.has(id)) this.#owed.set(id, will);
  }

  /** Nobody comes in any more. */
  close(): void {
    for (const entries of [...this.#entries.values()]) for (const entry of entries) entry.leave();
  }

  #idOf({ gateway, sessionId: clientId, username }: EngineClient): string {
    return this.#host.idOf({ gateway, clientId, username });
  }

  /** The session that goes by this client's id, whichever gateway it came through: for a server it is one. */
  #of(client: EngineClient): UpstreamSession | undefined {
    return this.#sessions.get(this.#idOf(client));
  }

  /** See `SessionEngine.refuses`. */
  refuses(client: EngineClient): boolean {
    const session = this.#of(client);
    if (session === undefined || session.belongsTo(client.proven)) return false;
    return session.proven !== undefined && this.limits.otherUser === "refuse";
  }

  /** `entered`: called with its session before it hears that it is in. An entry: that is decided later. */
  open(
    client: EngineClient,
    opening: Opening,
    ticket: Ticket,
    entered: (session: UpstreamSession) => void,
  ): OpenAnswer | Entry {
    const refused = this.#refusal(client, opening);
    if (refused !== undefined) return refused;
    const known = this.#of(client);
    if (known !== undefined && isFormerOf(known, client, opening) && known.keepsConnection(client, opening)) {
      entered(known);
      return known.comeBack(client, opening);
    }
    if (known === undefined && this.#sessions.size + this.#entries.size >= this.limits.sessions) return FULL;
    const id = this.#idOf(client);
    const entry = new Entry(this, id, client, opening, ticket, entered);
    const entries = this.#entries.get(id);
    if (entries === undefined) this.#entries.set(id, [entry]);
    else entries.push(entry);
    if (known === undefined) entry.start();
    else known.afterGoodbye(client, opening, () => entry.start());
    return entry;
  }

  #refusal(client: EngineClient, opening: Opening): Refused | undefined {
    if (opening.kind === "resume" && !this.#resumable(this.#of(client), client, opening)) return NO_SESSION;
    return this.refuses(client) ? ANOTHER_USERS : undefined;
  }

  #resumable(session: UpstreamSession | undefined, { gateway, proven }: EngineClient, { expected }: Opening) {
    if (session === undefined || session.client !== undefined || session.gateway !== gateway) return false;
    if (!session.belongsTo(proven)) return false;
    if (expected === undefined) return true;
    return (session.expectedUntil ?? ZERO) > this.context.clock.now() && expected(session.memo);
  }

  // ---- for entries

  formerOf({ upstreamId, client, opening }: Entry): UpstreamSession | undefined {
    const session = this.#sessions.get(upstreamId);
    return session !== undefined && isFormerOf(session, client, opening) ? session : undefined;
  }

  supersede(entry: Entry): Refused | undefined {
    const { upstreamId: id, client, opening } = entry;
    const refused = this.#refusal(client, opening);
    if (refused !== undefined) return refused;
    // Who came before and is not in yet has lost it as well.
    const entries = this.#entries.get(id) ?? [];
    for (const older of entries.slice(0, entries.indexOf(entry))) older.overtaken();
    const known = this.#sessions.get(id);
    if (known?.client === undefined) {
      known?.hurry();
    } else {
      this.takenOver++;
      known.supersede();
    }
    // It may go because the other one does.
    if (entry.over) return LEFT;
    // The other one's end may have ended its session, when that was not to outlive its connection.
    const left = this.#sessions.get(id);
    if (left !== undefined && !isFormerOf(left, client, opening)) {
      this.#host.subscriptionsEnd(left);
      left.replace();
    }
    return undefined;
  }

  admit(entry: Entry): Admitted | Refused {
    const refused = this.supersede(entry);
    if (refused !== undefined) return refused;
    const { upstreamId: id, client } = entry;
    entry.owed = this.#owed.get(id);
    const former = this.#sessions.get(id);
    if (former !== undefined) return { session: former, known: true };
    if (this.#sessions.size >= this.limits.sessions) return FULL;
    const session = new UpstreamSession(this.#host, client.gateway, client.sessionId, id);
    this.#sessions.set(id, session);
    return { session, known: false };
  }

  concluded(entry: Entry): void {
    const others = this.#entries.get(entry.upstreamId)?.filter((other) => other !== entry) ?? [];
    if (others.length === 0) {
      this.#entries.delete(entry.upstreamId);
      this.#owed.delete(entry.upstreamId);
    } else this.#entries.set(entry.upstreamId, others);
  }
}
