/** In which states a client was over an hour, a day or a week, and when it was heard: as bands, and as a list (D-054). */
import { useState } from "preact/hooks";
import type { ClientHistory } from "../../api/answers/clients.ts";
import { address, change } from "../lib/address.ts";
import type { Query } from "../lib/api.ts";
import { useAsk } from "../lib/asking.ts";
import { clock, moment } from "../lib/format.ts";
import { count, span } from "../lib/quantities.ts";
import { lengthIn, type Stretch, stretchesOf } from "../lib/stretches.ts";
import { Button, Part, When } from "./basic.tsx";

const SPANS = [
  { name: "1 h", step: 60, points: "minutes" },
  { name: "24 h", step: 900, points: "quarters of an hour" },
  { name: "7 d", step: 3_600, points: "hours" },
] as const;
const DAY = SPANS[1];

/** Hours and minutes, and the day where there are several. */
const timeOf = (at: number, step: number): string =>
  step >= 900 ? moment(at).slice(5, 16) : clock(at).slice(0, 5);

const sentenceOf = ({ state, from, to }: Stretch, step: number): string =>
  `${state ?? "not known"}, ${timeOf(from, step)} to ${timeOf(to, step)} (${span(to - from)})`;

interface StateHistoryProps {
  readonly path: string;
  readonly which: Query;
}

export function StateHistory({ path, which }: StateHistoryProps) {
  const chosen = SPANS.find(({ name }) => name === address.value.query.get("over")) ?? DAY;
  const asked = useAsk<ClientHistory>(`${path}/history`, { ...which, step: chosen.step }, 10);
  return (
    <Part
      title="States over time"
      actions={
        <div class="actions" role="group" aria-label="window of the states">
          {SPANS.map((one) => (
            <Button
              small
              pressed={one === chosen}
              onClick={() => change({ over: one === DAY ? undefined : one.name })}
            >
              {one.name}
            </Button>
          ))}
        </div>
      }
    >
      <When asked={asked} lines={2}>
        {(history) =>
          history.kept ? (
            <Bands history={history} points={chosen.points} />
          ) : (
            <p class="second">
              Nothing is kept of this client: it has just come, or as many as api.histories says have theirs.
            </p>
          )
        }
      </When>
    </Part>
  );
}

interface BandsProps {
  readonly history: ClientHistory;
  readonly points: string;
}

function Bands({ history, points }: BandsProps) {
  const [list, setList] = useState(false);
  const { step, heard } = history;
  const stretches = stretchesOf(history);
  const begin = Date.parse(history.from);
  const whole = Math.max(1, heard.length) * step * 1_000;
  const part = (length: number): string => `${(length / whole) * 100}%`;
  const overdue = lengthIn(stretches, "overdue");
  const known = history.states.filter((state) => state !== null).length;
  const said = [
    overdue === 0 ? "never overdue" : `overdue for ${span(overdue)}`,
    `heard in ${count(heard.filter(Boolean).length)} of ${count(known)} ${points}`,
  ].join(", ");
  return (
    <figure class="clock history" aria-label={said}>
      {list ? (
        <ol class="log">
          {stretches.toReversed().map((stretch) => (
            <li key={stretch.from}>{sentenceOf(stretch, step)}</li>
          ))}
        </ol>
      ) : (
        <div aria-hidden="true">
          <div class="bar">
            {stretches.map((stretch) =>
              stretch.state === null ? null : (
                <div
                  class={`band ${stretch.state}`}
                  title={sentenceOf(stretch, step)}
                  style={{ left: part(stretch.from - begin), width: part(stretch.to - stretch.from) }}
                />
              ),
            )}
          </div>
          <div class="ticks">
            {heard.map((one, index) =>
              one ? <div class="tick" style={{ left: part((index + 0.5) * step * 1_000) }} /> : null,
            )}
          </div>
        </div>
      )}
      <figcaption>
        <time>{timeOf(begin, step)}</time>
        <span>
          {said}{" "}
          <Button small kind="quiet" onClick={() => setList(!list)}>
            {list ? "as bands" : "as a list"}
          </Button>
        </span>
        <time>{timeOf(begin + whole, step)}</time>
      </figcaption>
    </figure>
  );
}
