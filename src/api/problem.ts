/** Problem details (RFC 9457): what every error of the API is answered with. */

/** Every kind of error there is. The code is stable: it is the last part of `type`, and the README lists all of them. */
export const PROBLEMS = {
  "invalid-request": [400, "A field of the request is unknown, missing or not allowed."],
  "malformed-json": [400, "The body is not JSON."],
  "malformed-http": [400, "What came is no request of HTTP/1.1."],
  "malformed-address": [400, "The address holds a broken percent escape."],
  unauthenticated: [401, "Credentials are missing, wrong or expired."],
  "no-account": [403, "Nobody has an account yet, and the request does not come from this machine."],
  forbidden: [403, "The role of these credentials does not allow this."],
  "cross-site": [403, "A page of another site asks, or the CSRF token is missing."],
  refused: [403, "A rule or a limit of the gateway refuses it; `refusal` says which kind."],
  "not-found": [404, "There is no such thing."],
  "no-route": [404, "Nothing is served at this address."],
  "too-slow": [408, "The request was not whole in time."],
  conflict: [409, "It is there already, or in a state that does not allow this."],
  gone: [410, "The list behind this cursor is no longer kept; begin again without it."],
  changed: [412, "Somebody else has changed it since the version that `If-Match` names; read it again."],
  "too-large": [413, "The body is larger than `api.bodyMax` allows."],
  "unsupported-media-type": [415, "The body has a media type or a content coding that is not read here."],
  "unknown-expectation": [417, "The request expects (`Expect`) something else than 100-continue."],
  misdirected: [421, "The request is meant for a host name that `api.hosts` does not list."],
  "too-many-requests": [
    429,
    "Too many failed attempts, or too many at once; `Retry-After` says when to come again.",
  ],
  "header-too-large": [431, "Address and headers are too long."],
  internal: [500, "A bug in Isthmus."],
  "device-failed": [502, "The device answered with an error, or with something that cannot be read."],
  unavailable: [
    503,
    "It cannot be done now: the store does not write, memory is used up, or the gateway is not ready.",
  ],
  "device-silent": [504, "The device did not answer in time."],
} as const satisfies Readonly<Record<string, readonly [status: number, meaning: string]>>;
export type ProblemCode = keyof typeof PROBLEMS;

/** One field that is wrong. */
export interface FieldError {
  readonly in: "path" | "query" | "body" | "header";
  /** JSON pointer (RFC 6901) into the body, or the name of a parameter. */
  readonly field: string;
  /** As given, shortened; absent where nothing was. */
  readonly value?: unknown;
  readonly detail: string;
  /** What is allowed. */
  readonly fix?: string;
}

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: ProblemCode;
  readonly detail?: string;
  readonly errors?: readonly FieldError[];
  readonly [member: string]: unknown;
}

export const PROBLEM_JSON = "application/problem+json";
const TYPE_PREFIX = "/api/v1/problems/";

const titleOf = (code: ProblemCode): string => {
  const words = code.replaceAll("-", " ");
  return words[0]!.toUpperCase() + words.slice(1);
};

export const problem = (
  code: ProblemCode,
  detail?: string,
  more: Readonly<Record<string, unknown>> = {},
): Problem => ({
  type: TYPE_PREFIX + code,
  title: titleOf(code),
  status: PROBLEMS[code][0],
  code,
  ...(detail === undefined ? {} : { detail }),
  ...more,
});

/** Thrown by whatever serves a request that cannot be served. */
export class Refused extends Error {
  readonly problem: Problem;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    code: ProblemCode,
    detail?: string,
    more: Readonly<Record<string, unknown>> = {},
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(detail ?? code);
    this.problem = problem(code, detail, more);
    this.headers = headers;
  }
}

/** A field that passed its schema and cannot be meant. */
export const wrongField = (error: FieldError): Refused =>
  new Refused("invalid-request", `${error.field}: ${error.detail}`, { errors: [error] });
