import { useEffect, useState } from "preact/hooks";
import { address, addressOf, withId } from "../lib/address.ts";
import { apiPart, ask, nodeNow, Problem } from "../lib/api.ts";
import { useAsk } from "../lib/asking.ts";
import type { ClientRow } from "../lib/clients.ts";
import { age, clock, due } from "../lib/format.ts";
import { type Device, type Memory, noteResult, type ObjectOf, type Order, useDevice } from "../lib/lwm2m.ts";
import { count, length } from "../lib/quantities.ts";
import {
  Button,
  Empty,
  Facts,
  Failed,
  Level,
  Lines,
  Link,
  Part,
  State,
  Text,
  When,
} from "../parts/basic.tsx";
import { askFirst } from "../parts/dialog.tsx";
import { Icon } from "../parts/icons.tsx";
import { SleepClock } from "../parts/sleep-clock.tsx";
import { Chosen } from "./lwm2m-chosen.tsx";
import { Several } from "./lwm2m-several.tsx";
import { Tree } from "./lwm2m-tree.tsx";

export function DevicePage({ endpoint }: { readonly endpoint: string }) {
  const { part, query } = apiPart(endpoint, "device");
  const path = `/devices/lwm2m/${part}`;
  const { memory, arrived, problem, changed } = useDevice(endpoint);
  const device = useAsk<Device>(`${path}/device`, query, 2);
  const gone = device.problem?.status === 404;
  const client = useClient(device.data?.clientId ?? (gone ? endpoint : undefined));
  const objects = useAsk<readonly ObjectOf[]>(`${path}/objects`, query);
  const [failure, setFailure] = useState<Problem | undefined>(undefined);
  const [ticked, setTicked] = useState<ReadonlySet<string> | undefined>(undefined);
  const chosen = address.value.query.get("path") ?? undefined;
  useEffect(() => {
    if (arrived > 0) objects.again();
  }, [arrived]);
  const order: Order = async (request, parameters) => {
    const began = nodeNow();
    setFailure(undefined);
    try {
      const result = await ask<Parameters<typeof noteResult>[1]>("POST", `${path}/${request}`, {
        query: { ...query, timeout: "5s" },
        body: parameters,
      });
      noteResult(
        endpoint,
        result,
        String(parameters["path"] ?? parameters["basePath"] ?? parameters["paths"] ?? ""),
        began,
        nodeNow(),
      );
      changed();
    } catch (error) {
      setFailure(
        error instanceof Problem
          ? error
          : new Problem(0, { title: "It was not asked", detail: String(error) }),
      );
    }
    device.again();
  };
  if (gone) {
    return (
      <>
        <p>
          <Link to={addressOf("/lwm2m")} at="Escape">
            LwM2M
          </Link>
        </p>
        <h1>
          <Text text={endpoint} most={64} />
        </h1>
        {client === undefined ? null : (
          <Part>
            <SleepClock client={client} />
          </Part>
        )}
        <Empty>No device is registered under this endpoint name.</Empty>
      </>
    );
  }
  return (
    <>
      <p>
        <Link to={addressOf("/lwm2m")} at="Escape">
          LwM2M
        </Link>
      </p>
      <div class="heading">
        <h1>
          <Text text={endpoint} most={64} />
        </h1>
        {device.data === undefined ? null : <State state={client?.state ?? device.data.state} />}
        <div class="actions">
          {device.data === undefined ? null : (
            <Link to={withId("/clients", device.data.clientId, { gateway: "lwm2m" })} class="button">
              <Icon name="client" />
              <span>Client</span>
            </Link>
          )}
          <Link to={addressOf("/firmware", { device: endpoint })} class="button">
            <Icon name="firmware" />
            <span>Firmware</span>
          </Link>
          <Button
            needs="operator"
            onClick={() =>
              askFirst({
                title: "Let it bootstrap again",
                effect: "It fetches its servers and keys anew, and may register somewhere else.",
                verb: "Bootstrap",
                act: () => order("bootstrap-request", {}),
              })
            }
          >
            Bootstrap
          </Button>
        </div>
      </div>
      {problem === undefined ? null : <Failed problem={problem} />}
      <When asked={device} lines={2}>
        {(data) => (
          <Part>
            {client === undefined ? null : <SleepClock client={client} />}
            <Facts
              facts={[
                ["Version", data.version],
                ["Binding", `${data.binding}${data.queueMode ? ", queue mode" : ""}`],
                ["Registration ends", due(data.expiresAt)],
                ["Lifetime", length(data.lifetime * 1_000)],
                ["Last update", `${age(data.lastUpdate)} ago`],
                ["Address", <Text text={`${data.peer.address}:${data.peer.port} ${data.peer.transport}`} />],
                ["Observed", String(data.observed.length)],
                ["Requests that wait", count(data.waiting)],
              ]}
            />
          </Part>
        )}
      </When>
      <div class="halves">
        <Part
          title="Objects"
          actions={
            device.data === undefined || device.data.version === "1.0" ? null : (
              <Button
                small
                pressed={ticked !== undefined}
                onClick={() => setTicked(ticked === undefined ? new Set() : undefined)}
              >
                Several at once
              </Button>
            )
          }
        >
          {ticked === undefined ? null : (
            <Several paths={[...ticked]} observed={device.data?.observed ?? []} order={order} />
          )}
          {objects.problem === undefined ? null : <Failed problem={objects.problem} again={objects.again} />}
          {objects.data === undefined ? (
            <Lines count={6} />
          ) : (
            <Tree
              objects={objects.data}
              memory={memory}
              observed={device.data?.observed ?? []}
              chosen={chosen}
              ticked={ticked}
              tick={(path, on) => {
                const next = new Set(ticked);
                if (on) next.add(path);
                else next.delete(path);
                setTicked(next);
              }}
            />
          )}
        </Part>
        <div class="stack">
          {chosen === undefined ? (
            <Part>
              <Empty>
                Choose an object, an instance or a resource. Looking at it asks the device for nothing; Read
                does.
              </Empty>
            </Part>
          ) : (
            <Chosen
              key={chosen}
              path={chosen}
              objects={objects.data ?? []}
              memory={memory}
              device={device.data}
              order={order}
            />
          )}
          {failure === undefined ? null : <Failed problem={failure} />}
          <Requests memory={memory} device={device.data} />
        </div>
      </div>
    </>
  );
}

/** What is promised by whom is known of clients: a registration that has ended leaves one who is overdue. */
function useClient(clientId: string | undefined): ClientRow | undefined {
  const { part, query } = apiPart(clientId ?? "");
  const path = clientId === undefined ? undefined : `/clients/${part}`;
  return useAsk<ClientRow>(path, { ...query, gateway: "lwm2m" }, 2).data;
}

const STATES: Readonly<Record<string, "ok" | "warning" | "bad" | "asleep">> = {
  answered: "ok",
  failed: "bad",
  waiting: "asleep",
};

function Requests({ memory, device }: { readonly memory: Memory; readonly device: Device | undefined }) {
  if (memory.asked.length === 0) return null;
  return (
    <Part title="Requests">
      <ol class="log" aria-live="polite">
        {memory.asked.map(({ id, request, path, state, since, took, answer }) => (
          <li key={id}>
            <time>{clock(since)}</time> {request} <Text text={path || undefined} />{" "}
            <Level
              level={answer !== undefined && /^[45]\./.test(answer) ? "bad" : (STATES[state] ?? "warning")}
            >
              {state === "waiting" ? `waits${device?.state === "sleeping" ? ", asleep" : ""}` : state}{" "}
              {answer === undefined ? null : <Text text={answer} mono={false} />}
            </Level>
            {took === undefined ? null : <span class="second"> {length(took)}</span>}
          </li>
        ))}
      </ol>
    </Part>
  );
}
