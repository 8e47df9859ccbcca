/** LwM2M devices, and one of them: its objects with names and units, and what can be asked of it. */
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { address, addressOf, change, go } from "../lib/address.ts";
import { apiPart, ask, nodeNow, type Page, Problem } from "../lib/api.ts";
import { useAsk } from "../lib/asking.ts";
import type { ClientRow } from "../lib/clients.ts";
import { age, clock, count, due, length, moment } from "../lib/format.ts";
import {
  type Device,
  noteResult,
  type ObjectOf,
  type Resource,
  useDevice,
  valueFor,
  wrongFor,
} from "../lib/lwm2m.ts";
import { may } from "../lib/session.ts";
import {
  Button,
  Check,
  Choice,
  Empty,
  Facts,
  Failed,
  Field,
  Input,
  Level,
  Lines,
  Link,
  Part,
  State,
  Text,
  When,
} from "../parts/basic.tsx";
import { askFirst, carryOut } from "../parts/dialog.tsx";
import { Icon } from "../parts/icons.tsx";
import { Plot } from "../parts/plot.tsx";
import { Pager, Table } from "../parts/table.tsx";

export function Lwm2m() {
  const [, endpoint] = address.value.parts;
  return endpoint === undefined || endpoint === "" ? (
    <Devices />
  ) : (
    <DevicePage key={endpoint} endpoint={endpoint} />
  );
}

export const deviceAddress = (endpoint: string): string =>
  addressOf(`/lwm2m/${encodeURIComponent(endpoint)}`);

function Devices() {
  const { query } = address.value;
  const sort = query.get("sort") ?? "clientId";
  const cursor = query.get("cursor") ?? undefined;
  const prefix = query.get("prefix") ?? "";
  const [before, setBefore] = useState<readonly string[]>([]);
  const asked = useAsk<Page<ClientRow>>(
    "/clients",
    { gateway: "lwm2m", sort, cursor, prefix, count: true, limit: 100 },
    cursor === undefined ? 5 : undefined,
  );
  return (
    <>
      <h1>LwM2M</h1>
      <div class="filters">
        <Field label="Endpoint begins with">
          <Input
            type="search"
            value={prefix}
            onText={(text) => {
              setBefore([]);
              change({ prefix: text, cursor: undefined });
            }}
          />
        </Field>
      </div>
      <When asked={asked} lines={8}>
        {({ items, next, count: all }) =>
          items.length === 0 ? (
            <Empty>{prefix === "" ? "No LwM2M device is registered." : "No endpoint begins so."}</Empty>
          ) : (
            <>
              <Table
                caption="LwM2M devices"
                rows={items}
                count={all}
                keyOf={(row) => row.clientId}
                sort={sort}
                onSort={(by) => {
                  setBefore([]);
                  change({ sort: by, cursor: undefined });
                }}
                onOpen={(row) => go(deviceAddress(row.endpoint ?? row.clientId))}
                columns={[
                  { name: "state", title: "State", cell: (row) => <State state={row.state} /> },
                  {
                    name: "endpoint",
                    title: "Endpoint",
                    sort: "clientId",
                    phone: "title",
                    cell: (row) => (
                      <Link to={deviceAddress(row.endpoint ?? row.clientId)}>
                        <Text text={row.endpoint ?? row.clientId} most={40} />
                      </Link>
                    ),
                  },
                  {
                    name: "version",
                    title: "Version",
                    cell: (row) => <Text text={row.protocol} mono={false} />,
                  },
                  {
                    name: "heard",
                    title: "Heard",
                    sort: "heardAt",
                    numeric: true,
                    cell: (row) => age(row.heardAt),
                  },
                  {
                    name: "waiting",
                    title: "Waiting",
                    sort: "waiting",
                    numeric: true,
                    cell: (row) => count(row.waiting),
                  },
                ]}
              />
              <div class="table-foot">
                <Pager
                  shown={items.length}
                  count={all}
                  before={before}
                  next={next}
                  cursor={cursor}
                  onPage={(pages, to) => {
                    setBefore(pages);
                    change({ cursor: to });
                  }}
                />
              </div>
            </>
          )
        }
      </When>
    </>
  );
}

// ---- one device

type Order = (request: string, parameters: Readonly<Record<string, unknown>>) => Promise<void>;

function DevicePage({ endpoint }: { readonly endpoint: string }) {
  const { part, query } = apiPart(endpoint, "device");
  const path = `/devices/lwm2m/${part}`;
  const { memory, arrived, problem, changed } = useDevice(endpoint);
  const device = useAsk<Device>(`${path}/device`, query, 2);
  const objects = useAsk<readonly ObjectOf[]>(`${path}/objects`, { ...query, ...(arrived === 0 ? {} : {}) });
  const [failure, setFailure] = useState<Problem | undefined>(undefined);
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
        String(parameters["path"] ?? parameters["basePath"] ?? ""),
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
  if (device.problem?.status === 404) {
    return (
      <>
        <p>
          <Link to={addressOf("/lwm2m")}>LwM2M</Link>
        </p>
        <h1>
          <Text text={endpoint} most={64} />
        </h1>
        <Empty>No device is registered under this endpoint name.</Empty>
      </>
    );
  }
  return (
    <>
      <p>
        <Link to={addressOf("/lwm2m")}>LwM2M</Link>
      </p>
      <div class="heading">
        <h1>
          <Text text={endpoint} most={64} />
        </h1>
        {device.data === undefined ? null : <State state={device.data.state} />}
        <div class="actions">
          {device.data === undefined ? null : (
            <Link
              to={addressOf(`/clients/${encodeURIComponent(device.data.clientId)}`, { gateway: "lwm2m" })}
              class="button"
            >
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
        <Part title="Objects">
          {objects.problem === undefined ? null : <Failed problem={objects.problem} again={objects.again} />}
          {objects.data === undefined ? (
            <Lines count={6} />
          ) : (
            <Tree
              objects={objects.data}
              memory={memory}
              observed={device.data?.observed ?? []}
              chosen={chosen}
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

type Memory = ReturnType<typeof useDevice>["memory"];

function shown(value: unknown): string {
  if (value === undefined) return "–";
  if (typeof value === "object") return JSON.stringify(value);
  return String(value);
}

const valueText = (value: unknown, { type, units }: Pick<Resource, "type" | "units">): string => {
  if (type === "time" && typeof value === "number") return moment(value * 1_000);
  return `${shown(value)}${units === "" || value === undefined ? "" : ` ${units}`}`;
};

interface TreeProps {
  readonly objects: readonly ObjectOf[];
  readonly memory: Memory;
  readonly observed: readonly string[];
  readonly chosen: string | undefined;
}

const Tree = ({ objects, ...rest }: TreeProps) =>
  objects.length === 0 ? (
    <Empty>It has registered no object.</Empty>
  ) : (
    <ul class="tree" aria-label="objects">
      {objects.map((object) => (
        <ObjectNode key={object.id} object={object} {...rest} />
      ))}
    </ul>
  );

function ObjectNode({
  object,
  memory,
  observed,
  chosen,
}: Omit<TreeProps, "objects"> & { readonly object: ObjectOf }) {
  const path = `/${object.id}`;
  const [open, setOpen] = useState(
    chosen?.startsWith(`${path}/`) === true ||
      [...memory.values.keys()].some((key) => key.startsWith(`${path}/`)),
  );
  const several = object.instances.length > 1;
  return (
    <li>
      <Node
        path={path}
        chosen={chosen}
        open={open}
        toggle={() => setOpen(!open)}
        has={object.instances.length > 0}
        observed={observed}
      >
        <b>{object.id}</b> {object.definition?.name ?? <span class="second">unknown object</span>}{" "}
        <span class="second">{object.version}</span>
      </Node>
      {open ? (
        <ul>
          {object.instances.map((instance) => (
            <InstanceNode
              key={instance}
              object={object}
              instance={instance}
              memory={memory}
              observed={observed}
              chosen={chosen}
              begin={!several || (chosen?.startsWith(`${path}/${instance}/`) ?? false)}
            />
          ))}
        </ul>
      ) : null}
    </li>
  );
}

function InstanceNode({
  object,
  instance,
  memory,
  observed,
  chosen,
  begin,
}: Omit<TreeProps, "objects"> & {
  readonly object: ObjectOf;
  readonly instance: number;
  readonly begin: boolean;
}) {
  const path = `/${object.id}/${instance}`;
  const [open, setOpen] = useState(begin);
  // What an unknown object has is known only by what came of it.
  const guessed = [...memory.values.keys()]
    .filter((key) => key.startsWith(`${path}/`))
    .map((key) => Number(key.split("/")[3]));
  const resources: readonly Resource[] =
    object.resources.length > 0
      ? object.resources
      : [...new Set(guessed)]
          .sort((a, b) => a - b)
          .map((id) => ({
            id,
            name: "unknown",
            operations: "RW",
            multiple: false,
            mandatory: false,
            range: "",
            units: "",
          }));
  return (
    <li>
      <Node
        path={path}
        chosen={chosen}
        open={open}
        toggle={() => setOpen(!open)}
        has={resources.length > 0}
        observed={observed}
      >
        instance <b>{instance}</b>
      </Node>
      {open ? (
        <ul>
          {resources.map((resource) => (
            <ResourceNode
              key={resource.id}
              path={`${path}/${resource.id}`}
              resource={resource}
              memory={memory}
              observed={observed}
              chosen={chosen}
            />
          ))}
        </ul>
      ) : null}
    </li>
  );
}

function ResourceNode({
  path,
  resource,
  memory,
  observed,
  chosen,
}: Omit<TreeProps, "objects"> & { readonly path: string; readonly resource: Resource }) {
  const known = memory.values.get(path);
  const several = [...memory.values.entries()].filter(([key]) => key.startsWith(`${path}/`));
  return (
    <li>
      <Node path={path} chosen={chosen} open={false} has={false} observed={observed}>
        <span class="second">{resource.id}</span> {resource.name}
        <span class="value-now">
          {resource.operations === "E" ? (
            <Icon name="execute" />
          ) : known !== undefined ? (
            <Text text={valueText(known.value, resource)} most={40} />
          ) : several.length > 0 ? (
            <Text
              text={several.map(([key, one]) => `${key.split("/").at(-1)}: ${shown(one.value)}`).join(", ")}
              most={40}
            />
          ) : null}
        </span>
        <span class="second tail">{known === undefined ? "" : age(known.at)}</span>
      </Node>
    </li>
  );
}

interface NodeProps {
  readonly path: string;
  readonly chosen: string | undefined;
  readonly open: boolean;
  readonly has: boolean;
  readonly observed: readonly string[];
  readonly children: ComponentChildren;
  toggle?(): void;
}

const Node = ({ path, chosen, open, has, observed, children, toggle }: NodeProps) => (
  <div class={`level-row ${chosen === path ? "chosen" : ""}`}>
    <button
      type="button"
      class="opener"
      aria-expanded={has ? open : undefined}
      disabled={!has}
      aria-label={has ? `${open ? "close" : "open"} ${path}` : `${path} has nothing below`}
      onClick={toggle}
    >
      {has ? (
        <span class={`chevron ${open ? "open" : ""}`}>
          <Icon name="chevron" />
        </span>
      ) : null}
    </button>
    <button type="button" class="name" aria-pressed={chosen === path} onClick={() => change({ path })}>
      {children}
      {observed.includes(path) ? (
        <Level level="ok">
          <Icon name="observe" /> <span class="unseen">observed</span>
        </Level>
      ) : null}
    </button>
  </div>
);

// ---- what is chosen

interface ChosenProps {
  readonly path: string;
  readonly objects: readonly ObjectOf[];
  readonly memory: Memory;
  readonly device: Device | undefined;
  readonly order: Order;
}

function Chosen({ path, objects, memory, device, order }: ChosenProps) {
  const [objectId, instanceId, resourceId] = path.split("/").slice(1).map(Number);
  const object = objects.find(({ id }) => id === objectId);
  const resource =
    resourceId === undefined ? undefined : object?.resources.find(({ id }) => id === resourceId);
  const name = [
    object?.definition?.name ?? "unknown object",
    instanceId === undefined ? "" : String(instanceId),
    resource?.name ?? (resourceId === undefined ? "" : "unknown"),
  ]
    .filter(Boolean)
    .join(" / ");
  const may = (operation: "R" | "W" | "E"): boolean =>
    resource === undefined || (resource.operations === "" ? false : resource.operations.includes(operation));
  const observed = device?.observed.includes(path) === true;
  const known = memory.values.get(path);
  const points = memory.points.get(path) ?? [];
  const [busy, setBusy] = useState(false);
  const run = (request: string, parameters: Readonly<Record<string, unknown>> = {}): void => {
    if (busy) return;
    setBusy(true);
    void order(request, { path, ...parameters }).finally(() => setBusy(false));
  };
  return (
    <Part
      title={
        <>
          {name} <span class="second mono">{path}</span>
        </>
      }
    >
      <div class="form">
        {known === undefined ? null : (
          <p class="last-value">
            <Text
              text={resource === undefined ? shown(known.value) : valueText(known.value, resource)}
              most={200}
            />{" "}
            <span class="second small-text">measured {clock(known.at)}</span>
          </p>
        )}
        {resource === undefined ? null : (
          <p class="second">
            {[
              resource.type ?? "executed",
              resource.units,
              resource.range === "" ? "" : `range ${resource.range}`,
              resource.multiple ? "several instances" : "",
              resource.mandatory ? "mandatory" : "optional",
            ]
              .filter(Boolean)
              .join(", ")}
          </p>
        )}
        <div class="actions">
          {may("R") ? (
            <>
              <Button needs="operator" disabled={busy} icon="search" onClick={() => run("read")}>
                Read
              </Button>
              <Button
                needs="operator"
                disabled={busy}
                icon="observe"
                pressed={observed}
                onClick={() => run(observed ? "cancel-observe" : "observe")}
              >
                {observed ? "End observing" : "Observe"}
              </Button>
            </>
          ) : null}
          {resource?.operations === "E" ? <Execute path={path} name={name} run={run} /> : null}
          <Button needs="operator" disabled={busy} onClick={() => run("discover")}>
            Discover
          </Button>
          {instanceId !== undefined && resourceId === undefined && object?.definition?.multiple === true ? (
            <Button
              needs="operator"
              disabled={busy}
              onClick={() =>
                askFirst({
                  title: `Delete ${path}`,
                  effect: `The device deletes ${name}.`,
                  verb: "Delete",
                  act: () => order("delete", { path }),
                })
              }
            >
              Delete
            </Button>
          ) : null}
          {instanceId === undefined && object?.definition?.multiple === true ? (
            <Button
              needs="operator"
              disabled={busy}
              onClick={() => run("create", { basePath: path, content: [] })}
            >
              Create an instance
            </Button>
          ) : null}
        </div>
        {resource !== undefined && may("W") && resource.operations !== "E" ? (
          <Write key={path} path={path} resource={resource} known={known?.value} order={order} />
        ) : null}
        {may("R") ? <Attributes path={path} order={order} /> : null}
        {points.length > 1 ? (
          <Plot
            title={name}
            times={points.map(({ at }) => at / 1_000)}
            lines={[{ name: resource?.name ?? path, points: points.map(({ value }) => value) }]}
            label={(value) =>
              `${Math.round(value * 100) / 100}${resource?.units ? ` ${resource.units}` : ""}`
            }
            fromZero={false}
            stepped={resource?.type === "boolean"}
          />
        ) : null}
      </div>
    </Part>
  );
}

function Execute({
  path,
  name,
  run,
}: {
  readonly path: string;
  readonly name: string;
  run(request: string, parameters?: Readonly<Record<string, unknown>>): void;
}) {
  const [args, setArgs] = useState("");
  return (
    <span class="row">
      <Input value={args} onText={setArgs} aria-label="arguments" placeholder="arguments, such as 0='5'" />
      <Button
        needs="operator"
        icon="execute"
        onClick={() =>
          askFirst({
            title: `Execute ${name}`,
            effect: `The device executes ${path}${args === "" ? "" : ` with ${args}`}.`,
            verb: "Execute",
            async act() {
              run("execute", args === "" ? {} : { args });
            },
          })
        }
      >
        Execute
      </Button>
    </span>
  );
}

function Write({
  path,
  resource,
  known,
  order,
}: {
  readonly path: string;
  readonly resource: Resource;
  readonly known: unknown;
  readonly order: Order;
}) {
  const boolean = resource.type === "boolean";
  const [text, setText] = useState(known === undefined ? (boolean ? "true" : "") : shown(known));
  const [anyway, setAnyway] = useState(false);
  const wrong = wrongFor(text, resource);
  return (
    <form
      class="row"
      onSubmit={(event) => {
        event.preventDefault();
        if (!may("operator") || (wrong !== undefined && !anyway)) return;
        void order("write", { path, value: valueFor(text, resource.type) });
      }}
    >
      <Field
        label={`New value${resource.units === "" ? "" : ` in ${resource.units}`}`}
        error={text === "" && resource.type !== "string" ? undefined : wrong}
      >
        {boolean ? (
          <Choice value={text} of={["true", "false"]} onChoice={setText} />
        ) : (
          <Input
            value={text}
            onText={setText}
            placeholder={
              resource.type === "opaque"
                ? "base64"
                : resource.type === "time"
                  ? "seconds since 1970"
                  : resource.range
            }
          />
        )}
      </Field>
      {wrong?.startsWith("out of the range") === true ? (
        <Check label="send anyway" checked={anyway} onCheck={setAnyway} />
      ) : null}
      <Button type="submit" needs="operator" disabled={wrong !== undefined && !anyway}>
        Write
      </Button>
    </form>
  );
}

const ATTRIBUTES = ["pmin", "pmax", "gt", "lt", "st"] as const;

function Attributes({ path, order }: { readonly path: string; readonly order: Order }) {
  const [open, setOpen] = useState(false);
  const [values, setValues] = useState<Readonly<Record<string, string>>>({});
  if (!open) {
    return (
      <div>
        <Button small kind="quiet" onClick={() => setOpen(true)}>
          When it notifies
        </Button>
      </div>
    );
  }
  return (
    <form
      class="row"
      onSubmit={(event) => {
        event.preventDefault();
        if (!may("operator")) return;
        const given = Object.fromEntries(
          Object.entries(values)
            .filter(([, value]) => value !== "")
            .map(([name, value]) => [name, Number(value)]),
        );
        void carryOut("The attributes are on their way", () => order("write-attr", { path, ...given }));
      }}
    >
      {ATTRIBUTES.map((name) => (
        <Field label={name} key={name}>
          <Input
            type="number"
            step="any"
            value={values[name] ?? ""}
            onText={(text) => setValues({ ...values, [name]: text })}
          />
        </Field>
      ))}
      <Button type="submit" needs="operator">
        Set
      </Button>
    </form>
  );
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
