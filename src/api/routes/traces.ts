import { Type } from "@sinclair/typebox";
import { isAddressRange } from "../../policy/addresses.ts";
import { choice } from "../../settings/kinds.ts";
import { rowToJson } from "../../trace/json.ts";
import { PcapWriter, pcapHeader } from "../../trace/pcapng.ts";
import type { Recording } from "../../trace/recording.ts";
import { ROWS_DEFAULT, ROWS_MAX, RUNNING_MAX, SECONDS_DEFAULT, SECONDS_MAX } from "../../trace/recordings.ts";
import type { TraceRow } from "../../trace/rows.ts";
import { lineOf } from "../../trace/text.ts";
import { allows } from "../access/principal.ts";
import { Trace, traceConditions } from "../answers/traces.ts";
import { listQuery, type PageQuery, pageOf, pageOfArray, sortQuery } from "../lists.ts";
import type { ApiPorts } from "../ports.ts";
import { Refused, wrongField } from "../problem.ts";
import { Answer, Download, Live, route } from "../route.ts";
import { timeText } from "../schemas.ts";

const Wish = Type.Object({
  ...traceConditions,
  name: Type.Optional(Type.String({ minLength: 1, maxLength: 128, description: "For people." })),
  seconds: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: SECONDS_MAX,
      default: SECONDS_DEFAULT,
      description: "It ends by itself after so long.",
    }),
  ),
  rows: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: ROWS_MAX,
      default: ROWS_DEFAULT,
      description: "It ends when it holds so many rows.",
    }),
  ),
});

const shown = ({ id, options, startedAt, ended, rows, bytes }: Recording) => {
  const { client, topic, address, gateway, name, owner, until, rows: rowsMax } = options;
  return {
    id,
    name,
    owner,
    ...(client === undefined ? {} : { client }),
    ...(topic === undefined ? {} : { topic }),
    ...(address === undefined ? {} : { address }),
    ...(gateway === undefined ? {} : { gateway }),
    startedAt: timeText(startedAt),
    until: timeText(until),
    running: ended === undefined,
    ...(ended === undefined ? {} : { ended }),
    rows: rows.length,
    rowsMax,
    bytes,
  };
};

const params = Type.Object({
  id: Type.String({ minLength: 1, maxLength: 32, description: "Of the trace." }),
});

function found({ traces }: ApiPorts, id: string): Recording {
  const recording = traces.get(id);
  if (recording === undefined) throw new Refused("not-found", `there is no trace ${id}`);
  return recording;
}

const TraceRowSchema = Type.Object(
  {
    number: Type.Integer({ description: "Grows from row to row." }),
    cause: Type.Integer({
      description: "Rows with the same number follow from the same frame, timer or call.",
    }),
    at: Type.Number({ description: "Milliseconds since the epoch, with fractions." }),
    kind: choice(
      [
        "frame",
        "stray",
        "message",
        "routed",
        "delivery",
        "step",
        "state",
        "timer",
        "closed",
        "refusal",
        "skipped",
      ],
      { description: "What it is about; the other fields depend on it." },
    ),
    text: Type.String({ description: "The row as a sentence." }),
  },
  { additionalProperties: true },
);

/** Payloads are for operators: a viewer sees that there was one. */
const formOf = (role: Parameters<typeof allows>[0]) => ({ payload: allows(role, "operator") });

/** Rows sent before it is looked whether the reader follows. */
const REPLAY = 500;

/** Rows from `after` on, those that come too, and that it has ended. */
function follow(recording: Recording, after: number, form: { readonly payload: boolean }): Live {
  return new Live((stream) => {
    // The first row that the reader has not had.
    let next = recording.rows.findIndex(({ number }) => number > after);
    if (next < 0) next = recording.rows.length;
    let over = false;
    const pump = (): void => {
      for (let sent = 0; sent < REPLAY && next < recording.rows.length; sent++) {
        if (stream.full) return;
        const row = recording.rows[next++]!;
        stream.send("row", rowToJson(row, form), row.number);
      }
      if (next < recording.rows.length) setImmediate(pump);
      else if (recording.ended !== undefined && !over) {
        over = true;
        stream.send("ended", { reason: recording.ended, rows: recording.rows.length });
        stream.close();
      }
    };
    stream.onDrain = pump;
    const stop = recording.listen(() => pump());
    pump();
    return () => {
      over = true;
      stop();
    };
  });
}

type Format = "pcapng" | "json" | "text";
const TYPES: Readonly<Record<Format, string>> = {
  pcapng: "application/x-pcapng",
  json: "application/x-ndjson",
  text: "text/plain; charset=utf-8",
};

function* written(
  rows: readonly TraceRow[],
  format: Format,
  payload: boolean,
): Generator<string | Uint8Array> {
  if (format === "pcapng") {
    const writer = new PcapWriter();
    yield pcapHeader();
    for (const row of rows) yield writer.packets(row);
  } else if (format === "json") {
    for (const row of rows) yield `${JSON.stringify(rowToJson(row, { payload }))}\n`;
  } else {
    for (const row of rows) yield `${lineOf(row)}\n`;
  }
}

export const traceRoutes = [
  route({
    method: "GET",
    path: "/traces",
    role: "viewer",
    tag: "traces",
    summary: "Traces that run and that have ended",
    query: Type.Object({ ...listQuery, sort: sortQuery(["id", "name", "startedAt", "rows"]) }),
    answer: pageOf(Trace),
    example: {},
    handle: ({ ports, query }) => pageOfArray(ports.traces.list().map(shown), query),
  }),
  route({
    method: "POST",
    path: "/traces",
    role: "operator",
    tag: "traces",
    summary:
      "Start a trace of a client, a topic filter, an address or a gateway; all that is given must hold",
    description:
      "It records the frames of both sides of each translation with what happened between them, under one number for each cause. Passwords and keys are overwritten.",
    body: Wish,
    status: 201,
    answer: Trace,
    example: { body: { client: "pump-7", seconds: 60 } },
    refusals: [
      { code: "invalid-request", body: {} },
      { code: "invalid-request", body: { address: "10.0.0" } },
    ],
    handle: ({ body, ports, who, changed }) => {
      const { client, topic, address, gateway } = body;
      if ([client, topic, address, gateway].every((condition) => condition === undefined)) {
        throw wrongField({
          in: "body",
          field: "",
          detail: "follows nothing",
          fix: "give client, topic, address or gateway",
        });
      }
      if (address !== undefined && !isAddressRange(address)) {
        throw wrongField({
          in: "body",
          field: "/address",
          value: address,
          detail: "is no address or range",
          fix: "such as 10.1.2.3 or 10.0.0.0/8",
        });
      }
      const recording = ports.traces.start({ ...body, owner: who.name });
      if (recording === "full") {
        throw new Refused("conflict", `${RUNNING_MAX} traces run, and no more may: stop one`);
      }
      changed({ object: `trace ${recording.id}`, after: shown(recording) });
      return new Answer(201, shown(recording));
    },
  }),
  route({
    method: "GET",
    path: "/traces/{id}",
    role: "viewer",
    tag: "traces",
    summary: "One trace, without its rows",
    params,
    answer: Trace,
    refusals: [{ code: "not-found", path: { id: "t0" } }],
    handle: ({ path, ports }) => shown(found(ports, path.id)),
  }),
  route({
    method: "GET",
    path: "/traces/{id}/rows",
    role: "viewer",
    tag: "traces",
    summary: "Its rows so far; payloads for operators only",
    params,
    query: Type.Object({ limit: listQuery.limit, cursor: listQuery.cursor }),
    answer: pageOf(TraceRowSchema),
    refusals: [{ code: "not-found", path: { id: "t0" } }],
    handle: ({ path, ports, query, who }) => {
      const { rows } = found(ports, path.id);
      const { items, ...page } = pageOfArray(rows, query as PageQuery);
      return { ...page, items: items.map((row) => rowToJson(row, formOf(who.role))) };
    },
  }),
  route({
    method: "GET",
    path: "/traces/{id}/events",
    role: "viewer",
    tag: "traces",
    summary:
      "Its rows as they come, from the first one or from behind Last-Event-ID: event `row`, and `ended`",
    params,
    answerType: "text/event-stream",
    answer: Type.String(),
    refusals: [{ code: "not-found", path: { id: "t0" } }],
    handle: ({ path, ports, who, header }) => {
      const last = Number(header("last-event-id") ?? 0);
      return follow(found(ports, path.id), Number.isSafeInteger(last) ? last : 0, formOf(who.role));
    },
  }),
  route({
    method: "GET",
    path: "/traces/{id}/capture",
    role: "operator",
    tag: "traces",
    summary: "Its rows as a file: a pcapng for Wireshark, lines of JSON, or text",
    description:
      "In the pcapng frames stand under made-up IP headers. Wireshark knows MQTT and CoAP by their ports; of MQTT-SN it has to be told: udp.port==1884,mqttsn.",
    params,
    query: Type.Object({
      format: Type.Optional(
        choice(["pcapng", "json", "text"], { description: "Form of the file.", default: "pcapng" }),
      ),
    }),
    answerType: "application/x-pcapng",
    answer: Type.String(),
    refusals: [{ code: "not-found", path: { id: "t0" } }],
    handle: ({ path, ports, query }) => {
      const { rows } = found(ports, path.id);
      const { format = "pcapng" } = query as { format?: Format };
      const ending = { pcapng: "pcapng", json: "jsonl", text: "txt" }[format];
      return new Download(TYPES[format], `trace-${path.id}.${ending}`, written(rows, format, true));
    },
  }),
  route({
    method: "POST",
    path: "/traces/{id}/stop",
    role: "operator",
    tag: "traces",
    summary: "Stop a trace; its rows stay",
    params,
    answer: Trace,
    refusals: [{ code: "not-found", path: { id: "t0" } }],
    handle: ({ path, ports }) => {
      const recording = found(ports, path.id);
      ports.traces.stop(path.id);
      return shown(recording);
    },
  }),
  route({
    method: "DELETE",
    path: "/traces/{id}",
    role: "operator",
    tag: "traces",
    summary: "Stop a trace and forget its rows",
    params,
    refusals: [{ code: "not-found", path: { id: "t0" } }],
    handle: ({ path, ports }) => {
      found(ports, path.id);
      ports.traces.remove(path.id);
    },
  }),
];
