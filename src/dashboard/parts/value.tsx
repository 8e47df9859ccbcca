/** Values of JSON as a list of names and what they hold, however deep. */
import { Text } from "./basic.tsx";

const DEPTH = 8;
const ITEMS = 200;

export function Value({ value, depth = 0 }: { readonly value: unknown; readonly depth?: number }) {
  if (value === null) return <span class="second">null</span>;
  if (typeof value === "string") return <Text text={value} most={256} />;
  if (typeof value !== "object") return <span class="mono">{String(value)}</span>;
  const entries = Array.isArray(value)
    ? value.map((item, index) => [String(index + 1), item] as const)
    : Object.entries(value);
  if (entries.length === 0) return <span class="second">none</span>;
  if (depth >= DEPTH) return <span class="second">…</span>;
  return (
    <dl class="value">
      {entries.slice(0, ITEMS).map(([name, item]) => (
        <div key={name}>
          <dt>
            <Text text={name} />
          </dt>
          <dd>
            <Value value={item} depth={depth + 1} />
          </dd>
        </div>
      ))}
      {entries.length > ITEMS ? <div class="second">and {entries.length - ITEMS} more</div> : null}
    </dl>
  );
}
