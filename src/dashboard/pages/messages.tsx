/** Publishing and subscribing by hand. */
import { useState } from "preact/hooks";
import { address, addressOf, change } from "../lib/address.ts";
import { clock } from "../lib/format.ts";
import { rate } from "../lib/quantities.ts";
import { may } from "../lib/session.ts";
import { type Arrived, useSubscription } from "../lib/subscription.ts";
import { plain } from "../lib/visible.ts";
import { Button, Empty, Failed, Field, Input, Link, Part, Payload, Text } from "../parts/basic.tsx";
import { Icon } from "../parts/icons.tsx";
import { Publish } from "../parts/publish.tsx";

const FILTERS = 8;

export function Messages() {
  const { query } = address.value;
  return (
    <>
      <h1>Messages</h1>
      <div class="halves">
        <Part title="Publish">
          <Publish topic={query.get("topic") ?? undefined} />
        </Part>
        <Subscribe />
      </div>
    </>
  );
}

function Subscribe() {
  const filters = address.value.query.getAll("filter").flatMap((text) => text.split("\n"));
  const [text, setText] = useState("");
  const [held, setHeld] = useState(false);
  const [find, setFind] = useState("");
  const {
    rows,
    rate: now,
    oneIn,
    problem,
    state,
  } = useSubscription(may("operator") ? filters : [], { held });
  const shown =
    find === "" ? rows : rows.filter(({ topic, payload }) => topic.includes(find) || payload.includes(find));
  const set = (next: readonly string[]): void => change({ filter: next.join("\n") });
  const full = filters.length >= FILTERS;
  return (
    <Part
      title="Subscribe"
      actions={
        filters.length === 0 ? null : (
          <>
            {/* Said when it changes; the rate beside it changes each second, and is not read out. */}
            <span class="unseen" role="status">
              {state === "open" ? "subscribed" : state}
            </span>
            <span class="second">
              {state === "open" ? `${rate(now)}${oneIn > 1 ? `, one in ${oneIn} shown` : ""}` : state}
            </span>
            <Button small icon={held ? "play" : "pause"} pressed={held} onClick={() => setHeld(!held)}>
              {held ? "go on" : "hold"}
            </Button>
          </>
        )
      }
    >
      <form
        class="row"
        onSubmit={(event) => {
          event.preventDefault();
          if (!may("operator") || text === "" || full) return;
          set([...filters.filter((one) => one !== text), text]);
          setText("");
        }}
      >
        <Field label="Topic filter" wide hint={full ? `${FILTERS} at most: end one first` : undefined}>
          <Input value={text} onText={setText} placeholder="room/#" />
        </Field>
        <Button type="submit" icon="observe" needs="operator" disabled={full}>
          Subscribe
        </Button>
      </form>
      <ul class="chips" aria-label="subscribed to">
        {filters.map((filter) => (
          <li key={filter}>
            <button
              type="button"
              aria-label={`end ${plain(filter)}`}
              onClick={() => set(filters.filter((one) => one !== filter))}
            >
              <Text text={filter} /> <Icon name="close" />
            </button>
          </li>
        ))}
      </ul>
      {problem === undefined ? null : <Failed problem={problem} />}
      {filters.length === 0 ? (
        <Empty>Subscribed to nothing yet. It is done in your name, by the rules that hold for it.</Empty>
      ) : (
        <>
          <Input
            type="search"
            value={find}
            onText={setFind}
            aria-label="only messages with this text"
            placeholder="only with this text"
          />
          {rows.length === 0 ? <Empty>Nothing has come yet.</Empty> : null}
          <ol class="log arrived">
            {shown.slice(0, 200).map((row) => (
              <Row key={row.number} row={row} />
            ))}
          </ol>
        </>
      )}
    </Part>
  );
}

const Row = ({ row }: { readonly row: Arrived }) => (
  <li>
    <time>{clock(row.at, { fraction: true })}</time>
    <Link to={addressOf("/topics", { topic: row.topic })}>
      <Text text={row.topic} most={60} />
    </Link>{" "}
    <Payload payload={row.payload} encoding={row.encoding} bytes={row.bytes} />
    <span class="second">
      {" "}
      QoS {row.qos}
      {row.retain ? ", retained" : ""} {row.from === "" ? "" : "from "}
      <Text text={row.from || undefined} most={40} />
    </span>
  </li>
);
