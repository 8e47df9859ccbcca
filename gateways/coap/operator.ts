/** What operators see of a CoAP client beside what the core knows of every client, and requests that they make to it. */
import { type Static, Type } from "@sinclair/typebox";
import type { GatewayHost } from "#core/contract/gateway.ts";
import type {
  Asked,
  DeviceEvent,
  DeviceRequest,
  GatewayOperations,
  RequestResult,
} from "#core/contract/operations.ts";
import { CallbackAlarm } from "#core/lib/alarm.ts";
import { copyOf, text, utf8 } from "#core/lib/bytes.ts";
import { RecentMap } from "#core/lib/recent-map.ts";
import { type Instant, seconds } from "#core/lib/time.ts";
import { CoapChannel } from "./stack/channel.ts";
import { formatCode, Method } from "./stack/message/codes.ts";
import { Option, option } from "./stack/message/options.ts";
import type { Asker, AskFailure, IncomingResponse, OutgoingRequest } from "./stack/site.ts";

export const CoapDescription = Type.Object({
  observing: Type.Array(Type.String(), { description: "Topic filters that it observes." }),
});
export type CoapDescription = Static<typeof CoapDescription>;

/** The state of a client that has no connection and observes nothing. */
export const SINGLE_REQUESTS = "single requests";

const Parameters = Type.Object(
  {
    method: Type.Unsafe<keyof typeof Method>({ type: "string", enum: Object.keys(Method) }),
    path: Type.String({ description: "As in a URI: `/sensors/temp`; segments may be percent-encoded." }),
    query: Type.Optional(Type.Array(Type.String(), { description: "Uri-Query, one by one: `rt=temp`." })),
    payload: Type.Optional(Type.String()),
    encoding: Type.Optional(
      Type.Unsafe<"plain" | "base64">({
        type: "string",
        enum: ["plain", "base64"],
        description: "Of `payload`: UTF-8 text, which is the default, or base64.",
      }),
    ),
    contentFormat: Type.Optional(Type.Integer({ minimum: 0, maximum: 65_535 })),
    accept: Type.Optional(Type.Integer({ minimum: 0, maximum: 65_535 })),
    confirmable: Type.Optional(Type.Boolean({ description: "By default yes; on a stream nothing is." })),
  },
  { additionalProperties: false },
);
type Parameters = Static<typeof Parameters>;

const REQUESTS: readonly DeviceRequest[] = [
  {
    name: "request",
    summary: "Sends a request to the address of a client that is connected, and waits for its response.",
    parameters: Parameters,
  },
];

const refused = (refusal: Exclude<Asked, { ok: true }>["refusal"], reason: string): Asked => ({
  ok: false,
  refusal,
  reason,
});

/** Requests towards clients that are connected: their devices are servers as well (RFC 7252 §1). */
export class CoapOperations implements GatewayOperations {
  readonly views = [];
  readonly requests = REQUESTS;
  readonly #host: GatewayHost;
  readonly #results: RecentMap<string, OperatorAsk>;
  readonly #watchers = new Set<(event: DeviceEvent) => void>();

  /** `results`: how many are remembered. */
  constructor(host: GatewayHost, results: () => number) {
    this.#host = host;
    this.#results = new RecentMap(results, ({ result }) => result.state === "waiting");
  }

  ask(device: string, request: string, parameters: object, wait?: number): Asked {
    const channel = this.#host.channelOf(device);
    if (!(channel instanceof CoapChannel))
      return refused("unknown-device", "no client of this name is connected");
    if (request !== "request") return refused("bad-request", `there is no request ${request}`);
    const outgoing = outgoingOf(parameters as Parameters);
    if (typeof outgoing === "string") return refused("bad-request", outgoing);
    const id = Buffer.from(this.#host.random(9)).toString("base64url");
    const ask = new OperatorAsk(id, device, this);
    this.#results.set(id, ask);
    const timed = wait === undefined ? outgoing : { ...outgoing, timeout: seconds(wait) };
    // Not from within whoever asks: a channel has one input at a time, and the time comes with it.
    const begin = new CallbackAlarm((now) => {
      ask.since = now;
      channel.turn((at) => void channel.asks.start(timed, ask, at));
    });
    this.#host.alarms.arm(begin, 0 as Instant);
    return { ok: true, id };
  }

  result(id: string): RequestResult | undefined {
    return this.#results.get(id)?.result;
  }

  watch(watcher: (event: DeviceEvent) => void): () => void {
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  settled({ result }: OperatorAsk, at: Instant): void {
    for (const watcher of this.#watchers)
      watcher({ device: result.device, kind: "result", report: result, at });
  }
}

/** A sentence where that is no request. */
function outgoingOf(parameters: Parameters): OutgoingRequest | string {
  const { method, path, query = [], payload, encoding = "plain", contentFormat, accept } = parameters;
  const code = Object.hasOwn(Method, method) ? Method[method] : undefined;
  if (code === undefined) return `method must be one of ${Object.keys(Method).join(", ")}`;
  if (typeof path !== "string") return "path is missing";
  const segments = segmentsOf(path);
  if (segments === undefined)
    return "path must be percent-encoded as in a URI, each segment at most 255 bytes";
  if (!Array.isArray(query) || query.some((part) => typeof part !== "string" || utf8(part).length > 255))
    return "query must be a list of texts of at most 255 bytes";
  if (payload !== undefined && typeof payload !== "string") return "payload must be a text";
  const bytes = payload === undefined ? undefined : bytesOf(payload, encoding);
  if (typeof bytes === "string") return bytes;
  for (const [name, value] of Object.entries({ contentFormat, accept })) {
    if (value !== undefined && !(Number.isInteger(value) && value >= 0 && value <= 65_535))
      return `${name} must be a number from 0 to 65535`;
  }
  return {
    ...{ method: code, path: segments, query },
    options: [
      ...(contentFormat === undefined ? [] : [option(Option.ContentFormat, contentFormat)]),
      ...(accept === undefined ? [] : [option(Option.Accept, accept)]),
    ],
    ...(bytes === undefined ? {} : { payload: bytes }),
    nonConfirmable: parameters.confirmable === false,
  };
}

function segmentsOf(path: string): string[] | undefined {
  try {
    const segments = path.replace(/^\//, "").split("/").map(decodeURIComponent);
    const plain = segments.length === 1 && segments[0] === "" ? [] : segments;
    return plain.some((segment) => utf8(segment).length > 255) ? undefined : plain;
  } catch {
    return undefined;
  }
}

function bytesOf(payload: string, encoding: unknown): Uint8Array | string {
  if (encoding === "plain") return utf8(payload);
  if (encoding !== "base64") return "encoding must be plain or base64";
  const bytes = Buffer.from(payload, "base64");
  return bytes.toString("base64").replace(/=+$/, "") === payload.replace(/=+$/, "")
    ? new Uint8Array(bytes)
    : "payload is no base64";
}

type Outcome = Pick<RequestResult, "state" | "data" | "failure" | "until">;

/** One request, from the operator to its result. */
class OperatorAsk implements Asker {
  readonly #id: string;
  readonly #device: string;
  readonly #of: CoapOperations;
  since = 0 as Instant;
  #outcome: Outcome = {
    ...{ state: "waiting", data: undefined, failure: undefined, until: undefined },
  };

  constructor(id: string, device: string, of: CoapOperations) {
    this.#id = id;
    this.#device = device;
    this.#of = of;
  }

  get result(): RequestResult {
    return { id: this.#id, device: this.#device, request: "request", since: this.since, ...this.#outcome };
  }

  response({ code, message, payload }: IncomingResponse, now: Instant): void {
    const contentFormat = message.uint(Option.ContentFormat);
    const readable = text(payload);
    const body =
      readable === undefined
        ? { payload: Buffer.from(copyOf(payload)).toString("base64"), encoding: "base64" }
        : { payload: readable, encoding: "plain" };
    const data = {
      code: formatCode(code),
      ...(contentFormat === undefined ? {} : { contentFormat }),
      ...body,
    };
    this.#end({ state: "answered", data, failure: undefined, until: now }, now);
  }

  failed(why: AskFailure, now: Instant): void {
    this.#end({ state: "failed", data: undefined, failure: why, until: now }, now);
  }

  #end(outcome: Outcome, now: Instant): void {
    this.#outcome = outcome;
    this.#of.settled(this, now);
  }
}
