/**
 * What gateways let operators see of their devices and ask them for: LwM2M's object tree, read, write and execute, CoAP
 * requests. Requests are accepted at once; one that a device answers in time is answered here, another later.
 */

import { Type } from "@sinclair/typebox";
import type {
  DeviceEvent,
  DeviceRequest,
  GatewayOperations,
  RequestResult,
} from "../../contract/operations.ts";
import type { Instant } from "../../lib/time.ts";
import { DURATION_PATTERN, parseDuration } from "../../lib/units.ts";
import { time } from "../answers/parts.ts";
import { type CheckPart, checkerOf } from "../check-request.ts";
import type { ApiPorts } from "../ports.ts";
import { Refused, wrongField } from "../problem.ts";
import { Answer, type Asked, Live, route } from "../route.ts";
import { named, nameIn, timeText } from "../schemas.ts";

const TIMEOUT = "5s";
const TIMEOUT_MAX_MS = 60_000;

const device = named("device", "Endpoint name of the device, or its client id where it has none.");
const gateway = Type.String({ maxLength: 64, description: "Name of the gateway: lwm2m, coap." });
const params = Type.Object({ gateway, ...device.params.properties });

const Schema = Type.Object({}, { additionalProperties: true, description: "JSON Schema." });
const Offered = Type.Object({
  gateway: Type.String(),
  views: Type.Array(Type.Object({ name: Type.String(), summary: Type.String(), schema: Schema })),
  requests: Type.Array(Type.Object({ name: Type.String(), summary: Type.String(), parameters: Schema })),
});

const Result = Type.Object({
  id: Type.String(),
  device: Type.String(),
  request: Type.String(),
  state: Type.String({ description: "waiting (for its turn, or for the device), answered, or failed." }),
  data: Type.Optional(
    Type.Unknown({ description: "What the device answered, an error as well: `code` is CoAP's, as 4.04." }),
  ),
  failure: Type.Optional(
    Type.String({
      description:
        "Why there is no answer. LwM2M: coap_timeout (it never answered), coap_reset, expired (it was not heard in time), queue_full, gone.",
    }),
  ),
  since: time("When it was asked."),
  until: Type.Optional(time("When it was answered, or given up.")),
});

const json = (schema: object): object => JSON.parse(JSON.stringify(schema)) as object;

/** Throws `Refused` when the gateway does not run, or offers nothing. */
function operationsOf(ports: ApiPorts, name: string): GatewayOperations {
  const operations = ports.operator.gateways.operations(name);
  if (operations !== undefined) return operations;
  const offering = ports.operator.gateways
    .list()
    .filter((one) => ports.operator.gateways.operations(one.name) !== undefined);
  const names = offering.map((one) => one.name).join(", ");
  throw new Refused(
    "not-found",
    `gateway ${name} offers nothing to ask its devices for; these do: ${names || "none"}`,
  );
}

const resultRow = (result: RequestResult) => ({
  ...{ id: result.id, device: result.device, request: result.request, state: result.state },
  ...(result.data === undefined ? {} : { data: result.data }),
  ...(result.failure === undefined ? {} : { failure: result.failure }),
  since: timeText(result.since),
  ...(result.until === undefined ? {} : { until: timeText(result.until) }),
});

/** What has become of it, at the latest when the time is over. */
function settled(
  operations: GatewayOperations,
  id: string,
  within: number,
): Promise<RequestResult | undefined> {
  const known = operations.result(id);
  if (within === 0 || known === undefined || known.state !== "waiting") return Promise.resolve(known);
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      stop();
      resolve(operations.result(id));
    };
    const timer = setTimeout(end, within);
    const stop = operations.watch(({ kind }) => {
      if (kind === "result" && operations.result(id)?.state !== "waiting") queueMicrotask(end);
    });
  });
}

const REFUSALS = {
  "unknown-device": "not-found",
  "bad-request": "invalid-request",
  "too-many": "unavailable",
} as const;

const checkers = new WeakMap<DeviceRequest, CheckPart>();

/** As the schema of the request says; throws `Refused`. */
function checkParameters(request: DeviceRequest, parameters: object): void {
  let check = checkers.get(request);
  if (check === undefined) {
    check = checkerOf(request.parameters, "body");
    checkers.set(request, check);
  }
  const [first] = check(parameters);
  if (first !== undefined) throw wrongField(first);
}

export interface Wish {
  readonly gateway: string;
  readonly device: string;
  readonly request: string;
  readonly parameters: object;
  readonly timeout: number;
  readonly wait: number | undefined;
}

/** 200 with the answer, or 202 and where it will be. */
async function askDevice(asked: Pick<Asked, "ports" | "changed">, wish: Wish): Promise<Answer> {
  const { gateway, device, request, parameters, timeout, wait } = wish;
  const operations = operationsOf(asked.ports, gateway);
  const offered = operations.requests.find(({ name }) => name === request);
  if (offered === undefined) {
    const names = operations.requests.map(({ name }) => name).join(", ");
    throw new Refused("not-found", `devices of gateway ${gateway} can be asked for: ${names}`);
  }
  checkParameters(offered, parameters);
  const answer = operations.ask(device, request, parameters, wait);
  if (!answer.ok) throw new Refused(REFUSALS[answer.refusal], answer.reason);
  asked.changed({ object: `device ${gateway}/${device}`, after: { request, parameters } });
  const result = await settled(operations, answer.id, timeout);
  if (result === undefined) throw new Refused("unavailable", "the result is no longer kept");
  if (result.state !== "waiting") return new Answer(200, resultRow(result));
  const below = asked.ports.cookie.path.replace(/\/$/, "");
  const location = `${below}/api/v1/devices/${gateway}/requests/${encodeURIComponent(answer.id)}`;
  return new Answer(202, resultRow(result), { location });
}

const timeoutQuery = {
  timeout: Type.Optional(
    Type.String({
      pattern: DURATION_PATTERN,
      maxLength: 20,
      default: TIMEOUT,
      description: "How long to wait for the answer here, at most 1m: 0s answers 202 at once.",
    }),
  ),
  wait: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 4_294_967,
      description: "Seconds that the request may wait for a device that sleeps.",
    }),
  ),
};

function timeoutOf({ timeout = TIMEOUT }: { readonly timeout?: string }): number {
  const length = parseDuration(timeout) ?? 0;
  if (length <= TIMEOUT_MAX_MS) return length;
  throw wrongField({
    in: "query",
    field: "timeout",
    value: timeout,
    detail: "is too long",
    fix: "at most 1m",
  });
}

const resultAnswers = {
  answer: Result,
  otherAnswers: {
    202: {
      description: "The device sleeps, or has not answered yet: the result is at `Location`.",
      schema: Result,
    },
  },
} as const;

const watch = (ports: ApiPorts, name: string, only: string | undefined): Live => {
  const operations = operationsOf(ports, name);
  return new Live((stream) =>
    operations.watch(({ device, kind, report, at }: DeviceEvent) => {
      if (only === undefined || only === device)
        stream.send(kind, { device, kind, at: timeText(at), report });
    }),
  );
};

export const deviceRoutes = [
  route({
    method: "GET",
    path: "/devices/{gateway}",
    role: "viewer",
    tag: "devices",
    summary: "What there is to see of a gateway's devices, and to ask them for, with schemas",
    params: Type.Object({ gateway }),
    answer: Offered,
    refusals: [{ code: "not-found", path: { gateway: "mqtt" } }],
    handle: ({ ports, path }) => {
      const { views, requests } = operationsOf(ports, path.gateway);
      return {
        gateway: path.gateway,
        views: views.map(({ name, summary, schema }) => ({ name, summary, schema: json(schema) })),
        requests: requests.map(({ name, summary, parameters }) => ({
          name,
          summary,
          parameters: json(parameters),
        })),
      };
    },
  }),
  route({
    method: "GET",
    path: "/devices/{gateway}/events",
    role: "viewer",
    tag: "devices",
    summary:
      "What happens to devices, as server-sent events: registrations, notifications, falling asleep and waking, results",
    params: Type.Object({ gateway }),
    query: Type.Object({ device: Type.Optional(Type.String({ description: "Only of this device." })) }),
    answerType: "text/event-stream",
    refusals: [{ code: "not-found", path: { gateway: "mqtt" } }],
    handle: ({ ports, path, query }) => watch(ports, path.gateway, query.device),
  }),
  route({
    method: "GET",
    path: "/devices/{gateway}/requests/{request}",
    role: "viewer",
    tag: "devices",
    summary: "What has become of a request",
    params: Type.Object({ gateway, request: Type.String({ description: "Its id." }) }),
    answer: Result,
    refusals: [{ code: "not-found", path: { gateway: "lwm2m", request: "none" } }],
    handle: ({ ports, path }) => {
      const result = operationsOf(ports, path.gateway).result(path.request);
      if (result === undefined)
        throw new Refused("not-found", "there is no such request, or it is no longer kept");
      return resultRow(result);
    },
  }),
  route({
    method: "GET",
    path: "/devices/{gateway}/{device}/{view}",
    role: "viewer",
    tag: "devices",
    summary: "One view of a device: for LwM2M `device` and `objects`",
    params: Type.Object({ ...params.properties, view: Type.String({ description: "Name of the view." }) }),
    query: Type.Object(device.query),
    answer: Type.Unknown({ description: "As the view's schema says." }),
    refusals: [{ code: "not-found", path: { gateway: "lwm2m", device: "none", view: "device" } }],
    handle: (asked) => {
      const { ports, path, query } = asked;
      const { views } = operationsOf(ports, path.gateway);
      const view = views.find(({ name }) => name === path.view);
      if (view === undefined)
        throw new Refused("not-found", `views are: ${views.map(({ name }) => name).join(", ")}`);
      const found = view.of(nameIn("device", path, query), ports.now() as Instant);
      if (found === undefined) throw new Refused("not-found", "there is no device of this name");
      return found;
    },
  }),
  route({
    method: "POST",
    path: "/devices/{gateway}/{device}/{request}",
    role: "operator",
    tag: "devices",
    summary: "Ask a device for something; the body holds the parameters that the request's schema names",
    description:
      "A device that answers in time, be it with an error code, is answered with 200 and `state` answered; one that could not be reached with 200, `state` failed and why. For one that sleeps, or takes longer than `timeout`, it is 202: `Location` says where the result will be, and the event stream tells when it is there.",
    params: Type.Object({
      ...params.properties,
      request: Type.String({ description: "Name of the request: read, write, execute." }),
    }),
    query: Type.Object({ ...device.query, ...timeoutQuery }),
    body: Type.Object({}, { additionalProperties: true }),
    ...resultAnswers,
    refusals: [
      {
        code: "not-found",
        path: { gateway: "lwm2m", device: "none", request: "read" },
        body: { path: "/3/0/1" },
      },
    ],
    handle: (asked) =>
      askDevice(asked, {
        gateway: asked.path.gateway,
        device: nameIn("device", asked.path, asked.query),
        request: asked.path.request,
        parameters: asked.body,
        timeout: timeoutOf(asked.query),
        wait: asked.query.wait,
      }),
  }),
];
