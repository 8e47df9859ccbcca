/** The row of a translation that is chosen, with its fields and octets. */
import { change } from "../lib/address.ts";
import type { Cause, TraceRow } from "../lib/causes.ts";
import { clock } from "../lib/format.ts";
import { Button, Text } from "./basic.tsx";
import { Value } from "./value.tsx";

interface DrawerProps {
  readonly row: TraceRow;
  readonly cause: Cause | undefined;
  choose(row: TraceRow | undefined): void;
}

const HIDDEN = new Set(["text", "bytes", "fields", "payload", "number", "kind", "at", "cause"]);

export function Drawer({ row, cause, choose }: DrawerProps) {
  const rows = cause?.rows ?? [];
  const index = rows.findIndex(({ number }) => number === row.number);
  const rest = Object.fromEntries(Object.entries(row).filter(([name]) => !HIDDEN.has(name)));
  return (
    <aside class="drawer part" aria-label="the chosen row">
      <header>
        <h2>
          {row.kind} <span class="second">cause {row.cause}</span>
        </h2>
        <div class="actions">
          <Button
            small
            label="the row before, of this cause"
            at="["
            disabled={index <= 0}
            onClick={() => choose(rows[index - 1])}
          >
            before
          </Button>
          <Button
            small
            label="the next row of this cause"
            at="]"
            disabled={index + 1 >= rows.length}
            onClick={() => choose(rows[index + 1])}
          >
            next
          </Button>
          <Button small onClick={() => change({ cause: row.cause })}>
            only this cause
          </Button>
          <Button small icon="close" label="close" at="Escape" onClick={() => choose(undefined)} />
        </div>
      </header>
      <p>
        <Text text={row.text} />
      </p>
      <Button
        small
        icon="copy"
        onClick={() =>
          void navigator.clipboard?.writeText(`${clock(row.at, { fraction: true })}  ${row.text}`)
        }
      >
        copy as text
      </Button>
      {row.fields === undefined ? null : (
        <>
          <h3>Fields{row.masked === true ? ", secrets masked" : ""}</h3>
          <Value value={row.fields} />
        </>
      )}
      <h3>About it</h3>
      <Value value={rest} />
      {row.bytes === undefined ? null : (
        <>
          <h3>Bytes ({row.length})</h3>
          <Hex hex={row.bytes} />
        </>
      )}
      {row.payload === undefined ? null : (
        <>
          <h3>Payload ({row.length})</h3>
          <Hex hex={row.payload} />
        </>
      )}
    </aside>
  );
}

const LINE = 8;
const LINES = 64;

/** Octets in lines of eight, with what they are as ASCII. */
function Hex({ hex }: { readonly hex: string }) {
  const octets = hex.match(/../g) ?? [];
  const lines = Array.from({ length: Math.min(LINES, Math.ceil(octets.length / LINE)) }, (_, index) =>
    octets.slice(index * LINE, index * LINE + LINE),
  );
  return (
    <pre class="hex">
      {lines.map((line, index) => {
        const ascii = line.map((octet) => {
          const code = Number.parseInt(octet, 16);
          return code >= 0x20 && code < 0x7f ? String.fromCharCode(code) : ".";
        });
        return `${(index * LINE).toString(16).padStart(4, "0")}  ${line.join(" ").padEnd(LINE * 3 - 1)}  ${ascii.join("")}\n`;
      })}
      {octets.length > LINES * LINE ? `… ${octets.length - LINES * LINE} more` : ""}
    </pre>
  );
}
