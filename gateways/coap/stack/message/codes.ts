import type { Brand } from "#core/lib/brand.ts";

/** A code byte, class in the upper three bits and detail in the lower five (RFC 7252 §3). Open registry. */
export type Code = Brand<number, "Code">;

export const code = (group: number, detail: number): Code => ((group << 5) | detail) as Code;
export const codeClass = (value: number): number => value >> 5;
const codeDetail = (value: number): number => value & 0x1f;
export const isRequest = (value: number): boolean => value > 0 && value < 0x20;
export const isResponse = (value: number): boolean => value >= 0x40 && value < 0xc0;
export const isError = (value: number): boolean => value >= 0x80 && value < 0xc0;

/** The dotted form of the specifications: `2.05`. */
export const formatCode = (value: number): string =>
  `${codeClass(value)}.${String(codeDetail(value)).padStart(2, "0")}`;

export const EMPTY = code(0, 0);

/** RFC 7252 §12.1.1 and RFC 8132 §6. */
export const Method = {
  GET: code(0, 1),
  POST: code(0, 2),
  PUT: code(0, 3),
  DELETE: code(0, 4),
  FETCH: code(0, 5),
  PATCH: code(0, 6),
  iPATCH: code(0, 7),
} as const;

/** RFC 7252 §12.1.2 with RFC 7959, 8132, 8516 and 8768; 2.07 is that of draft-ietf-core-coap-pubsub-09. */
export const Response = {
  Created: code(2, 1),
  Deleted: code(2, 2),
  Valid: code(2, 3),
  Changed: code(2, 4),
  Content: code(2, 5),
  NoContent: code(2, 7),
  Continue: code(2, 31),
  BadRequest: code(4, 0),
  Unauthorized: code(4, 1),
  BadOption: code(4, 2),
  Forbidden: code(4, 3),
  NotFound: code(4, 4),
  MethodNotAllowed: code(4, 5),
  NotAcceptable: code(4, 6),
  RequestEntityIncomplete: code(4, 8),
  Conflict: code(4, 9),
  PreconditionFailed: code(4, 12),
  RequestEntityTooLarge: code(4, 13),
  UnsupportedContentFormat: code(4, 15),
  UnprocessableEntity: code(4, 22),
  TooManyRequests: code(4, 29),
  InternalServerError: code(5, 0),
  NotImplemented: code(5, 1),
  BadGateway: code(5, 2),
  ServiceUnavailable: code(5, 3),
  GatewayTimeout: code(5, 4),
  ProxyingNotSupported: code(5, 5),
} as const;

/** Signalling over reliable transports (RFC 8323 §5). */
export const Signal = {
  CSM: code(7, 1),
  Ping: code(7, 2),
  Pong: code(7, 3),
  Release: code(7, 4),
  Abort: code(7, 5),
} as const;

/** Methods that change nothing on the server (RFC 7252 §5.1, RFC 8132 §2). */
export const isSafe = (method: number): boolean => method === Method.GET || method === Method.FETCH;
