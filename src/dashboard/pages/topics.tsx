/** Topics by levels, each asked for when it is opened; what is on one of them, and who hears it. */

import { useEffect, useState } from "preact/hooks";
import type { Cleared, Retained } from "../../api/answers/messages.ts";
import type { Filter, Level, Levels as Tree } from "../../api/answers/topics.ts";
import { address, addressOf, change } from "../lib/address.ts";
import { apiPart, ask, type Page, Problem, read } from "../lib/api.ts";
import { useAsk } from "../lib/asking.ts";
import { age, clock, moment } from "../lib/format.ts";
import { beat } from "../lib/live.ts";
import { bytes, count, reading } from "../lib/quantities.ts";
import { may } from "../lib/session.ts";
import { useSubscription } from "../lib/subscription.ts";
import { plain } from "../lib/visible.ts";
import {
  Button,
  Empty,
  Facts,
  Failed,
  Field,
  Input,
  Lines,
  Link,
  Part,
  Payload,
  Text,
} from "../parts/basic.tsx";
import { askFirst, tell } from "../parts/dialog.tsx";
import { Icon } from "../parts/icons.tsx";
import { Plot } from "../parts/plot.tsx";
import { Publish } from "../parts/publish.tsx";

export function Topics() {
  const topic = address.value.query.get("topic") ?? undefined;
  const [prefix, setPrefix] = useState("");
  const [known, setKnown] = useState<Tree | undefined>(undefined);
  return (
    <>
      <div class="heading">
        <h1>Topics</h1>
        <span class="second">
          {known === undefined
            ? ""
            : `${count(known.count)} ${known.count === 1 ? "topic" : "topics"}: what is retained, and what came since ${clock(known.since)}`}
          {known !== undefined && known.left > 0
            ? `; ${count(known.left)} messages were of others (api.topics)`
            : ""}
        </span>
      </div>
      <div class="halves">
        <Part title="Levels">
          <Field label="First level begins with" wide>
            <Input type="search" value={prefix} onText={setPrefix} placeholder="room" />
          </Field>
          <ul class="tree" aria-label="topics">
            <Levels prefix={prefix} onTree={setKnown} />
          </ul>
        </Part>
        <div class="stack">{topic === undefined ? <Nothing /> : <Topic key={topic} topic={topic} />}</div>
      </div>
    </>
  );
}

const Nothing = () => (
  <Part>
    <Empty>Choose a topic to see its last value, who hears it, and what comes on it from then on.</Empty>
    <GoTo />
  </Part>
);

function GoTo() {
  const [text, setText] = useState("");
  return (
    <form
      class="row"
      onSubmit={(event) => {
        event.preventDefault();
        if (text !== "") change({ topic: text });
      }}
    >
      <Field label="Or type one" wide>
        <Input value={text} onText={setText} placeholder="room/7/temp" />
      </Field>
      <Button type="submit">Look at it</Button>
    </form>
  );
}

const READ_EVERY = 2;

function Levels({
  at,
  prefix = "",
  onTree,
}: {
  readonly at?: string;
  readonly prefix?: string;
  onTree?(tree: Tree): void;
}) {
  const [pages, setPages] = useState<readonly Level[]>([]);
  const [next, setNext] = useState<string | undefined>(undefined);
  const [problem, setProblem] = useState<Problem | undefined>(undefined);
  const [ready, setReady] = useState(false);
  const [wanted, setWanted] = useState(200);
  useEffect(() => {
    const abort = new AbortController();
    const load = (): void => {
      read<Tree>("/topics/tree", { at, prefix, limit: Math.min(1_000, wanted) }, abort.signal).then(
        (tree) => {
          setPages(tree.items);
          setNext(tree.next);
          setProblem(undefined);
          setReady(true);
          onTree?.(tree);
        },
        (error: unknown) => {
          if (!abort.signal.aborted && error instanceof Problem) setProblem(error);
        },
      );
    };
    load();
    const stop = beat.subscribe((now) => {
      if (
        now % READ_EVERY === 0 &&
        now > 0 &&
        !document.hidden &&
        document.getSelection()?.isCollapsed !== false
      )
        load();
    });
    return () => {
      abort.abort();
      stop();
    };
  }, [at, prefix, wanted]);
  if (problem !== undefined)
    return (
      <li>
        <Failed problem={problem} />
      </li>
    );
  if (!ready)
    return (
      <li>
        <Lines count={3} />
      </li>
    );
  if (pages.length === 0 && at === undefined) {
    return (
      <li>
        <Empty>
          {prefix === ""
            ? "No topic has a message yet. What is published from now on stands here."
            : "No first level begins so."}
        </Empty>
      </li>
    );
  }
  return (
    <>
      {pages.map((level) => (
        <Row key={level.topic} level={level} />
      ))}
      {next === undefined ? null : (
        <li>
          <Button small onClick={() => setWanted(wanted + 200)} disabled={wanted >= 1_000}>
            {wanted >= 1_000 ? "search for more by prefix" : "more"}
          </Button>
        </li>
      )}
    </>
  );
}

function Row({ level: { level, topic, below, last, retained } }: { readonly level: Level }) {
  const here = address.value.query.get("topic");
  const [open, setOpen] = useState(here?.startsWith(`${topic}/`) === true);
  const chosen = here === topic;
  return (
    <li>
      <div class={`level-row ${chosen ? "chosen" : ""}`}>
        <button
          type="button"
          class="opener"
          aria-expanded={below > 0 ? open : undefined}
          disabled={below === 0}
          aria-label={
            below > 0
              ? `${open ? "close" : "open"} ${plain(topic)}, ${below} topics below`
              : `${plain(topic)} has nothing below`
          }
          onClick={() => setOpen(!open)}
        >
          {below > 0 ? (
            <span class={`chevron ${open ? "open" : ""}`}>
              <Icon name="chevron" />
            </span>
          ) : null}
        </button>
        <button type="button" class="name" aria-pressed={chosen} onClick={() => change({ topic })}>
          <Text text={level} most={48} />
          {last?.payload === undefined ? null : (
            <span class="value-now">
              {last.encoding === "base64" ? (
                <span class="second">{bytes(last.bytes)} of octets</span>
              ) : (
                <Text text={last.payload} most={40} />
              )}
            </span>
          )}
          <span class="second tail">
            {retained ? "retained " : ""}
            {below > 0 ? `${count(below)} below ` : ""}
            {last === undefined ? "" : age(last.at)}
          </span>
        </button>
      </div>
      {open ? (
        <ul>
          <Levels at={topic} />
        </ul>
      ) : null}
    </li>
  );
}

// ---- one topic

/** A number, or those that members of a JSON object hold. */
function numbersIn(payload: string): Readonly<Record<string, number>> {
  const text = payload.trim();
  if (text !== "" && Number.isFinite(Number(text))) return { value: Number(text) };
  if (!text.startsWith("{")) return {};
  try {
    const value = JSON.parse(text) as Record<string, unknown>;
    return Object.fromEntries(
      Object.entries(value)
        .filter((entry): entry is [string, number] => typeof entry[1] === "number")
        .slice(0, 6),
    );
  } catch {
    return {};
  }
}

function Topic({ topic }: { readonly topic: string }) {
  const { part, query } = apiPart(topic, "topic");
  const level = useAsk<Level>(`/topics/tree/${part}`, query, 2);
  const retained = useAsk<Retained>(
    level.data?.retained === true && may("viewer") ? `/retained/${part}` : undefined,
    query,
    4,
  );
  const filters = useAsk<Page<Filter>>("/topics", { topic, limit: 50 }, 5);
  const live = useSubscription(may("operator") ? [topic] : [], { rows: 300 });
  const points = live.rows
    .filter(({ encoding }) => encoding !== "base64")
    .map((row) => ({ at: row.at, values: numbersIn(row.payload) }))
    .toReversed();
  const names = [...new Set(points.flatMap(({ values }) => Object.keys(values)))].slice(0, 6);
  const last = level.data?.last;
  const below = level.data?.below ?? 0;
  return (
    <>
      <Part
        title={<Text text={topic} most={80} />}
        actions={
          <>
            <Link to={addressOf("/translation", { topic })} class="button small" at="t">
              <Icon name="translation" />
              <span>Translation</span>
            </Link>
            <Link to={addressOf("/messages", { filter: topic })} class="button small">
              Subscribe
            </Link>
          </>
        }
      >
        {level.problem?.status === 404 ? (
          <Empty>Nothing was seen of this topic yet.</Empty>
        ) : level.problem === undefined ? null : (
          <Failed problem={level.problem} again={level.again} />
        )}
        {last === undefined ? null : (
          <>
            <p class="last-value">
              {last.payload === undefined ? (
                <span class="second">The payload is for operators.</span>
              ) : (
                <Payload
                  payload={live.rows[0]?.payload ?? last.payload}
                  encoding={live.rows[0]?.encoding ?? last.encoding}
                  bytes={last.bytes}
                />
              )}
            </p>
            <Facts
              facts={[
                ["Last message", `${age(last.at)} ago`],
                ["From", <Text text={last.from || "this node"} />],
                ["QoS", String(last.qos)],
                ["Bytes", bytes(last.bytes)],
                ["Messages seen", count(level.data?.messages)],
                ["Topics below", count(below)],
              ]}
            />
          </>
        )}
        {names.length > 0 && points.length > 1 ? (
          <Plot
            title={topic}
            times={points.map(({ at }) => at / 1_000)}
            lines={names.map((name) => ({ name, points: points.map(({ values }) => values[name] ?? null) }))}
            label={reading}
            fromZero={false}
          />
        ) : null}
        {live.rows.length === 0 ? null : (
          <ol class="log arrived">
            {live.rows.slice(0, 20).map((row) => (
              <li key={row.number}>
                <time>{clock(row.at, { fraction: true })}</time>{" "}
                <Payload payload={row.payload} encoding={row.encoding} bytes={row.bytes} />
              </li>
            ))}
          </ol>
        )}
      </Part>
      <Part
        title="Retained"
        actions={
          <>
            {retained.data === undefined ? null : (
              <Button small needs="operator" onClick={() => clearOne(topic, part, query, level.again)}>
                Clear retained
              </Button>
            )}
            {below > 0 ? (
              <Button small needs="operator" onClick={() => void clearBelow(topic, level.again)}>
                Clear all below
              </Button>
            ) : null}
          </>
        }
      >
        {retained.data === undefined || level.data?.retained !== true ? (
          <p class="second">Nothing is retained for it.</p>
        ) : (
          <>
            <p>
              <Payload
                payload={retained.data.payload}
                encoding={retained.data.encoding}
                bytes={retained.data.bytes}
              />
            </p>
            <p class="second">
              since {moment(retained.data.publishedAt)}, by <Text text={retained.data.from || "this node"} />,
              QoS {retained.data.qos}
            </p>
          </>
        )}
      </Part>
      <Part title="Who hears it">
        {filters.data === undefined ? (
          <Lines count={2} />
        ) : filters.data.items.length === 0 ? (
          <p class="second">Nobody is subscribed to it.</p>
        ) : (
          <ul class="named-list">
            {filters.data.items.map(({ filter, subscribers, groups }) => (
              <li key={filter}>
                <Text text={filter} most={60} />{" "}
                <span class="second">
                  {count(subscribers)} {subscribers === 1 ? "client" : "clients"}
                  {groups.length > 0 ? (
                    <>
                      , shared by <Text text={groups.join(", ")} most={120} />
                    </>
                  ) : null}
                </span>
              </li>
            ))}
          </ul>
        )}
      </Part>
      <Part title="Publish on it">
        <Publish topic={topic} />
      </Part>
    </>
  );
}

const clearOne = (
  topic: string,
  part: string,
  query: Readonly<Record<string, string | number | boolean | undefined>>,
  again: () => void,
): void =>
  askFirst({
    title: "Clear a retained message",
    effect: <Text text={topic} />,
    verb: "Clear it",
    async act() {
      await ask("DELETE", `/retained/${part}`, { query });
      tell("The retained message is cleared");
      again();
    },
  });

const COUNT_MAX = 10;

/** Counts first, so that it is known what goes; the node clears, and this page asks until none are left. */
async function clearBelow(topic: string, again: () => void): Promise<void> {
  const filter = `${topic}/#`;
  let found = 0;
  let cursor: string | undefined;
  for (let pages = 0; pages < COUNT_MAX; pages++) {
    const page: Page<unknown> = await read("/retained", { filter, limit: 1_000, cursor, columns: "qos" });
    found += page.items.length;
    cursor = page.next;
    if (cursor === undefined) break;
  }
  const said = `${count(found)}${cursor === undefined ? "" : " and more"}`;
  if (found === 0) {
    tell("Nothing is retained below it");
    return;
  }
  askFirst({
    title: "Clear retained messages",
    effect: (
      <>
        {said} topics below <Text text={topic} />
      </>
    ),
    verb: "Clear them",
    ...(found > 100 ? { typed: String(found) } : {}),
    async act() {
      let cleared = 0;
      for (let more = true; more; ) {
        const answer = await ask<Cleared>("DELETE", "/retained", {
          query: { filter },
        });
        cleared += answer.cleared;
        more = answer.more && answer.cleared > 0;
      }
      tell(`${count(cleared)} retained messages are cleared`);
      again();
    },
  });
}
