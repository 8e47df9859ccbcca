import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { Principal, Role } from "./principal.ts";

export const COOKIE = "isthmus_session";
export const CSRF_HEADER = "x-csrf-token";
const PER_USER_MAX = 20;
const ALL_MAX = 1_000;

/** Somebody who has signed in with a browser. */
export interface SignIn {
  /** Names it in lists; not its token. */
  readonly id: string;
  readonly name: string;
  readonly address: string;
  readonly csrf: string;
  readonly since: number;
  readonly until: number;
  seen: number;
}

export interface SignInLimits {
  /** In milliseconds. */
  readonly length: number;
  readonly idle: number;
}

const digest = (token: string): string => createHash("sha256").update(token).digest("hex");

/** Sessions of browsers: in memory, so that a restart ends them, and by digest, so that a dump holds no token. */
export class SignIns {
  readonly #limits: SignInLimits;
  readonly #byToken = new Map<string, SignIn>();

  constructor(limits: SignInLimits) {
    this.#limits = limits;
  }

  begin(name: string, address: string, now: number): { readonly token: string; readonly signIn: SignIn } {
    this.#forgetOver(now);
    const own = [...this.#byToken].filter(([, known]) => known.name === name);
    if (own.length >= PER_USER_MAX) this.#byToken.delete(own[0]![0]);
    if (this.#byToken.size >= ALL_MAX) this.#byToken.delete(this.#byToken.keys().next().value as string);
    const token = randomBytes(32).toString("base64url");
    const signIn: SignIn = {
      id: randomBytes(9).toString("base64url"),
      name,
      address,
      csrf: randomBytes(32).toString("base64url"),
      since: now,
      until: now + this.#limits.length,
      seen: now,
    };
    this.#byToken.set(digest(token), signIn);
    return { token, signIn };
  }

  find(token: string, now: number): SignIn | undefined {
    const key = digest(token);
    const found = this.#byToken.get(key);
    if (found === undefined) return undefined;
    if (this.#isOver(found, now)) {
      this.#byToken.delete(key);
      return undefined;
    }
    found.seen = now;
    return found;
  }

  list(now: number): readonly SignIn[] {
    this.#forgetOver(now);
    return [...this.#byToken.values()];
  }

  /** Returns how many have ended. */
  end(which: (signIn: SignIn) => boolean): number {
    let ended = 0;
    for (const [key, signIn] of this.#byToken) {
      if (!which(signIn)) continue;
      this.#byToken.delete(key);
      ended++;
    }
    return ended;
  }

  #isOver({ until, seen }: SignIn, now: number): boolean {
    return now >= until || now - seen >= this.#limits.idle;
  }

  #forgetOver(now: number): void {
    this.end((signIn) => this.#isOver(signIn, now));
  }
}

export const sameText = (a: string, b: string): boolean => {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
};

/** The token in a Cookie header (RFC 6265 §4.2.1); undefined when there is none. */
export function tokenOf(cookies: string | undefined): string | undefined {
  for (const part of (cookies ?? "").split(";")) {
    const [name, value] = part.trim().split("=", 2);
    if (name === COOKIE) return value;
  }
  return undefined;
}

/** An empty token takes the cookie back. */
export function cookieOf(token: string, path: string, secure: boolean): string {
  const end = token === "" ? "; Max-Age=0" : "";
  return `${COOKIE}=${token}; Path=${path}; HttpOnly; SameSite=Strict${secure ? "; Secure" : ""}${end}`;
}

export const principalOf = (signIn: SignIn, role: Role): Principal => ({
  kind: "user",
  name: signIn.name,
  role,
});
