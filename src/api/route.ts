/**
 * One declaration for each thing that can be asked: from it come the check of every request, the OpenAPI document, and
 * the tests of refusals and examples.
 */
import type { TObject, TSchema } from "@sinclair/typebox";
import type { Least, Principal } from "./access/principal.ts";
import type { EventStream } from "./event-stream.ts";
import type { ApiPorts } from "./ports.ts";
import type { ProblemCode } from "./problem.ts";

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** A request for the documentation, which a test makes. */
export interface ExampleRequest {
  readonly path?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string | number | boolean>>;
  readonly body?: unknown;
}

/** A refusal of this route beyond those that all have, and a request that leads to it. */
export interface ExampleRefusal extends ExampleRequest {
  readonly code: ProblemCode;
}

/** A request that has passed all checks. */
export interface Asked<Path = unknown, Query = unknown, Body = unknown> {
  readonly path: Path;
  readonly query: Query;
  readonly body: Body;
  readonly who: Principal;
  /** Where it comes from. */
  readonly address: string;
  readonly header: (name: string) => string | undefined;
  readonly ports: ApiPorts;
  /** For the audit log: what was changed, from what to what. Without it only the request is noted. */
  changed(change: { readonly object: string; readonly before?: unknown; readonly after?: unknown }): void;
}

/** Another status than the usual one, or headers. */
export class Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, body?: unknown, headers: Readonly<Record<string, string>> = {}) {
    this.status = status;
    this.body = body;
    this.headers = headers;
  }
}

/** Something to be saved as a file, or too long to be put together at once. */
export class Download {
  readonly contentType: string;
  readonly fileName: string | undefined;
  readonly chunks: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>;

  constructor(
    contentType: string,
    fileName: string | undefined,
    chunks: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>,
  ) {
    this.contentType = contentType;
    this.fileName = fileName;
    this.chunks = chunks;
  }
}

/** Live events: begins to send, and returns how to stop. */
export class Live {
  readonly begin: (stream: EventStream) => () => void;

  constructor(begin: (stream: EventStream) => () => void) {
    this.begin = begin;
  }
}

/** A schema, of which the compiler looks at nothing but what it stands for. */
interface Shape<Value> {
  readonly static: Value;
}

export interface Declaration<Path, Query, Body> {
  readonly method: Method;
  /** Below `/api/v1`, with `{name}` for each parameter: `/clients/{id}`. */
  readonly path: `/${string}`;
  readonly role: Least;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly params?: Shape<Path>;
  readonly query?: Shape<Query>;
  readonly body?: Shape<Body>;
  /** The body may be absent. */
  readonly bodyOptional?: boolean;
  /** In bytes; absent: `api.bodyMax`. */
  readonly bodyMax?: number;
  /** Media types of the body beside JSON. */
  readonly bodyTypes?: readonly string[];
  /** What an answer holds; absent: nothing (204). */
  readonly answer?: TSchema;
  /** Of the answer, where it is not 200 or 204. */
  readonly status?: number;
  /** Further answers, by status. */
  readonly otherAnswers?: Readonly<
    Record<number, { readonly description: string; readonly schema?: TSchema }>
  >;
  /** Of the answer, where it is not JSON. */
  readonly answerType?: string;
  /** Absent: every method but GET changes something, and is noted in the audit log. */
  readonly audited?: boolean;
  readonly example?: ExampleRequest;
  readonly refusals?: readonly ExampleRefusal[];
  handle(asked: Asked<Path, Query, Body>): unknown;
}

/** A route of whatever schemas, as the server, the document and the tests walk over them. */
export interface Route extends Omit<Declaration<unknown, unknown, unknown>, "params" | "query" | "body"> {
  readonly params?: TObject;
  readonly query?: TObject;
  readonly body?: TSchema;
}

export const route = <Path = unknown, Query = unknown, Body = unknown>(
  declaration: Declaration<Path, Query, Body>,
): Route => declaration as unknown as Route;

export const isAudited = ({ method, audited }: Pick<Route, "method" | "audited">): boolean =>
  audited ?? method !== "GET";
