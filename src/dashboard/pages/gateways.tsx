/** Gateways and their listeners: how they are, and starting and stopping them. */

import type { Gateway, Listener } from "../../api/answers/gateways.ts";
import { addressOf } from "../lib/address.ts";
import { ask } from "../lib/api.ts";
import { useAsk } from "../lib/asking.ts";
import { numbers } from "../lib/live.ts";
import { count, rate } from "../lib/quantities.ts";
import { Button, Facts, Level, Link, Gateway as Name, Part, Text, ToChanges, When } from "../parts/basic.tsx";
import { askFirst, carryOut, tell } from "../parts/dialog.tsx";
import { Icon } from "../parts/icons.tsx";
import { Table } from "../parts/table.tsx";

export function Gateways() {
  const asked = useAsk<readonly Gateway[]>("/gateways", {}, 2);
  return (
    <>
      <h1>Gateways</h1>
      <When asked={asked} lines={8}>
        {(gateways) => (
          <div class="stack">
            {gateways.map((gateway) => (
              <Card key={gateway.name} gateway={gateway} again={asked.again} />
            ))}
          </div>
        )}
      </When>
    </>
  );
}

function Card({ gateway, again }: { readonly gateway: Gateway; again(): void }) {
  const { name, running, enabled, connections, servedBy, listeners } = gateway;
  const order = (verb: string, what: string, effect: string): void =>
    askFirst({
      title: `${what} ${name}`,
      effect,
      verb: what,
      async act() {
        await ask("POST", `/gateways/${encodeURIComponent(name)}/${verb}`);
        tell(`${what}: done`);
        again();
      },
    });
  const stays = `${count(connections)} connected clients hear goodbye; their sessions stay by their expiry.`;
  return (
    <Part
      title={
        <>
          <Name name={name} />{" "}
          <Level level={running ? "ok" : enabled ? "bad" : "none"}>
            <Icon name={running ? "awake" : "away"} />{" "}
            {running ? "running" : enabled ? "stopped" : "off by configuration"}
          </Level>
        </>
      }
      actions={
        running ? (
          <>
            <ToChanges object={`gateway ${name}`} small />
            <Button
              small
              needs="operator"
              onClick={() =>
                order(
                  "restart",
                  "Restart",
                  `Stops and starts it with the options that the configuration has now. ${stays}`,
                )
              }
            >
              Restart
            </Button>
            <Button
              small
              needs="operator"
              onClick={() => order("stop", "Stop", `Its listeners close. ${stays}`)}
            >
              Stop
            </Button>
          </>
        ) : (
          <Button
            small
            needs="operator"
            onClick={() =>
              void carryOut(`${name} is started`, () =>
                ask("POST", `/gateways/${encodeURIComponent(name)}/start`),
              ).then(again)
            }
          >
            Start
          </Button>
        )
      }
    >
      <Facts
        facts={[
          [
            "Clients connected",
            <Link to={addressOf("/clients", { gateway: name })}>
              {servedBy.length > 0 && listeners.length === 0 ? "its clients" : count(connections)}
            </Link>,
          ],
          ["In", rate(numbers.value[`in.${name}`])],
          ["Out", rate(numbers.value[`out.${name}`])],
          ["Served on the listeners of", servedBy.length === 0 ? "itself" : servedBy.join(", ")],
        ]}
      />
      {listeners.length === 0 ? null : (
        <Table
          caption={`Listeners of ${name}`}
          rows={listeners}
          keyOf={(row) => row.name}
          columns={[
            { name: "name", title: "Listener", phone: "title", cell: (row) => <Text text={row.name} /> },
            {
              name: "state",
              title: "State",
              cell: (row) => (
                <Level level={row.open ? "ok" : row.enabled ? "bad" : "none"}>
                  <Icon name={row.open ? "awake" : "away"} />{" "}
                  {row.open ? "open" : row.enabled ? "closed" : "off"}
                </Level>
              ),
            },
            { name: "transport", title: "Transport", cell: (row) => row.transport },
            {
              name: "address",
              title: "Address",
              cell: (row) => (
                <Text text={`${row.address.includes(":") ? `[${row.address}]` : row.address}:${row.port}`} />
              ),
            },
            {
              name: "connections",
              title: "Connections",
              numeric: true,
              cell: (row) => count(row.connections),
            },
            { name: "dropped", title: "Dropped", numeric: true, cell: (row) => count(row.dropped) },
            { name: "unsent", title: "Unsent", numeric: true, cell: (row) => count(row.unsent) },
            { name: "act", title: "Act", cell: (row) => <ListenerOrder listener={row} again={again} /> },
          ]}
        />
      )}
    </Part>
  );
}

function ListenerOrder({ listener, again }: { readonly listener: Listener; again(): void }) {
  const { gateway, name, open, connections } = listener;
  const path = `/gateways/${encodeURIComponent(gateway)}/listeners/${encodeURIComponent(name)}`;
  if (!open) {
    return (
      <Button
        small
        needs="operator"
        label={`open ${gateway} ${name}`}
        onClick={() =>
          void carryOut(`${gateway} ${name} is open`, () => ask("POST", `${path}/open`)).then(again)
        }
      >
        Open
      </Button>
    );
  }
  return (
    <Button
      small
      needs="operator"
      label={`close ${gateway} ${name}`}
      onClick={() =>
        askFirst({
          title: `Close ${gateway} ${name}`,
          effect: `${count(connections)} connections hear goodbye and end; nobody gets in until it is opened again.`,
          verb: "Close it",
          async act() {
            await ask("POST", `${path}/close`);
            tell(`${gateway} ${name} is closed`);
            again();
          },
        })
      }
    >
      Close
    </Button>
  );
}
