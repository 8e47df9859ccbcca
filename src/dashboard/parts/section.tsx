/** What rules and connectors have in common: sections of the configuration that run, rest, and end. */
import type { Connector } from "../../api/answers/rules.ts";
import { addressOf, go } from "../lib/address.ts";
import { ask, Problem, read } from "../lib/api.ts";
import { length } from "../lib/quantities.ts";
import { Button, Field, Level, Text, ToChanges } from "./basic.tsx";
import { askFirst, carryOut, tell } from "./dialog.tsx";
import { Icon, type IconName } from "./icons.tsx";

export type Section = "rules" | "connectors";

interface OrdersProps {
  readonly section: Section;
  readonly name: string;
  readonly enable: boolean;
  /** `api`: made here; else where it stands. */
  readonly origin: string | undefined;
  /** What the end of it means. */
  readonly end: string;
  again(): void;
}

export const WORDS = { rules: "rule", connectors: "connector" } as const;

export function Orders({ section, name, enable, origin, end, again }: OrdersProps) {
  const path = `/${section}/${encodeURIComponent(name)}`;
  const word = WORDS[section];
  return (
    <>
      <ToChanges object={`${word} ${name}`} />
      <Button
        needs="administrator"
        icon={enable ? "pause" : "play"}
        onClick={() =>
          void carryOut(`${name} ${enable ? "rests" : "runs"}`, () =>
            ask("POST", `${path}/${enable ? "disable" : "enable"}`),
          ).then(again)
        }
      >
        {enable ? "Let it rest" : "Let it run"}
      </Button>
      <Button
        needs="administrator"
        disabled={origin !== "api"}
        label={
          origin === "api" ? undefined : `delete: the ${word} stands in ${origin}, and is taken out there`
        }
        onClick={() =>
          askFirst({
            title: `Delete the ${word} ${name}`,
            effect: end,
            verb: "Delete",
            async act() {
              await ask("DELETE", path);
              tell(`The ${word} is deleted`);
              go(addressOf(`/${section}`));
            },
          })
        }
      >
        Delete
      </Button>
    </>
  );
}

/** Where it stands. */
export const Origin = ({ origin }: Pick<OrdersProps, "origin">) =>
  origin === "api" ? <>what was made here</> : <Text text={origin} />;

export const Runs = ({ enable }: { readonly enable: boolean }) => (
  <Level level={enable ? "ok" : "none"}>
    <Icon name={enable ? "awake" : "away"} /> {enable ? "runs" : "rests"}
  </Level>
);

const STATES: Readonly<
  Record<
    Connector["state"],
    readonly [level: "ok" | "bad" | "warning" | "none", icon: IconName, word: string]
  >
> = {
  connected: ["ok", "awake", "there"],
  connecting: ["warning", "timer", "not known yet"],
  disconnected: ["bad", "away", "away"],
  stopped: ["none", "pause", "rests"],
};

export function SinkState({ state }: { readonly state: Connector["state"] }) {
  const [level, icon, word] = STATES[state];
  return (
    <Level level={level}>
      <Icon name={icon} /> {word}
    </Level>
  );
}

/** Until the sink had acknowledged the last batch. */
export const latency = ({ tookMilliseconds }: Connector): string =>
  tookMilliseconds === undefined ? "–" : length(tookMilliseconds);

/** What a text in JSON holds, or why it holds nothing. */
export function readJson(text: string, as: "list" | "object"): { value?: unknown; wrong?: string } {
  try {
    const value = JSON.parse(text) as unknown;
    const right = as === "list" ? Array.isArray(value) : typeof value === "object" && value !== null;
    return right ? { value } : { wrong: as === "list" ? "is no list: [ … ]" : "is no object: { … }" };
  } catch (error) {
    return { wrong: `is no JSON: ${(error as Error).message}` };
  }
}

interface WritingProps {
  readonly label: string;
  readonly text: string;
  readonly hint?: string;
  readonly error?: string | undefined;
  onText(text: string): void;
}

/** A text of many lines that a machine reads. */
export const Writing = ({ label, text, hint, error, onText }: WritingProps) => (
  <Field label={label} hint={hint} error={error}>
    <textarea
      class="mono"
      rows={Math.min(16, Math.max(2, text.split("\n").length))}
      spellcheck={false}
      value={text}
      onInput={({ currentTarget }) => onText(currentTarget.value)}
    />
  </Field>
);

/** In the name of a new one. */
export const NAME = /^(?!__proto__$)[A-Za-z0-9_-]{1,64}$/;
export const NAME_HINT = "Letters, digits, _ and -, 64 at most.";

/** Nothing that is there is replaced by what is called new. */
export async function refuseTaken(section: "rules" | "connectors", name: string): Promise<void> {
  try {
    await read(`/${section}/${name}`);
  } catch (error) {
    if (error instanceof Problem && error.status === 404) return;
    throw error;
  }
  throw new Problem(409, {
    title: "There is one already",
    code: "conflict",
    detail: `A ${WORDS[section]} ${name} is there: open it to change it, or take another name.`,
  });
}
