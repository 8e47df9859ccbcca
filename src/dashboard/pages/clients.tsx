/** Clients of all protocols in one table: sorted, filtered and paged by the node, and quick with a hundred thousand. */

import { useEffect, useRef, useState } from "preact/hooks";
import type { Kicked } from "../../api/answers/clients.ts";
import { address, addressOf, change, go, withId } from "../lib/address.ts";
import { apiAddress, ask, nodeNow, type Page } from "../lib/api.ts";
import { useAsk } from "../lib/asking.ts";
import {
  type ClientFilter,
  type ClientRow,
  chipOf,
  FILTERS,
  keyOf,
  placeOf,
  queryOf,
  readFilter,
} from "../lib/clients.ts";
import { moment } from "../lib/format.ts";
import { columns as keptColumns } from "../lib/kept.ts";
import { bytes, count } from "../lib/quantities.ts";
import { plain } from "../lib/visible.ts";
import {
  Age,
  Button,
  Check,
  Choice,
  Due,
  Empty,
  Gateway,
  Input,
  Link,
  State,
  Text,
  ToTranslation,
  When,
} from "../parts/basic.tsx";
import { askFirst, tell } from "../parts/dialog.tsx";
import { Icon } from "../parts/icons.tsx";
import { type Column, Pager, Table, usePages } from "../parts/table.tsx";

const COLUMNS: readonly (Column<ClientRow> & { readonly off?: true })[] = [
  { name: "state", title: "State", cell: ({ state }) => <State state={state} /> },
  {
    name: "client",
    title: "Client",
    sort: "clientId",
    phone: "title",
    cell: ({ clientId, gateway, endpoint }) => (
      <Link to={withId("/clients", clientId, { gateway })}>
        <Text text={clientId} most={32} />
        {endpoint === undefined || endpoint === clientId ? null : (
          <span class="second">
            {" "}
            <Text text={endpoint} most={24} />
          </span>
        )}
      </Link>
    ),
  },
  { name: "gateway", title: "Gateway", cell: ({ gateway }) => <Gateway name={gateway} /> },
  {
    name: "protocol",
    title: "Protocol",
    off: true,
    cell: ({ protocol }) => <Text text={protocol} mono={false} />,
  },
  {
    name: "address",
    title: "Address",
    phone: "no",
    cell: (row) => (
      <span>
        {row.transport === "tls" || row.transport === "dtls" || row.transport === "wss" ? (
          <Icon name="lock" />
        ) : null}
        <Text text={placeOf(row)} most={44} />
      </span>
    ),
  },
  { name: "user", title: "User", off: true, cell: ({ user }) => <Text text={user} most={24} /> },
  {
    name: "heard",
    title: "Heard",
    sort: "heardAt",
    numeric: true,
    cell: ({ heardAt }) => <Age at={heardAt} />,
  },
  { name: "due", title: "Due", sort: "dueAt", numeric: true, cell: ({ dueAt }) => <Due at={dueAt} /> },
  {
    name: "waiting",
    title: "Waiting",
    sort: "waiting",
    numeric: true,
    cell: ({ clientId, gateway, waiting, waitingBytes }) =>
      waiting === 0 ? (
        "0"
      ) : (
        <Link
          to={withId("/clients", clientId, { gateway, tab: "waiting" })}
          label={`${count(waiting)} waiting for ${clientId}`}
        >
          <span title={bytes(waitingBytes)}>{count(waiting)}</span>
        </Link>
      ),
  },
  { name: "lost", title: "Lost", sort: "lost", numeric: true, cell: ({ lost }) => count(lost) },
  { name: "way", title: "On its way", numeric: true, off: true, cell: ({ onItsWay }) => count(onItsWay) },
  {
    name: "subscriptions",
    title: "Subscriptions",
    sort: "subscriptions",
    numeric: true,
    off: true,
    cell: ({ subscriptions }) => count(subscriptions),
  },
  {
    name: "since",
    title: "Since",
    sort: "since",
    numeric: true,
    off: true,
    cell: ({ since }) => moment(since),
  },
  {
    name: "listener",
    title: "Listener",
    off: true,
    cell: ({ listener }) => <Text text={listener} mono={false} />,
  },
  {
    name: "links",
    title: "Look",
    phone: "corner",
    cell: ({ clientId }) => <ToTranslation clientId={clientId} />,
  },
];

const DEFAULT = COLUMNS.filter(({ off }) => off !== true).map(({ name }) => name);
const SORT = "dueAt";
const STATES = ["overdue", "asleep", "awake", "away"];
const GATEWAYS = ["mqtt", "mqtt-sn", "coap", "lwm2m", "stomp", "http"];

const filterHere = (): ClientFilter => {
  const { query } = address.value;
  return Object.fromEntries(FILTERS.flatMap((name) => (query.has(name) ? [[name, query.get(name)!]] : [])));
};

export function Clients() {
  const { query } = address.value;
  const filter = filterHere();
  const sort = query.get("sort") ?? SORT;
  const pages = usePages();
  const { cursor, before } = pages;
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [choosing, setChoosing] = useState(false);
  const shown =
    (query.get("columns") ?? (keptColumns.value === "" ? undefined : keptColumns.value))?.split(",") ??
    DEFAULT;
  // The moment that `heard` counts from stays while the filter does, or each second would be another list.
  const since = useRef({ key: "", now: 0 });
  const key = JSON.stringify(filter);
  if (since.current.key !== key) since.current = { key, now: nodeNow() };
  const asking = queryOf(filter, since.current.now);
  const [every, setEvery] = useState(LATER);
  const asked = useAsk<Page<ClientRow>>(
    "/clients",
    { ...asking, sort, cursor, count: true, limit: 100 },
    every,
  );
  const newest = asked.loading ? undefined : asked.data;
  const { page, changed, apply } = useStill(newest, JSON.stringify([asking, sort, cursor]));
  useEffect(() => {
    const all = page?.count ?? 0;
    setEvery(page?.items.length === 0 ? SOON : all > MANY ? MUCH_LATER : LATER);
  }, [page]);
  const rows = useFresh(page?.items);
  const columns = COLUMNS.filter(({ name }) => shown.includes(name) || name === "client" || name === "links");
  useEffect(() => setSelected(new Set()), [key, cursor]);
  const set = (next: ClientFilter): void => {
    pages.restart({ ...Object.fromEntries(FILTERS.map((name) => [name, undefined])), ...next });
  };
  return (
    <>
      <div class="heading">
        <h1>Clients</h1>
        <div class="actions">
          <Button
            icon="again"
            onClick={() => {
              pages.restart();
              apply();
              asked.again();
            }}
          >
            Read again
          </Button>
          <Button onClick={() => setChoosing(!choosing)} pressed={choosing}>
            Columns
          </Button>
          <a class="button" href={apiAddress("/clients.csv", asking)} download>
            <Icon name="download" />
            <span>CSV</span>
          </a>
        </div>
      </div>
      <FilterBar filter={filter} set={set} />
      {choosing ? (
        <fieldset class="row columns">
          <legend class="unseen">Columns</legend>
          {COLUMNS.filter(({ name }) => name !== "client" && name !== "links").map(({ name, title }) => (
            <Check
              label={title}
              checked={shown.includes(name)}
              onCheck={(on) => {
                const next = COLUMNS.map((one) => one.name).filter((one) =>
                  one === name ? on : shown.includes(one),
                );
                keptColumns.value = next.join();
                change({ columns: next.join() });
              }}
            />
          ))}
        </fieldset>
      ) : null}
      <div class="changed" role="status">
        {changed === 0 ? null : (
          <Button small icon="again" onClick={apply}>
            {changed} changed: show them
          </Button>
        )}
      </div>
      <When asked={{ ...asked, data: page }} lines={12}>
        {({ items, next, count: all }) =>
          items.length === 0 && before.length === 0 ? (
            <Nobody filtered={Object.keys(filter).length > 0} clear={() => set({})} />
          ) : (
            <>
              <Table
                caption="Clients"
                class="clients"
                columns={columns}
                rows={rows}
                keyOf={keyOf}
                sort={sort}
                onSort={(by) => pages.restart({ sort: by === SORT ? undefined : by })}
                onOpen={({ clientId, gateway }) => go(withId("/clients", clientId, { gateway }))}
                selected={selected}
                onSelect={(one, on) => {
                  const now = new Set(selected);
                  if (on) now.add(one);
                  else now.delete(one);
                  setSelected(now);
                }}
                count={all}
              />
              <div class="table-foot">
                <Selected
                  rows={rows.filter((row) => selected.has(keyOf(row)))}
                  done={() => {
                    setSelected(new Set());
                    apply();
                    asked.again();
                  }}
                />
                <Pager shown={items.length} count={all} next={next} pages={pages} />
              </div>
            </>
          )
        }
      </When>
    </>
  );
}

/** Seconds after which the list is read again: soon where nobody is on it. */
const SOON = 2;
const LATER = 10;
/** Sorting so many costs the node something. */
const MANY = 10_000;
const MUCH_LATER = 60;

/** A list that is read stands still: what would come, go or move is counted until somebody asks for it. */
function useStill(newest: Page<ClientRow> | undefined, key: string) {
  interface Still {
    readonly key: string;
    readonly page: Page<ClientRow>;
    /** It was asked for: what comes after this one is shown too. */
    readonly after?: Page<ClientRow>;
  }
  const still = useRef<Still | undefined>(undefined);
  const [, setTurn] = useState(0);
  const now = still.current;
  const wanted =
    now?.key !== key || now.page.items.length === 0 || (now.after !== undefined && now.after !== newest);
  if (newest !== undefined && wanted) still.current = { key, page: newest };
  const page = still.current?.page;
  const here = page?.items.map(keyOf) ?? [];
  const there = newest?.items.map(keyOf) ?? here;
  const places = here.length > there.length ? here : there;
  return {
    page,
    changed: page === undefined ? 0 : places.filter((_, place) => here[place] !== there[place]).length,
    apply(): void {
      if (newest !== undefined) still.current = { key, page: newest, after: newest };
      setTurn((turn) => turn + 1);
    },
  };
}

/** Rows keep their order and place; what they say is read again every two seconds. */
function useFresh(items: readonly ClientRow[] | undefined): readonly ClientRow[] {
  const ids = items?.map(keyOf).slice(0, 200).join("\n");
  // By the query, of which a server reads 16 KB at most.
  const short = ids !== undefined && ids.length > 0 && ids.length < 6_000 ? ids : undefined;
  const fresh = useAsk<Page<ClientRow>>(short === undefined ? undefined : "/clients", { ids: short }, 2);
  if (items === undefined) return [];
  const known = new Map(fresh.data?.items.map((row) => [keyOf(row), row]));
  return items.map((row) => known.get(keyOf(row)) ?? row);
}

function FilterBar({ filter, set }: { readonly filter: ClientFilter; set(filter: ClientFilter): void }) {
  const [text, setText] = useState("");
  const [problem, setProblem] = useState<string | undefined>(undefined);
  return (
    <div class="filters">
      <label>
        <span class="label">Gateway</span>
        <Choice
          value={filter.gateway ?? ""}
          of={[["", "any"], ...GATEWAYS.map((name) => [name, name] as const)]}
          onChoice={(gateway) => set({ ...filter, gateway: gateway || undefined })}
        />
      </label>
      <label>
        <span class="label">State</span>
        <Choice
          value={filter.state ?? ""}
          of={[["", "any"], ...STATES.map((name) => [name, name] as const)]}
          onChoice={(state) => set({ ...filter, state: state || undefined })}
        />
      </label>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const found = readFilter(text);
          setProblem(found.problem);
          if (found.problem !== undefined) return;
          set({ ...filter, ...found.filter });
          setText("");
        }}
      >
        <Input
          value={text}
          onText={setText}
          aria-label="add a filter"
          placeholder="pump  heard:>1h  waiting:>0  address:10.0.0.0/8  user:x  contains:x"
        />
        <Button type="submit" icon="filter">
          Add
        </Button>
      </form>
      {problem === undefined ? null : (
        <p class="bad-text" role="alert">
          {problem}
        </p>
      )}
      <ul class="chips" aria-label="filters">
        {Object.entries(filter).map(([name, value]) => (
          <li>
            <button
              type="button"
              onClick={() => set({ ...filter, [name]: undefined })}
              aria-label={`remove the filter ${plain(chipOf(name, value ?? ""))}`}
            >
              <Text text={chipOf(name, value ?? "")} mono={false} /> <Icon name="close" />
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

const Nobody = ({ filtered, clear }: { readonly filtered: boolean; clear(): void }) => (
  <Empty>
    {filtered ? (
      <>
        <p>No client passes these filters.</p>
        <Button onClick={clear}>Clear the filters</Button>
      </>
    ) : (
      <p>
        No client yet. The <Link to={addressOf("/")}>overview</Link> says how to connect a first one.
      </p>
    )}
  </Empty>
);

function Selected({ rows, done }: { readonly rows: readonly ClientRow[]; done(): void }) {
  const none = rows.length === 0;
  const names = (
    <ul class="named-list">
      {rows.slice(0, 10).map(({ clientId }) => (
        <li>
          <Text text={clientId} most={40} />
        </li>
      ))}
      {rows.length > 10 ? <li>and {rows.length - 10} more</li> : null}
    </ul>
  );
  return (
    <div class="actions" role="group" aria-label="selected clients">
      <span class="second">{none ? "none selected" : `${rows.length} selected`}</span>
      <Button
        small
        needs="operator"
        disabled={none}
        onClick={() =>
          askFirst({
            title: `Kick ${rows.length} clients`,
            effect: <>Ends their connections; sessions live on by their expiry. {names}</>,
            verb: "Kick",
            async act() {
              const { succeed, failed } = await ask<Kicked>("POST", "/clients/kick", {
                body: rows.map(({ gateway, clientId }) => ({ gateway, clientId })),
              });
              const others = `${failed.length} ${failed.length === 1 ? "was" : "were"} not connected`;
              tell(`${succeed} kicked${failed.length > 0 ? `, ${others}` : ""}`);
              done();
            },
          })
        }
      >
        Kick
      </Button>
      <Button
        small
        needs="operator"
        disabled={none}
        onClick={() =>
          askFirst({
            title: `Ban ${rows.length} clients`,
            effect: (
              <>Ends their connections, and refuses their client ids until the bans are lifted. {names}</>
            ),
            verb: "Ban",
            async act() {
              const failed: string[] = [];
              for (const { clientId } of rows)
                await ask("POST", "/bans", { body: { clientId, reason: "banned by hand" } }).catch(
                  (error: Error) => failed.push(error.message),
                );
              const others = `, ${failed.length} not: ${failed[0]}`;
              tell(`${rows.length - failed.length} banned${failed.length > 0 ? others : ""}`, {
                bad: failed.length > 0,
              });
              done();
            },
          })
        }
      >
        Ban
      </Button>
    </div>
  );
}
