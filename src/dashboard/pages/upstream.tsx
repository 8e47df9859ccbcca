/** The servers that have the sessions, where those are not in this process, and the routes that lead to them. */
import type { Server } from "../../api/answers/upstream.ts";
import type { Page } from "../lib/api.ts";
import { ask } from "../lib/api.ts";
import { useAsk } from "../lib/asking.ts";
import { count } from "../lib/quantities.ts";
import { Button, Empty, Level, Part, Text, When } from "../parts/basic.tsx";
import { askFirst, carryOut, tell } from "../parts/dialog.tsx";
import { Table } from "../parts/table.tsx";

interface Route {
  readonly id: string;
  readonly group: string;
  readonly order?: number;
  readonly configured: boolean;
  readonly [condition: string]: unknown;
}

const STATES = { closed: "well", "half-open": "one may try", open: "nobody is sent there" } as const;
const LEVELS = { closed: "ok", "half-open": "warning", open: "bad" } as const;

export function Upstream() {
  const servers = useAsk<Page<Server>>("/upstream/servers", { limit: 1_000 }, 2);
  const routes = useAsk<Page<Route>>("/upstream/routes", { limit: 1_000 }, 5);
  return (
    <>
      <h1>Upstream</h1>
      <When asked={servers} lines={3}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty>Sessions are in this process (bus.engine: embedded): there is no upstream.</Empty>
          ) : (
            <Table
              caption="Servers"
              rows={items}
              keyOf={({ group, url }) => `${group} ${url}`}
              columns={[
                { name: "url", title: "Server", phone: "title", cell: (row) => <Text text={row.url} /> },
                { name: "group", title: "Group", cell: (row) => <Text text={row.group} mono={false} /> },
                {
                  name: "state",
                  title: "State",
                  cell: (row) => (
                    <Level level={LEVELS[row.state]}>
                      {STATES[row.state]}
                      {row.draining ? ", draining" : ""}
                    </Level>
                  ),
                },
                { name: "sessions", title: "Sessions", numeric: true, cell: (row) => count(row.sessions) },
                { name: "weight", title: "Weight", numeric: true, cell: (row) => row.weight },
                {
                  name: "failure",
                  title: "Last failure",
                  cell: (row) => <Text text={row.lastFailure} mono={false} most={80} />,
                },
                { name: "act", title: "Act", cell: (row) => <Drain server={row} again={servers.again} /> },
              ]}
            />
          )
        }
      </When>
      <When asked={routes} lines={2}>
        {({ items }) =>
          items.length === 0 ? null : (
            <Part title="Routes">
              <Table
                caption="Routes, in the order in which they are asked"
                rows={items}
                keyOf={({ id }) => id}
                columns={[
                  { name: "id", title: "Route", phone: "title", cell: ({ id }) => <Text text={id} /> },
                  {
                    name: "when",
                    title: "When",
                    cell: ({
                      id,
                      group,
                      order,
                      configured,
                      servers: _servers,
                      balance: _balance,
                      ...conditions
                    }) => (
                      <Text
                        text={
                          Object.entries(conditions)
                            .map(([name, value]) => `${name} ${String(value)}`)
                            .join(", ") || "always"
                        }
                        most={120}
                        mono={false}
                      />
                    ),
                  },
                  { name: "group", title: "To", cell: ({ group }) => <Text text={group} mono={false} /> },
                  { name: "order", title: "Order", numeric: true, cell: ({ order }) => order ?? 0 },
                  {
                    name: "from",
                    title: "From",
                    cell: ({ configured }) => (configured ? "the configuration" : "the API"),
                  },
                  {
                    name: "act",
                    title: "Act",
                    cell: ({ id, configured }) => (
                      <Button
                        small
                        needs="operator"
                        disabled={configured}
                        label={`end the route ${id}`}
                        onClick={() =>
                          askFirst({
                            title: "End a route",
                            effect: (
                              <>
                                Sessions that <Text text={id} /> would lead go where the other routes lead
                                them.
                              </>
                            ),
                            verb: "End it",
                            async act() {
                              await ask("DELETE", `/upstream/routes/${encodeURIComponent(id)}`);
                              tell("The route is ended");
                              routes.again();
                            },
                          })
                        }
                      >
                        End
                      </Button>
                    ),
                  },
                ]}
              />
            </Part>
          )
        }
      </When>
    </>
  );
}

function Drain({
  server: { group, url, draining, sessions },
  again,
}: {
  readonly server: Server;
  again(): void;
}) {
  const order = async (on: boolean): Promise<void> => {
    await ask("PUT", "/upstream/servers/drain", { body: { group, url, draining: on } });
    again();
  };
  if (draining) {
    return (
      <Button
        small
        needs="operator"
        onClick={() => void carryOut("Sessions may go there again", () => order(false))}
      >
        Take back
      </Button>
    );
  }
  return (
    <Button
      small
      needs="operator"
      label={`drain ${url}`}
      onClick={() =>
        askFirst({
          title: "Drain a server",
          effect: `No session is sent to it any more, and its ${count(sessions)} sessions move away.`,
          verb: "Drain",
          async act() {
            await order(true);
            tell("The server drains");
          },
        })
      }
    >
      Drain
    </Button>
  );
}
