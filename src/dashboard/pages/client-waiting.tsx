/** What waits for one client, next first; and taking a message out of it. */
import type { WaitingMessage } from "../../api/answers/clients.ts";
import { ask, type Query } from "../lib/api.ts";
import { useAsk } from "../lib/asking.ts";
import type { ClientRow } from "../lib/clients.ts";
import { bytes, count } from "../lib/quantities.ts";
import { may } from "../lib/session.ts";
import { Age, Button, Due, Empty, Payload, Text, When } from "../parts/basic.tsx";
import { askFirst, tell } from "../parts/dialog.tsx";
import { Table } from "../parts/table.tsx";

const STAGES: Readonly<Record<string, string>> = {
  queued: "waits",
  "handed-out": "on its way",
  received: "to be released",
};

interface WaitingProps {
  readonly client: ClientRow;
  readonly path: string;
  readonly which: Query;
  again(): void;
}

export function Waiting({ client, path, which, again }: WaitingProps) {
  const asked = useAsk<readonly WaitingMessage[]>(
    `${path}/waiting`,
    { ...which, limit: 200, payload: may("operator") ? 256 : undefined },
    2,
  );
  const deleteFirst = ({ id, topic, stage }: WaitingMessage): void => {
    const held = stage === "handed-out" && client.state !== "away";
    askFirst({
      title: "Delete a message that waits",
      effect: (
        <>
          <Text text={topic} />:{" "}
          {held
            ? "the client was handed it and has not acknowledged it. Ends the connection, and the client gets on without the message when it comes back."
            : "it never reaches this client. Others get theirs."}
        </>
      ),
      verb: held ? "Disconnect and delete" : "Delete",
      async act() {
        const query = { ...which, disconnect: held ? true : undefined };
        await ask("DELETE", `${path}/waiting/${encodeURIComponent(id)}`, { query });
        tell("Deleted");
        asked.again();
        again();
      },
    });
  };
  return (
    <>
      <When asked={asked} lines={5}>
        {(rows) =>
          rows.length === 0 ? (
            <Empty>
              {client.waiting + client.onItsWay === 0
                ? "Nothing waits for it."
                : "What waits for it is at a server of the cluster, and is not listed here."}
            </Empty>
          ) : (
            <Table
              caption="What waits for this client, next first"
              rows={rows.map((row, index) => ({ ...row, place: index + 1 }))}
              keyOf={({ id }) => id}
              columns={[
                { name: "place", title: "#", numeric: true, cell: ({ place }) => place },
                { name: "stage", title: "Stage", cell: ({ stage }) => STAGES[stage] ?? stage },
                {
                  name: "topic",
                  title: "Topic",
                  phone: "title",
                  cell: ({ topic }) => <Text text={topic} most={60} />,
                },
                {
                  name: "from",
                  title: "From",
                  phone: "label",
                  cell: ({ from }) => <Text text={from || "this node"} most={32} />,
                },
                {
                  name: "since",
                  title: "Since",
                  numeric: true,
                  cell: ({ publishedAt }) => <Age at={publishedAt} />,
                },
                {
                  name: "ends",
                  title: "Ends",
                  numeric: true,
                  cell: ({ expiresAt }) => (expiresAt === undefined ? "never" : <Due at={expiresAt} />),
                },
                { name: "qos", title: "QoS", numeric: true, cell: ({ qos }) => qos },
                { name: "bytes", title: "Bytes", numeric: true, cell: (row) => bytes(row.bytes) },
                {
                  name: "payload",
                  title: "Payload",
                  cell: (row) => <Payload payload={row.payload} encoding={row.encoding} bytes={row.bytes} />,
                },
                {
                  name: "delete",
                  title: "Act",
                  cell: (row) => (
                    <Button
                      small
                      needs="operator"
                      disabled={row.stage === "received"}
                      label={`delete message ${row.place}, ${row.topic}`}
                      onClick={() => deleteFirst(row)}
                    >
                      Delete
                    </Button>
                  ),
                },
              ]}
            />
          )
        }
      </When>
      <p class="second">
        Lost on the way to it since the start of this node: {count(client.lost)}. What a session may hold, and
        what goes first when it is full, is set by session.queue in the configuration.
      </p>
    </>
  );
}
