/** What goes to and from a client, as it happens. */
import { useEffect, useState } from "preact/hooks";
import type { Trace } from "../../api/answers/traces.ts";
import { addressOf } from "../lib/address.ts";
import { ask } from "../lib/api.ts";
import type { TraceRow } from "../lib/causes.ts";
import { clock } from "../lib/format.ts";
import { may } from "../lib/session.ts";
import { useTrace } from "../lib/trace.ts";
import { Button, Empty, Failed, Link, Part, Text } from "../parts/basic.tsx";
import { tell } from "../parts/dialog.tsx";

const LIVE_ROWS = 500;

/** By a trace of its own, which ends with this page. */
export function LiveMessages({ id }: { readonly id: string }) {
  const [trace, setTrace] = useState<Trace | undefined>(undefined);
  const [frames, setFrames] = useState(false);
  const { rows, problem, ended } = useTrace(trace?.id);
  useEffect(() => {
    if (!may("operator")) return;
    let own: string | undefined;
    let left = false;
    ask<Trace>("POST", "/traces", { body: { client: id, seconds: 3_600, name: "live messages" } }).then(
      (started) => {
        own = started.id;
        if (left) void ask("DELETE", `/traces/${started.id}`).catch(() => {});
        else setTrace(started);
      },
      (error: Error) => tell(error.message, { bad: true }),
    );
    return () => {
      left = true;
      if (own !== undefined) void ask("DELETE", `/traces/${own}`).catch(() => {});
    };
  }, [id]);
  if (!may("operator"))
    return <Empty>Live messages need the role operator: they show what devices send.</Empty>;
  const wanted = rows.filter(({ kind }) =>
    frames
      ? kind !== "routed"
      : kind === "message" ||
        kind === "delivery" ||
        kind === "step" ||
        kind === "state" ||
        kind === "refusal",
  );
  const shown = wanted.slice(-LIVE_ROWS).toReversed();
  return (
    <Part
      title="As it comes"
      actions={
        <>
          <Button small pressed={frames} onClick={() => setFrames(!frames)}>
            with frames
          </Button>
          {trace === undefined ? null : <Link to={addressOf(`/translation/${trace.id}`)}>as a picture</Link>}
        </>
      }
    >
      {problem === undefined ? null : <Failed problem={problem} />}
      {shown.length === 0 ? (
        <Empty>
          {ended ? "The trace has ended." : "Nothing yet. What it sends and gets from now on stands here."}
        </Empty>
      ) : (
        <ol class="log">
          {shown.map((row) => (
            <Line key={row.number} row={row} />
          ))}
        </ol>
      )}
    </Part>
  );
}

/** Painted once: a row stays what it is. */
const Line = ({ row }: { readonly row: TraceRow }) => (
  <li class={row.kind}>
    <time>{clock(row.at, { fraction: true })}</time> <Text text={row.text} most={300} />
  </li>
);
