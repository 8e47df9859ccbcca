/** Firmware updates of LwM2M devices: ordered here, and followed step by step. */
import { useEffect, useState } from "preact/hooks";
import { address, withId } from "../lib/address.ts";
import { apiPart, ask, Problem } from "../lib/api.ts";
import { keepFollowing, type SentEvent } from "../lib/events.ts";
import { clock } from "../lib/format.ts";
import { may } from "../lib/session.ts";
import {
  Button,
  Check,
  Choice,
  Empty,
  Failed,
  Field,
  Input,
  Level,
  Link,
  Part,
  Text,
} from "../parts/basic.tsx";
import { askFirst, tell } from "../parts/dialog.tsx";
import { Table } from "../parts/table.tsx";

interface Step {
  readonly number: number;
  readonly device: string;
  readonly at: number;
  readonly step: string;
  readonly file: string | undefined;
  readonly percent: number | undefined;
  readonly result: string | undefined;
}

interface Ordered {
  readonly data?: { readonly code?: string; readonly reason?: string };
}

/** Of this tab, so that going to another page and back loses nothing. */
const steps: Step[] = [];
const STEPS = 500;
let numbers = 0;

/** How far an update is, roughly, at each of its steps. */
const FAR: Readonly<Record<string, number>> = {
  started: 10,
  downloading: 30,
  delivered: 60,
  downloaded: 70,
  updating: 85,
  success: 100,
};

const word = (value: unknown): string | undefined =>
  value === undefined || value === null
    ? undefined
    : typeof value === "object"
      ? JSON.stringify(value)
      : String(value);

function stepOf(device: string, at: number, report: Readonly<Record<string, unknown>>): Step {
  const data = (report["data"] ?? report) as Readonly<Record<string, unknown>>;
  const step = word(data["status"] ?? report["msgType"]) ?? "";
  return {
    number: ++numbers,
    device,
    at,
    step,
    file: word(data["file"] ?? data["uri"]),
    percent: FAR[step],
    result: word(data["resultMsg"] ?? data["reason"] ?? data["result"]),
  };
}

function useSteps(): { readonly steps: readonly Step[]; readonly problem: Problem | undefined } {
  const [, setTurn] = useState(0);
  const [problem, setProblem] = useState<Problem | undefined>(undefined);
  useEffect(() => {
    const abort = new AbortController();
    const following = {
      signal: abort.signal,
      heard(events: readonly SentEvent[]): void {
        setProblem(undefined);
        let changed = false;
        for (const { data } of events) {
          const { kind, device, at, report } = data as {
            kind?: string;
            device: string;
            at: string;
            report: Readonly<Record<string, unknown>>;
          };
          if (kind !== "firmware") continue;
          steps.unshift(stepOf(device, Date.parse(at), report));
          steps.splice(STEPS);
          changed = true;
        }
        if (changed) setTurn((turn) => turn + 1);
      },
    };
    keepFollowing("/devices/lwm2m/events", following, setProblem).catch(setProblem);
    return () => abort.abort();
  }, []);
  return { steps, problem };
}

const LEVELS: Readonly<Record<string, "ok" | "bad">> = { success: "ok", failed: "bad" };

export function Firmware() {
  const { steps: all, problem } = useSteps();
  // The last step of each device.
  const latest = [...new Map([...all].reverse().map((step) => [step.device, step])).values()].toReversed();
  return (
    <>
      <h1>Firmware</h1>
      <Order />
      {problem === undefined ? null : <Failed problem={problem} />}
      {latest.length === 0 ? (
        <Empty>
          No update has moved since this page was opened first. Each step of one stands here as it comes.
        </Empty>
      ) : (
        <>
          <Table
            caption="Updates"
            rows={latest}
            keyOf={({ device }) => device}
            columns={[
              {
                name: "device",
                title: "Device",
                phone: "title",
                cell: ({ device }) => (
                  <Link to={withId("/lwm2m", device)}>
                    <Text text={device} most={40} />
                  </Link>
                ),
              },
              {
                name: "step",
                title: "Step",
                cell: ({ step }) => <Level level={LEVELS[step] ?? "warning"}>{step}</Level>,
              },
              {
                name: "percent",
                title: "Progress",
                numeric: true,
                cell: ({ percent }) =>
                  percent === undefined ? (
                    "–"
                  ) : (
                    <span>
                      <progress max={100} value={percent} aria-label="progress" /> {percent} %
                    </span>
                  ),
              },
              { name: "file", title: "Package", cell: ({ file }) => <Text text={file} most={40} /> },
              {
                name: "result",
                title: "Result",
                cell: ({ result }) => <Text text={result} mono={false} most={80} />,
              },
              { name: "at", title: "At", numeric: true, cell: ({ at }) => clock(at) },
            ]}
          />
          <Part title="Each step">
            <ol class="log">
              {all.slice(0, 100).map(({ number, at, device, step, percent, result }) => (
                <li key={number}>
                  <time>{clock(at)}</time> <Text text={device} most={40} /> {step}
                  {percent === undefined ? "" : ` ${percent} %`} <Text text={result ?? " "} mono={false} />
                </li>
              ))}
            </ol>
          </Part>
        </>
      )}
    </>
  );
}

function Order() {
  const [device, setDevice] = useState(address.value.query.get("device") ?? "");
  const [mode, setMode] = useState("push");
  const [file, setFile] = useState("");
  const [update, setUpdate] = useState(true);
  return (
    <Part title="Order an update">
      <form
        class="row"
        onSubmit={(event) => {
          event.preventDefault();
          if (!may("operator")) return;
          askFirst({
            title: (
              <>
                New firmware for <Text text={device} most={40} />
              </>
            ),
            effect:
              mode === "push"
                ? `The package ${file} is sent to it in blocks${update ? ", and it is told to take it" : ""}.`
                : `It fetches ${file} itself${update ? ", and is told to take it" : ""}.`,
            verb: "Order it",
            async act() {
              const { part, query } = apiPart(device, "device");
              const given = /^coaps?(\+tcp)?:|^https?:/.test(file) ? { uri: file } : { file };
              const { data } = await ask<Ordered>("POST", `/devices/lwm2m/${part}/firmware`, {
                query,
                body: { mode, ...given, update },
              });
              // As a command by MQTT is answered: with the code that a device would have given.
              if (data?.code !== undefined && !data.code.startsWith("2."))
                throw new Problem(0, {
                  title: "The update is not ordered",
                  code: data.code,
                  detail: data.reason,
                });
              tell("The update is ordered");
            },
          });
        }}
      >
        <Field label="Endpoint">
          <Input value={device} onText={setDevice} required />
        </Field>
        <Field label="How">
          <Choice
            value={mode}
            of={[
              ["push", "push it"],
              ["pull", "let it pull"],
            ]}
            onChoice={setMode}
          />
        </Field>
        <Field label={mode === "push" ? "Package in firmware.folder" : "Package or URI"}>
          <Input value={file} onText={setFile} required placeholder="v2.bin" />
        </Field>
        <Check label="and update to it" checked={update} onCheck={setUpdate} />
        <Button type="submit" kind="main" icon="firmware" needs="operator">
          Order
        </Button>
      </form>
    </Part>
  );
}
