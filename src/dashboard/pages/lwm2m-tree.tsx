/** The objects of an LwM2M device as a tree, with names, units and last values. */
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { change } from "../lib/address.ts";
import { age } from "../lib/format.ts";
import { type Memory, type ObjectOf, shown, valueText } from "../lib/lwm2m.ts";
import type { Resource } from "../lib/lwm2m-values.ts";
import { Empty, Level, Text } from "../parts/basic.tsx";
import { Icon } from "../parts/icons.tsx";

interface TreeProps {
  readonly objects: readonly ObjectOf[];
  readonly memory: Memory;
  readonly observed: readonly string[];
  readonly chosen: string | undefined;
  /** Those that are asked for together; undefined where one at a time is. */
  readonly ticked: ReadonlySet<string> | undefined;
  tick(path: string, on: boolean): void;
}

export const Tree = ({ objects, ...rest }: TreeProps) =>
  objects.length === 0 ? (
    <Empty>It has registered no object.</Empty>
  ) : (
    <ul class="tree" aria-label="objects">
      {objects.map((object) => (
        <ObjectNode key={object.id} object={object} {...rest} />
      ))}
    </ul>
  );

function ObjectNode({ object, ...of }: Omit<TreeProps, "objects"> & { readonly object: ObjectOf }) {
  const { memory, chosen } = of;
  const path = `/${object.id}`;
  const [open, setOpen] = useState(
    chosen?.startsWith(`${path}/`) === true ||
      [...memory.values.keys()].some((key) => key.startsWith(`${path}/`)),
  );
  const several = object.instances.length > 1;
  return (
    <li>
      <Node path={path} {...of} open={open} toggle={() => setOpen(!open)} has={object.instances.length > 0}>
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
              {...of}
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
  begin,
  ...of
}: Omit<TreeProps, "objects"> & {
  readonly object: ObjectOf;
  readonly instance: number;
  readonly begin: boolean;
}) {
  const path = `/${object.id}/${instance}`;
  const [open, setOpen] = useState(begin);
  // What an unknown object has is known only by what came of it.
  const guessed = [...of.memory.values.keys()]
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
      <Node path={path} {...of} open={open} toggle={() => setOpen(!open)} has={resources.length > 0}>
        instance <b>{instance}</b>
      </Node>
      {open ? (
        <ul>
          {resources.map((resource) => (
            <ResourceNode key={resource.id} path={`${path}/${resource.id}`} resource={resource} {...of} />
          ))}
        </ul>
      ) : null}
    </li>
  );
}

function ResourceNode({
  path,
  resource,
  ticked,
  ...of
}: Omit<TreeProps, "objects"> & { readonly path: string; readonly resource: Resource }) {
  const known = of.memory.values.get(path);
  const several = [...of.memory.values.entries()].filter(([key]) => key.startsWith(`${path}/`));
  return (
    <li>
      <Node
        path={path}
        {...of}
        ticked={resource.operations.includes("R") ? ticked : undefined}
        open={false}
        has={false}
      >
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

interface NodeProps extends Pick<TreeProps, "observed" | "chosen" | "ticked" | "tick"> {
  readonly path: string;
  readonly open: boolean;
  readonly has: boolean;
  readonly children: ComponentChildren;
  toggle?(): void;
}

const Node = ({ path, chosen, ticked, tick, open, has, observed, children, toggle }: NodeProps) => (
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
    {ticked === undefined ? null : (
      <label class="tick">
        <span class="unseen">choose {path}</span>
        <input
          type="checkbox"
          checked={ticked.has(path)}
          onChange={({ currentTarget }) => tick(path, currentTarget.checked)}
        />
      </label>
    )}
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
