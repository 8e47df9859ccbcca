import { useState } from "preact/hooks";
import { clock } from "../lib/format.ts";
import { type Device, type Memory, type ObjectOf, type Order, shown, valueText } from "../lib/lwm2m.ts";
import { type Resource, valueFor, wrongFor } from "../lib/lwm2m-values.ts";
import { reading } from "../lib/quantities.ts";
import { may } from "../lib/session.ts";
import { Button, Check, Choice, Field, Input, Part, Text } from "../parts/basic.tsx";
import { askFirst, carryOut } from "../parts/dialog.tsx";
import { Plot } from "../parts/plot.tsx";

interface ChosenProps {
  readonly path: string;
  readonly objects: readonly ObjectOf[];
  readonly memory: Memory;
  readonly device: Device | undefined;
  readonly order: Order;
}

export function Chosen({ path, objects, memory, device, order }: ChosenProps) {
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
            label={(value) => `${reading(value)}${resource?.units ? ` ${resource.units}` : ""}`}
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
