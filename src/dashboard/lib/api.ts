/** Asks the API: with the token that changes need, the node's clock, and problems as they are. */
import { BASE } from "./address.ts";

export interface WrongField {
  readonly field: string;
  readonly detail: string;
  readonly fix?: string;
}

/** Why something was not done (RFC 9457). `status` 0: nobody has answered. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly errors: readonly WrongField[];
  readonly at: number;
  /** The role that is needed, where that is what is missing. */
  readonly needs: string | undefined;

  constructor(status: number, body: Record<string, unknown>) {
    super(String(body["title"] ?? "The answer cannot be read"));
    this.status = status;
    this.code = String(body["code"] ?? status);
    this.detail = String(body["detail"] ?? "");
    this.errors = Array.isArray(body["errors"]) ? (body["errors"] as WrongField[]) : [];
    this.needs = typeof body["needs"] === "string" ? body["needs"] : undefined;
    this.at = nodeNow();
  }
}

let offset = 0;
/** What the node's clock says: one that is wrong in this browser harms nothing. */
export const nodeNow = (): number => Date.now() + offset;
/** How far the clock of this browser is off, in milliseconds. */
export const clockOffset = (): number => offset;

let csrf: string | undefined;
export const setToken = (token: string | undefined): void => {
  csrf = token;
};

const listeners = new Set<() => void>();
/** Is told when the node says that nobody is signed in here any more. */
export const onSignedOut = (listener: () => void): void => void listeners.add(listener);

export type { Page } from "../../api/answers/parts.ts";

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export interface Asking {
  readonly query?: Query | undefined;
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

export function apiAddress(path: string, query: Query = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== "") search.set(name, String(value));
  }
  const text = search.toString();
  return `${BASE}/api/v1${path}${text === "" ? "" : `?${text}`}`;
}

/** A part of a path of the API, and the query that names what no path can carry. */
export function apiPart(id: string, name = "id"): { readonly part: string; readonly query: Query } {
  if (id === "." || id === ".." || id === "" || id === "-") return { part: "-", query: { [name]: id } };
  return { part: encodeURIComponent(id), query: {} };
}

async function problemOf(answer: Response, signsIn: boolean): Promise<Problem> {
  const body = (await answer.json().catch(() => ({}))) as Record<string, unknown>;
  const problem = new Problem(answer.status, { title: answer.statusText, ...body });
  if (answer.status === 401 && !signsIn && problem.code !== "too-many-requests")
    for (const listener of listeners) listener();
  return problem;
}

/** The answer itself; throws `Problem`. */
export async function request(method: string, path: string, asking: Asking = {}): Promise<Response> {
  const { query, body, signal, headers } = asking;
  const answer = await fetch(apiAddress(path, query), {
    method,
    credentials: "same-origin",
    headers: {
      // A file says itself what it is.
      ...(body === undefined || body instanceof Blob ? {} : { "content-type": "application/json" }),
      ...(method === "GET" || csrf === undefined ? {} : { "x-csrf-token": csrf }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: body instanceof Blob ? body : JSON.stringify(body) }),
    ...(signal === undefined ? {} : { signal }),
  }).catch((error: unknown) => {
    if (signal?.aborted === true) throw error;
    throw new Problem(0, {
      title: "The node does not answer",
      code: "no-answer",
      detail: "It may be stopped, or the network between is.",
    });
  });
  const time = Number(answer.headers.get("isthmus-time"));
  if (Number.isFinite(time) && time > 0) offset = time - Date.now();
  // A wrong password or code says nothing of who is signed in.
  if (!answer.ok)
    throw await problemOf(answer, method === "POST" && (path === "/session" || path === "/setup"));
  return answer;
}

/** JSON of the answer; throws `Problem`. */
export async function ask<Answer>(method: string, path: string, asking: Asking = {}): Promise<Answer> {
  const answer = await request(method, path, asking);
  return (answer.status === 204 ? undefined : await answer.json()) as Answer;
}

export const read = <Answer>(path: string, query?: Query, signal?: AbortSignal): Promise<Answer> =>
  ask<Answer>("GET", path, { query, signal });
