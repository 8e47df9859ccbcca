/** Who was refused what, how often, and which rule has decided. */
import type { Refusal } from "../../api/answers/refusals.ts";
import { REFUSALS } from "../../lib/refusals.ts";
import { address, addressOf, change, withId } from "../lib/address.ts";
import { ask, type Page } from "../lib/api.ts";
import { useAsk } from "../lib/asking.ts";
import { moment } from "../lib/format.ts";
import { count } from "../lib/quantities.ts";
import { Age, Button, Choice, Empty, Gateway, Level, Link, Text, When } from "../parts/basic.tsx";
import { askFirst, tell } from "../parts/dialog.tsx";
import { Icon } from "../parts/icons.tsx";
import { type Column, Table } from "../parts/table.tsx";

const claims = ({ client, user }: Refusal): string | undefined => client ?? user;

const COLUMNS: readonly Column<Refusal>[] = [
  {
    name: "last",
    title: "Last",
    numeric: true,
    cell: ({ last }) => (
      <span title={moment(last)}>
        <Age at={last} />
      </span>
    ),
  },
  {
    name: "count",
    title: "Count",
    numeric: true,
    cell: (row) => <span title={`since ${moment(row.first)}`}>{count(row.count)}</span>,
  },
  {
    name: "claims",
    title: "Claims",
    phone: "title",
    cell: (row) => (
      <span>
        {row.client === undefined ? (
          <Text text={claims(row)} most={32} />
        ) : (
          <Link to={withId("/clients", row.client, { gateway: row.gateway })}>
            <Text text={row.client} most={32} />
          </Link>
        )}
        {row.client !== undefined && row.user !== undefined ? (
          <span class="second">
            {" "}
            user <Text text={row.user} most={24} />
          </span>
        ) : null}
      </span>
    ),
  },
  {
    name: "address",
    title: "Address",
    cell: (row) => <Text text={`${row.address}:${row.port}`} most={44} />,
  },
  { name: "gateway", title: "Gateway", cell: ({ gateway }) => <Gateway name={gateway} /> },
  {
    name: "refusal",
    title: "Refusal",
    cell: ({ refusal }) => (
      <Level level="bad">
        <Icon name="refused" /> {refusal}
      </Level>
    ),
  },
  {
    name: "what",
    title: "What",
    cell: ({ what, asked }) => (
      <span>
        {what} {asked === undefined ? null : <Text text={asked} most={40} />}
      </span>
    ),
  },
  { name: "by", title: "Decided by", cell: ({ by }) => <Text text={by} mono={false} most={120} /> },
  {
    name: "actions",
    title: "Act",
    cell: (row) => (
      <span class="actions">
        <Link
          to={addressOf(
            "/translation",
            row.client === undefined ? { address: row.address } : { client: row.client },
          )}
          class="icon-link"
          at="t"
          label={`trace ${claims(row) ?? row.address}`}
        >
          <Icon name="translation" />
        </Link>
        <Button
          small
          kind="quiet"
          icon="ban"
          needs="operator"
          label={`ban ${row.address}`}
          onClick={() => banAddress(row)}
        />
      </span>
    ),
  },
];

const banAddress = ({ address: from, by }: Refusal): void =>
  askFirst({
    title: (
      <>
        Ban <Text text={from} />
      </>
    ),
    effect: "Ends connections from this address, and refuses new ones until the ban is lifted.",
    verb: "Ban",
    async act() {
      await ask("POST", "/bans", { body: { address: from, reason: `refused: ${by}`.slice(0, 1_000) } });
      tell(`${from} is banned`);
    },
  });

export function Refusals() {
  const { query } = address.value;
  const filter = Object.fromEntries(
    ["refusal", "gateway", "client", "address"].map((name) => [name, query.get(name) ?? undefined]),
  );
  const sort = query.get("sort") ?? "-last";
  const asked = useAsk<Page<Refusal>>("/refusals", { ...filter, limit: 500 }, 2);
  const filtered = Object.values(filter).some((value) => value !== undefined);
  return (
    <>
      <div class="heading">
        <h1>Refusals</h1>
      </div>
      <div class="filters">
        <label>
          <span class="label">Refusal</span>
          <Choice
            value={filter["refusal"] ?? ""}
            of={[["", "any"], ...REFUSALS.map((word) => [word, word] as const)]}
            onChoice={(refusal) => change({ refusal })}
          />
        </label>
        <label>
          <span class="label">Gateway</span>
          <Choice
            value={filter["gateway"] ?? ""}
            of={[
              ["", "any"],
              ...["mqtt", "mqtt-sn", "coap", "lwm2m", "stomp", "http"].map((name) => [name, name] as const),
            ]}
            onChoice={(gateway) => change({ gateway })}
          />
        </label>
        {(["client", "address"] as const).map((name) =>
          filter[name] === undefined ? null : (
            <ul class="chips">
              <li>
                <button type="button" onClick={() => change({ [name]: undefined })}>
                  {name} <Text text={filter[name]} /> <Icon name="close" />
                </button>
              </li>
            </ul>
          ),
        )}
      </div>
      <When asked={asked} lines={8}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty>
              {filtered ? (
                <>
                  <p>Nothing was refused that passes these filters.</p>
                  <Button
                    onClick={() =>
                      change({
                        refusal: undefined,
                        gateway: undefined,
                        client: undefined,
                        address: undefined,
                      })
                    }
                  >
                    Clear the filters
                  </Button>
                </>
              ) : (
                <p>Nothing was refused since the start of this node.</p>
              )}
            </Empty>
          ) : (
            <>
              <p class="second">{summary(items)}</p>
              <Table
                caption="Refusals"
                columns={COLUMNS.map((column) => ({
                  ...column,
                  sort: ["last", "count"].includes(column.name) ? column.name : undefined,
                }))}
                rows={sorted(items, sort)}
                keyOf={(row) =>
                  [row.gateway, row.client, row.user, row.address, row.what, row.asked, row.refusal].join(
                    "\n",
                  )
                }
                sort={sort}
                onSort={(by) => change({ sort: by === "-last" ? undefined : by })}
                count={items.length}
              />
            </>
          )
        }
      </When>
    </>
  );
}

function summary(items: readonly Refusal[]): string {
  const sums = new Map<string, number>();
  for (const row of items) sums.set(row.refusal, (sums.get(row.refusal) ?? 0) + row.count);
  return [...sums]
    .sort(([, a], [, b]) => b - a)
    .map(([word, sum]) => `${word} ${count(sum)}`)
    .join(", ");
}

function sorted(items: readonly Refusal[], sort: string): readonly Refusal[] {
  const turn = sort.startsWith("-") ? -1 : 1;
  const of = (row: Refusal): number => (sort.endsWith("count") ? row.count : Date.parse(row.last));
  return [...items].sort((a, b) => turn * (of(a) - of(b)));
}
