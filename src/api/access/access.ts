/** Who asks, and whether they may. */
import { randomBytes } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import type { Clock } from "../../lib/time.ts";
import { Refused } from "../problem.ts";
import { Attempts } from "./attempts.ts";
import type { AuditLog } from "./audit-log.ts";
import type { Credentials } from "./credentials.ts";
import { allows, type Least, NOBODY, type Principal } from "./principal.ts";
import { CSRF_HEADER, principalOf, type SignIn, type SignIns, sameText, tokenOf } from "./sign-ins.ts";

/** What is looked at of a request. */
export interface Caller {
  readonly headers: IncomingHttpHeaders;
  /** Where it comes from; behind a trusted proxy, what that says. */
  readonly address: string;
  /** A proxy has passed it on, whoever sent it. */
  readonly forwarded: boolean;
}

/** What is looked at of a route. */
export interface Guarded {
  readonly role: Least;
  readonly method: string;
}

export interface AccessParts {
  readonly credentials: Credentials;
  readonly signIns: SignIns;
  readonly audit: AuditLog;
  readonly clock: Clock;
  /** The date, in milliseconds: keys end by it, and it may be set while the process goes on by its clock. */
  readonly date: () => number;
  /** Answers who may read the data folder: `id.secret`. */
  readonly localKey: string | undefined;
}

const LOOPBACK = /^(127\.|::1$|::ffff:127\.)/;
const LOOPBACK_NAMES = new Set(["localhost", "127.0.0.1", "::1", "[::1]"]);

/** How to get in, for who cannot yet. */
export const HOW_TO_BEGIN = "on the machine of the gateway, run: isthmus admin add NAME";

export class Access {
  readonly credentials: Credentials;
  readonly signIns: SignIns;
  readonly audit: AuditLog;
  readonly attempts = new Attempts();
  /** Shown in the log, so that only who can read it can take a node that is nobody's yet. */
  readonly setupCode: string = setupCode();
  readonly #clock: Clock;
  readonly #date: () => number;
  readonly #localKey: string | undefined;

  constructor({ credentials, signIns, audit, clock, date, localKey }: AccessParts) {
    this.credentials = credentials;
    this.signIns = signIns;
    this.audit = audit;
    this.#clock = clock;
    this.#date = date;
    this.#localKey = localKey;
  }

  isSetupCode(text: string): boolean {
    return sameText(text.toUpperCase().replaceAll(/[^A-Z2-7]/g, ""), this.setupCode.replaceAll("-", ""));
  }

  /** Who it is, or `NOBODY`; throws `Refused` for credentials that are given and wrong. */
  identify(caller: Caller): Principal {
    const given = credentialsIn(caller.headers.authorization);
    if (given !== undefined) return this.#keyHolder(given, caller);
    const signIn = this.signInOf(caller);
    if (signIn !== undefined) {
      const user = this.credentials.accounts.user(signIn.name);
      if (user !== undefined) return principalOf(signIn, user.role);
    }
    return this.credentials.accounts.exist ? NOBODY : this.#beforeAccounts(caller);
  }

  signInOf({ headers }: Caller): SignIn | undefined {
    const token = tokenOf(headers.cookie);
    return token === undefined ? undefined : this.signIns.find(token, this.#clock.now());
  }

  /** Throws `Refused` unless this route is for them. */
  admit(who: Principal, route: Guarded, caller: Caller): void {
    if (route.method !== "GET") this.#refuseOtherSites(who, caller);
    if (allows(who.role, route.role)) return;
    if (who.kind === "nobody") {
      const detail = this.credentials.accounts.exist
        ? "an API key is needed: Authorization: Bearer <id>.<secret>, or Basic with the id as user name"
        : `nobody has an account yet; ${HOW_TO_BEGIN}`;
      throw new Refused(
        "unauthenticated",
        detail,
        {},
        { "www-authenticate": 'Basic realm="isthmus", Bearer' },
      );
    }
    throw new Refused(
      "forbidden",
      `this needs the role ${route.role}; "${who.name}" has the role ${who.role}`,
      {
        needs: route.role,
        has: who.role,
      },
    );
  }

  /** Throws `Refused` while earlier failures make the next attempt wait. */
  mayTry(name: string | undefined, address: string): void {
    const wait = this.attempts.wait(name, address, this.#clock.now());
    if (wait <= 0) return;
    const seconds = Math.ceil(wait / 1000);
    throw new Refused(
      "too-many-requests",
      `too many failed attempts: the next one is looked at in ${seconds} s`,
      {},
      { "retry-after": String(seconds) },
    );
  }

  #keyHolder({ id, secret }: GivenKey, caller: Caller): Principal {
    const now = this.#clock.now();
    if (this.#localKey !== undefined && sameText(`${id}.${secret}`, this.#localKey)) {
      return { kind: "local", name: "local", role: "administrator" };
    }
    const holder = this.credentials.keyHolder(id, secret, this.#date());
    // A secret is long, and drawn at random: nobody has to wait for a neighbour who guesses.
    if (holder !== undefined) return holder;
    this.mayTry(undefined, caller.address);
    this.attempts.failed(undefined, caller.address, now);
    throw new Refused(
      "unauthenticated",
      "there is no such key, or it has expired",
      {},
      { "www-authenticate": 'Basic realm="isthmus", Bearer' },
    );
  }

  /** Until somebody has an account, this machine is trusted, and nobody else. */
  #beforeAccounts({ address, forwarded, headers }: Caller): Principal {
    const host = (headers.host ?? "").toLowerCase().replace(/:\d*$/, "");
    if (LOOPBACK.test(address) && !forwarded && LOOPBACK_NAMES.has(host)) {
      return { kind: "local", name: "this machine", role: "administrator" };
    }
    throw new Refused("no-account", `nobody has an account yet; ${HOW_TO_BEGIN}`);
  }

  /** A page of another site cannot read answers, but it can send requests with the cookies of who looks at it. */
  #refuseOtherSites(who: Principal, caller: Caller): void {
    const { headers } = caller;
    const { origin, host } = headers;
    const fetchSite = headers["sec-fetch-site"];
    const foreign =
      (origin !== undefined && origin.replace(/^https?:\/\//, "") !== host) ||
      fetchSite === "cross-site" ||
      fetchSite === "same-site";
    if (foreign && who.kind !== "key") {
      throw new Refused("cross-site", "a page of another site may change nothing here");
    }
    if (who.kind !== "user") return;
    const token = headers[CSRF_HEADER];
    const signIn = this.signInOf(caller);
    if (signIn === undefined || typeof token !== "string" || !sameText(token, signIn.csrf)) {
      throw new Refused(
        "cross-site",
        `the header ${CSRF_HEADER} must hold the token that GET /api/v1/session answers`,
      );
    }
  }
}

/** Eight groups of four letters and digits (RFC 4648 §6), 160 bits. */
function setupCode(): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const text = [...randomBytes(32)].map((byte) => alphabet[byte & 31]).join("");
  return text.match(/.{4}/g)!.join("-");
}

interface GivenKey {
  readonly id: string;
  readonly secret: string;
}

/** `Basic` (RFC 7617) with the id as user name, or `Bearer` (RFC 6750) with both and a full stop between. */
function credentialsIn(header: string | undefined): GivenKey | undefined {
  if (header === undefined) return undefined;
  const [scheme = "", value = ""] = header.split(/ +/, 2);
  const kind = scheme.toLowerCase();
  if (kind !== "basic" && kind !== "bearer") {
    throw new Refused("unauthenticated", "the Authorization header is neither Basic nor Bearer");
  }
  const text = kind === "basic" ? Buffer.from(value, "base64").toString("utf8") : value;
  const at = text.indexOf(kind === "basic" ? ":" : ".");
  return at === -1 ? { id: text, secret: "" } : { id: text.slice(0, at), secret: text.slice(at + 1) };
}
