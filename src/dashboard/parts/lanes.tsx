/** What stands on the five lanes of a row: who says what to whom, what waits, what becomes of it. */
import type { ComponentChildren } from "preact";
import { type Cause, sideOf, type TraceRow, unanswered } from "../lib/causes.ts";
import { length } from "../lib/quantities.ts";
import { Gateway, Text } from "./basic.tsx";
import { Icon, type IconName } from "./icons.tsx";

interface Drawn {
  /** Lanes 0 to 4 that it spans. */
  readonly from: number;
  readonly to: number;
  /** Towards which end; neither for what happens on one lane. */
  readonly arrow: "right" | "left" | "none";
  readonly style: "frame" | "step" | "point";
  readonly icon?: IconName;
  readonly level?: "bad" | "warning" | "ok" | "asleep";
  readonly label: ComponentChildren;
}

const WAITS: Readonly<Record<string, string>> = {
  away: "the client is away",
  "no-credit": "it takes nothing now",
  transport: "the transport takes no more",
  "credit-used": "as many as it takes are out",
  order: "others wait before it",
};
const DROPS: Readonly<Record<string, string>> = {
  full: "queue full",
  expired: "expired",
  away: "QoS 0, and it is away",
  deleted: "deleted by an operator",
};

function drawn(row: TraceRow, cause: Cause): Drawn {
  const left = sideOf(row, cause) === "left";
  const [device, channel] = left ? [0, 1] : [4, 3];
  const at = (place: number, rest: Omit<Drawn, "from" | "to" | "arrow" | "style">): Drawn => ({
    from: place,
    to: place,
    arrow: "none",
    style: "point",
    ...rest,
  });
  switch (row.kind) {
    case "frame": {
      const inward = row.from === "device";
      const lost = unanswered(row, cause);
      return {
        from: Math.min(device, channel),
        to: Math.max(device, channel),
        arrow: inward === left ? "right" : "left",
        style: "frame",
        ...((row.again ?? 0) > 0 ? { icon: "again", level: "warning" } : lost ? { level: "warning" } : {}),
        label: (
          <>
            <b>{row.name}</b> <Text text={row.summary} most={38} />
            {(row.again ?? 0) > 0 ? ` again ${row.again}` : ""}
            {lost ? " ? no answer" : ""}
          </>
        ),
      };
    }
    case "message":
      return {
        from: 1,
        to: 2,
        arrow: "right",
        style: "step",
        icon: "topic",
        label: (
          <>
            <Text text={row.topic} most={34} /> QoS {row.qos}
          </>
        ),
      };
    case "routed":
      return at(2, {
        icon: row.matched === true ? "done" : "lost",
        ...(row.matched === true ? {} : { level: "warning" }),
        label:
          row.matched === true
            ? [
                row.given ? `${row.given} given` : "",
                row.waits ? `${row.waits} wait` : "",
                row.dropped ? `${row.dropped} dropped` : "",
              ]
                .filter(Boolean)
                .join(", ") || "matched"
            : "nobody is subscribed",
      });
    case "delivery":
      return delivery(row);
    case "step":
      return {
        from: Math.min(channel, 2),
        to: Math.max(channel, 2),
        arrow: left ? "right" : "left",
        style: "step",
        label: (
          <>
            {row.what} <Text text={row.asked} most={24} />: {row.answer}
          </>
        ),
      };
    case "state":
      return at(device, {
        icon: row.is === "asleep" || row.is === "sleeping" ? "asleep" : "awake",
        level: row.is === "asleep" ? "asleep" : "ok",
        label: `is ${row.is}, was ${row.was}`,
      });
    case "timer":
      return at(channel, { icon: "timer", label: "timer" });
    case "closed":
      return at(channel, {
        icon: "away",
        label: (
          <>
            gone: <Text text={row.reason} most={30} mono={false} />
          </>
        ),
      });
    case "refusal":
      return at(channel, {
        icon: "refused",
        level: "bad",
        label: (
          <>
            {row.what} refused, {row.refusal}: <Text text={row.by} most={60} mono={false} />
          </>
        ),
      });
    case "stray":
      return {
        from: 0,
        to: 1,
        arrow: row.from === "gateway" ? "left" : "right",
        style: "frame",
        level: "warning",
        label: (
          <>
            <b>{row.name}</b> <Text text={row.why ?? row.summary} most={40} mono={false} />
          </>
        ),
      };
    default:
      return at(2, { icon: "lost", level: "warning", label: `${row.count} more were not looked at` });
  }
}

function delivery(row: TraceRow): Drawn {
  const towards = { from: 2, to: 3, style: "step" } as const;
  const who = <Text text={row.client} most={22} />;
  switch (row.state) {
    case "given":
      return {
        ...towards,
        arrow: "right",
        label: (
          <>
            to {who}
            {row.waited === undefined ? "" : `, waited ${length(row.waited)}`}
          </>
        ),
      };
    case "waits":
      return {
        ...towards,
        from: 3,
        arrow: "none",
        style: "point",
        icon: "waiting",
        level: "asleep",
        label: (
          <>
            {who} waits: {row.asleep === true ? "asleep" : (WAITS[row.why ?? ""] ?? row.why)}
          </>
        ),
      };
    case "done":
      return { ...towards, arrow: "left", icon: "done", level: "ok", label: <>done by {who}</> };
    case "again":
      return { ...towards, arrow: "left", icon: "again", level: "warning", label: <>{who} gave it back</> };
    case "dead":
      return { ...towards, arrow: "left", icon: "lost", level: "bad", label: <>{who}: given up</> };
    default:
      return {
        ...towards,
        from: 3,
        arrow: "none",
        style: "point",
        icon: "lost",
        level: "bad",
        label: (
          <>
            {who}: dropped, {DROPS[row.why ?? ""] ?? row.why}
          </>
        ),
      };
  }
}

export function Lanes({ row, cause }: { readonly row: TraceRow; readonly cause: Cause }) {
  const { from, to, arrow, style, icon, level, label } = drawn(row, cause);
  const name =
    row.clients?.[0] ?? row.client ?? (row.address === undefined ? undefined : `${row.address}:${row.port}`);
  return (
    <span class="lanes" aria-hidden="true">
      <i />
      <i />
      <i />
      <i />
      <i />
      <span class={`drawn ${style} ${arrow} from-${from} to-${to} ${level ?? ""}`}>
        <span class="label">
          {icon === undefined ? null : <Icon name={icon} />}
          <span>{label}</span>
        </span>
      </span>
      {row.kind === "frame" && row.gateway !== undefined ? (
        <Who side={from === 0 ? "at-left" : "at-right"} gateway={row.gateway} name={name} />
      ) : null}
    </span>
  );
}

/** The name of the gateway next to the lane at which it ends, so that it is never what is cut. */
function Who({
  side,
  gateway,
  name,
}: {
  readonly side: "at-left" | "at-right";
  readonly gateway: string;
  readonly name: string | undefined;
}) {
  const text = <Text text={name} most={14} mono={false} />;
  return (
    <span class={`who ${side}`}>
      {side === "at-left" ? text : null} <Gateway name={gateway} /> {side === "at-left" ? null : text}
    </span>
  );
}
