/** What pages are made of: links, buttons, parts with their states, texts of devices. */
import type { ComponentChildren } from "preact";
import { useId, useState } from "preact/hooks";
import { addressOf, go } from "../lib/address.ts";
import type { Problem } from "../lib/api.ts";
import type { Asked } from "../lib/asking.ts";
import { type At, age, clock, due } from "../lib/format.ts";
import { may, type Role } from "../lib/session.ts";
import { middle, pieces, plain } from "../lib/visible.ts";
import { Icon, type IconName } from "./icons.tsx";

type Children = { readonly children?: ComponentChildren };

// ---- links and buttons

/** Keys that press a control (`keys.tsx`). */
type Key = "t" | "[" | "]" | "Escape";

interface LinkProps extends Children {
  readonly to: string;
  readonly class?: string;
  readonly label?: string;
  readonly current?: boolean;
  readonly at?: Key;
}

/** A page of the dashboard; the browser's own ways of opening links stay. */
export const Link = ({ to, class: style, label, current, at, children }: LinkProps) => (
  <a
    href={to}
    class={style}
    aria-label={label === undefined ? undefined : plain(label)}
    aria-current={current === true ? "page" : undefined}
    data-key={at}
    onClick={(event) => {
      if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
      event.preventDefault();
      go(to);
    }}
  >
    {children}
  </a>
);

/** Of a row of a table: what its client says and gets. */
export const ToTranslation = ({ clientId }: { readonly clientId: string }) => (
  <Link
    to={addressOf("/translation", { client: clientId })}
    class="icon-link"
    at="t"
    label={`translation of ${clientId}`}
  >
    <Icon name="translation" />
  </Link>
);

/** Who has changed it, and when. */
export const ToChanges = ({ object, small }: { readonly object: string; readonly small?: boolean }) => (
  <Link
    to={addressOf("/changes", { object })}
    class={`button ${small === true ? "small" : ""}`}
    label={`Changes of ${object}`}
  >
    <span>Changes</span>
  </Link>
);

interface ButtonProps extends Children {
  readonly onClick?: () => void;
  readonly icon?: IconName;
  readonly kind?: "main" | "bad" | "quiet";
  readonly type?: "button" | "submit";
  readonly disabled?: boolean;
  /** Without it the button is shown, and says what is missing. */
  readonly needs?: Role;
  readonly label?: string;
  readonly pressed?: boolean;
  readonly small?: boolean;
  /** The key that does the same: of the row that has the focus, else of the page. */
  readonly at?: Key;
}

export function Button({
  onClick,
  icon,
  kind,
  type = "button",
  disabled,
  needs,
  label,
  pressed,
  small,
  at,
  children,
}: ButtonProps) {
  const id = useId();
  const missing = needs !== undefined && !may(needs);
  return (
    <>
      <button
        type={type}
        class={`button ${kind ?? ""} ${small === true ? "small" : ""}`}
        // Whoever may not is told why, also by keyboard: so it can be reached.
        aria-disabled={missing || disabled === true ? "true" : undefined}
        aria-describedby={missing ? id : undefined}
        aria-pressed={pressed}
        aria-label={label === undefined ? undefined : plain(label)}
        data-key={at}
        title={missing ? `needs the role ${needs}` : label === undefined ? undefined : plain(label)}
        onClick={(event) => {
          if (missing || disabled === true) event.preventDefault();
          else onClick?.();
        }}
      >
        {icon === undefined ? null : <Icon name={icon} />}
        {children === undefined ? null : <span>{children}</span>}
      </button>
      {missing ? (
        <span id={id} class="unseen">
          needs the role {needs}
        </span>
      ) : null}
    </>
  );
}

// ---- ages, which go on each second: of a long table these alone are painted again

/** `at`: milliseconds since the epoch, or as the API writes times. */
export const Age = ({ at }: { readonly at: At }) => <>{age(at)}</>;
export const Due = ({ at }: { readonly at: At }) => <>{due(at)}</>;

// ---- texts of devices

interface TextProps {
  readonly text: string | undefined;
  /** Characters shown, the beginning and the end of it; the whole where it is absent. */
  readonly most?: number;
  readonly mono?: boolean;
}

/** What somebody else has chosen: text nodes only, and nothing in it acts. */
export function Text({ text, most, mono = true }: TextProps) {
  if (text === undefined || text === "") return <span class="second">{text === "" ? "(empty)" : "–"}</span>;
  const shown = most === undefined ? text : middle(text, most);
  return (
    <bdi class={mono ? "mono" : undefined} title={shown === text ? undefined : plain(text.slice(0, 1_024))}>
      {pieces(shown).map((piece) => (piece.named ? <span class="named">{piece.text}</span> : piece.text))}
    </bdi>
  );
}

const SHOWN = 256;
const ALL = 64 * 1_024;

/** A long one is cut, and can be opened. */
function LongText({ text }: { readonly text: string }) {
  const [open, setOpen] = useState(false);
  if (text.length <= SHOWN) return <Text text={text} />;
  return (
    <span>
      <Text text={text.slice(0, open ? ALL : SHOWN)} />
      {open && text.length <= ALL ? null : "… "}
      <Button kind="quiet" small onClick={() => setOpen(!open)}>
        {open ? "show less" : `show all (${Math.min(text.length, ALL).toLocaleString("en-US")} characters)`}
      </Button>
    </span>
  );
}

/** As the API gives a payload: as text, or in base64 where it is none. */
export function Payload({
  payload,
  encoding,
  bytes,
}: {
  readonly payload?: string;
  readonly encoding?: string;
  readonly bytes?: number;
}) {
  if (payload === undefined) return <span class="second">not shown</span>;
  if (encoding !== "base64") {
    return (
      <>
        <LongText text={payload} />
        {bytes !== undefined && bytes > new TextEncoder().encode(payload).length ? (
          <span class="second"> … of {bytes} B</span>
        ) : null}
      </>
    );
  }
  return (
    <span>
      <span class="second">hex </span>
      <LongText text={hexOf(payload)} />
    </span>
  );
}

export const hexOf = (base64: string): string =>
  [...atob(base64)].map((character) => character.charCodeAt(0).toString(16).padStart(2, "0")).join(" ");

// ---- parts of pages

interface PartProps extends Children {
  readonly title?: ComponentChildren;
  readonly actions?: ComponentChildren;
  readonly class?: string;
}

export const Part = ({ title, actions, class: style, children }: PartProps) => (
  <section class={`part ${style ?? ""}`}>
    {title === undefined && actions === undefined ? null : (
      <header>
        <h2>{title}</h2>
        <div class="actions">{actions}</div>
      </header>
    )}
    {children}
  </section>
);

export const Lines = ({ count = 5 }: { readonly count?: number }) => (
  <div class="lines" aria-hidden="true">
    {Array.from({ length: count }, () => (
      <div />
    ))}
  </div>
);

export const Empty = ({ children }: Children) => <div class="empty">{children}</div>;

export function Failed({ problem, again }: { readonly problem: Problem; readonly again?: () => void }) {
  return (
    <div class="failed" role="alert">
      <strong>{problem.message}</strong>
      <p>
        <Text text={problem.detail} mono={false} />
      </p>
      {problem.errors.map(({ field, detail, fix }) => (
        <p>
          <Text text={field} /> <Text text={detail} mono={false} />
          {fix === undefined ? null : (
            <>
              : <Text text={fix} mono={false} />
            </>
          )}
        </p>
      ))}
      <p class="second">
        {problem.code}
        {problem.status === 0 ? "" : ` (${problem.status})`} at {clock(problem.at)}
      </p>
      {again === undefined ? null : (
        <Button icon="again" onClick={again}>
          Try again
        </Button>
      )}
    </div>
  );
}

interface WhenProps<Data> {
  readonly asked: Asked<Data>;
  readonly lines?: number;
  children(data: Data): ComponentChildren;
}

/** What is there stays until what is new is there; what failed says so in its own place. */
export function When<Data>({ asked, lines, children }: WhenProps<Data>) {
  const { data, problem, again } = asked;
  return (
    <>
      {problem === undefined ? null : <Failed problem={problem} again={again} />}
      {data === undefined ? (
        problem === undefined ? (
          <Lines count={lines} />
        ) : null
      ) : (
        <div class={problem === undefined ? undefined : "stale"}>{children(data)}</div>
      )}
    </>
  );
}

/** Names and what they stand for. */
export const Facts = ({ facts }: { readonly facts: readonly (readonly [string, ComponentChildren])[] }) => (
  <dl class="facts">
    {facts.map(([name, value]) => (
      <div>
        <dt>{name}</dt>
        <dd>{value}</dd>
      </div>
    ))}
  </dl>
);

// ---- states, gateways

const STATE_ICONS: Readonly<Record<string, IconName>> = {
  overdue: "overdue",
  asleep: "asleep",
  sleeping: "asleep",
  awake: "awake",
  away: "away",
};

export const State = ({ state }: { readonly state: string }) => (
  <span class={`state ${STATE_ICONS[state] === undefined ? "" : state}`}>
    <Icon name={STATE_ICONS[state] ?? "help"} />
    {state}
  </span>
);

const GATEWAYS = new Set(["mqtt", "mqtt-sn", "coap", "lwm2m", "stomp"]);
export const Gateway = ({ name }: { readonly name: string }) => (
  <span class={`gateway ${GATEWAYS.has(name) ? `of-${name}` : ""}`}>
    <Text text={name} mono={false} />
  </span>
);

export const Level = ({
  level,
  children,
}: Children & { readonly level: "ok" | "warning" | "bad" | "asleep" | "none" }) => (
  <span class={`level ${level}`}>{children}</span>
);

// ---- fields

interface FieldProps extends Children {
  readonly label: string;
  readonly hint?: ComponentChildren;
  readonly error?: string;
  readonly wide?: boolean;
}

/** A label around one control. */
export function Field({ label, hint, error, wide, children }: FieldProps) {
  return (
    <label class={`field ${wide === true ? "wide" : ""}`}>
      <span class="label">{label}</span>
      {children}
      {error === undefined ? null : <span class="bad-text">{error}</span>}
      {hint === undefined ? null : <span class="second">{hint}</span>}
    </label>
  );
}

interface InputProps {
  readonly type?: "text" | "password" | "number" | "search" | "datetime-local";
  readonly value: string;
  readonly autocomplete?: string;
  readonly autofocus?: boolean;
  readonly required?: boolean;
  readonly spellcheck?: boolean;
  readonly placeholder?: string;
  readonly "aria-label"?: string;
  readonly min?: number;
  readonly max?: number;
  readonly step?: number | "any";
  onText(text: string): void;
}
export const Input = ({ value, onText, ...rest }: InputProps) => (
  <input
    {...(rest as Record<string, unknown>)}
    value={value}
    onInput={({ currentTarget }) => onText(currentTarget.value)}
  />
);

interface ChoiceProps {
  readonly value: string;
  readonly of: readonly (string | readonly [value: string, text: string])[];
  readonly label?: string;
  onChoice(value: string): void;
}
export const Choice = ({ value, of, label, onChoice }: ChoiceProps) => (
  <select value={value} aria-label={label} onChange={({ currentTarget }) => onChoice(currentTarget.value)}>
    {of.map((option) => {
      const [name, text] = typeof option === "string" ? [option, option] : option;
      return <option value={name}>{text}</option>;
    })}
  </select>
);

export const Check = ({
  checked,
  label,
  onCheck,
}: {
  readonly checked: boolean;
  readonly label: string;
  onCheck(on: boolean): void;
}) => (
  <label class="check">
    <input
      type="checkbox"
      checked={checked}
      onChange={({ currentTarget }) => onCheck(currentTarget.checked)}
    />
    <span>{label}</span>
  </label>
);

interface TabsProps {
  readonly tabs: readonly (readonly [name: string, label: ComponentChildren])[];
  readonly at: string;
  onTab(name: string): void;
}
/** On a phone there are more than fit: the one that is shown is brought into view. */
const bringIntoView = (tab: HTMLElement | null): void =>
  tab?.scrollIntoView({ block: "nearest", inline: "nearest" });

export const Tabs = ({ tabs, at, onTab }: TabsProps) => (
  <div class="tabs" role="tablist">
    {tabs.map(([name, label]) => (
      <button
        type="button"
        role="tab"
        aria-selected={name === at}
        ref={name === at ? bringIntoView : null}
        tabIndex={name === at ? 0 : -1}
        onClick={() => onTab(name)}
        onKeyDown={(event) => {
          const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
          if (step === 0) return;
          const index = (tabs.findIndex(([one]) => one === at) + step + tabs.length) % tabs.length;
          onTab(tabs[index]![0]);
          (event.currentTarget.parentElement?.children[index] as HTMLElement | undefined)?.focus();
        }}
      >
        {label}
      </button>
    ))}
  </div>
);
