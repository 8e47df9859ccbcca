/** Connectors: whether their sinks are there, what waits for them, and what has become of all that they were given. */
import type { Connector } from "../../api/answers/rules.ts";
import { address } from "../lib/address.ts";
import { count } from "../lib/quantities.ts";
import { Text } from "../parts/basic.tsx";
import { latency, SinkState } from "../parts/section.tsx";
import { SectionList } from "../parts/section-list.tsx";
import { ConnectorPage, NewConnector } from "./connector.tsx";

export function Connectors() {
  const [, name] = address.value.parts;
  return name === undefined || name === "" ? <List /> : <ConnectorPage key={name} name={name} />;
}

const List = () => (
  <SectionList<Connector>
    section="connectors"
    title="Connectors"
    first={{ name: "name", title: "Connector" }}
    none="No connector yet. A connector is where rules send what they select: a service, a database."
    nameOf={({ name }) => name}
    form={(done) => <NewConnector done={done} />}
    columns={[
      { name: "kind", title: "Kind", cell: ({ kind }) => kind },
      { name: "state", title: "Sink", cell: ({ state }) => <SinkState state={state} /> },
      { name: "queuing", title: "Waiting", numeric: true, cell: (row) => count(row.queuing) },
      { name: "inflight", title: "With it", numeric: true, cell: (row) => count(row.inflight) },
      { name: "latency", title: "Took", numeric: true, cell: latency },
      { name: "success", title: "Arrived", numeric: true, cell: (row) => count(row.success) },
      {
        name: "lost",
        title: "Lost",
        numeric: true,
        cell: ({ failed, expired, full }) => count(failed + expired + full),
      },
      {
        name: "failure",
        title: "Last failure",
        phone: "label",
        cell: ({ lastFailure }) => <Text text={lastFailure?.reason} mono={false} most={60} />,
      },
    ]}
  />
);
