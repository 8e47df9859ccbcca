/** What stands around every page: the bar at the top, the menu, and how live all of it is. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { ClientRow } from "../api/answers/clients.ts";
import { address, addressOf, go, withId } from "./lib/address.ts";
import { clockOffset, read } from "./lib/api.ts";
import { clock, second, utc } from "./lib/format.ts";
import { keysOn, type Theme, theme } from "./lib/kept.ts";
import { liveness, numbers, pause, paused, tryNow } from "./lib/live.ts";
import { lookingAround, signedIn, signOut } from "./lib/session.ts";
import { plain } from "./lib/visible.ts";
import { Button, Link, Text } from "./parts/basic.tsx";
import { Icon, type IconName } from "./parts/icons.tsx";
import { SimulatorBanner } from "./parts/simulator.tsx";

interface Entry {
  readonly name: string;
  readonly title: string;
  readonly icon: IconName;
  /** After `g`. */
  readonly key?: string;
}

export const MENU: readonly { readonly group: string; readonly entries: readonly Entry[] }[] = [
  {
    group: "Watch",
    entries: [
      { name: "", title: "Overview", icon: "overview", key: "o" },
      { name: "clients", title: "Clients", icon: "client", key: "c" },
      { name: "refusals", title: "Refusals", icon: "refused", key: "r" },
      { name: "translation", title: "Translation", icon: "translation", key: "t" },
      { name: "topics", title: "Topics", icon: "topic", key: "p" },
    ],
  },
  {
    group: "Act",
    entries: [
      { name: "messages", title: "Messages", icon: "publish", key: "m" },
      { name: "lwm2m", title: "LwM2M", icon: "object", key: "l" },
      { name: "firmware", title: "Firmware", icon: "firmware" },
    ],
  },
  {
    group: "Run",
    entries: [
      { name: "gateways", title: "Gateways", icon: "gateway", key: "g" },
      { name: "upstream", title: "Upstream", icon: "upstream" },
      { name: "rules", title: "Rules", icon: "rule" },
      { name: "connectors", title: "Connectors", icon: "connector" },
      { name: "alarms", title: "Alarms", icon: "alarm", key: "a" },
      { name: "bans", title: "Bans", icon: "ban" },
      { name: "changes", title: "Changes", icon: "change", key: "h" },
      { name: "config", title: "Configuration", icon: "config" },
      { name: "logins", title: "Logins", icon: "key" },
      { name: "access", title: "Access", icon: "user" },
      { name: "about", title: "About", icon: "help" },
    ],
  },
];
const PHONE = ["", "clients", "translation", "more"];

const pathOf = ({ name }: { readonly name: string }): string => addressOf(`/${name}`);

export function Frame({
  node,
  children,
}: {
  readonly node: string | undefined;
  readonly children: ComponentChildren;
}) {
  const here = address.value.parts[0] ?? "";
  const alarms = numbers.value["alarms"] ?? 0;
  const lost = liveness.value.is === "lost";
  return (
    <>
      <a class="skip" href="#content">
        to the content
      </a>
      <header class="top">
        <Link to={addressOf("/")} class="brand">
          <Icon name="translation" />
          <Text text={node ?? "Isthmus"} mono={false} />
        </Link>
        <Search />
        <div class="top-actions">
          {alarms > 0 ? (
            <Link to={addressOf("/alarms")} class="alarms">
              <Icon name="alarm" />
              {alarms} {alarms === 1 ? "alarm" : "alarms"}
            </Link>
          ) : null}
          <Live />
          <Menu />
        </div>
      </header>
      <NotLive />
      {Math.abs(clockOffset()) > 60_000 ? (
        <p class="hint-bar">
          The clock of this browser is off by more than a minute. Times here are those of the node.
        </p>
      ) : null}
      <SimulatorBanner />
      <div class="below">
        <nav class="menu" aria-label="pages">
          {MENU.map(({ group, entries }) => (
            <ul aria-label={group}>
              {entries.map((entry) => (
                <li>
                  <Link to={pathOf(entry)} current={here === entry.name}>
                    <Icon name={entry.icon} />
                    {entry.title}
                  </Link>
                </li>
              ))}
            </ul>
          ))}
        </nav>
        <main id="content" tabIndex={-1} class={lost ? "not-live" : undefined}>
          {children}
        </main>
      </div>
      <nav class="phone-menu" aria-label="pages">
        {[...MENU.flatMap(({ entries }) => entries), { name: "more", title: "More", icon: "more" } as Entry]
          .filter(({ name }) => PHONE.includes(name))
          .map((entry) => (
            <Link to={pathOf(entry)} current={here === entry.name}>
              <Icon name={entry.icon} />
              {entry.title}
            </Link>
          ))}
      </nav>
    </>
  );
}

function Live() {
  const { is } = liveness.value;
  const words = { live: "live", paused: "paused", lost: "not live", opening: "opening" }[is];
  const act = paused.value ? "go on" : "pause";
  return (
    <Button
      kind="quiet"
      icon={paused.value ? "play" : "pause"}
      pressed={paused.value}
      onClick={() => pause(!paused.value)}
    >
      <span class="unseen">{act}, now </span>
      <span class={`live ${is}`}>{words}</span>
    </Button>
  );
}

/** A number that stands still never looks live. */
function NotLive() {
  const state = liveness.value;
  void second.value;
  if (state.is !== "lost") return null;
  const seconds = Math.max(0, Math.ceil((state.next - Date.now()) / 1_000));
  return (
    <div class="not-live-bar">
      <Icon name="away" />
      {/* Said once: the seconds beside it are not read out one by one. */}
      <span role="alert">
        Not live since {clock(state.since)}: {state.why}.
      </span>
      <span>Next try in {seconds} s</span>
      <Button small onClick={tryNow}>
        Try now
      </Button>
    </div>
  );
}

const THEMES: readonly Theme[] = ["system", "light", "dark"];

function Menu() {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open) return;
    const away = (event: Event): void => {
      if (
        event instanceof KeyboardEvent ? event.key === "Escape" : !box.current?.contains(event.target as Node)
      )
        setOpen(false);
    };
    document.addEventListener("pointerdown", away);
    document.addEventListener("keydown", away);
    return () => {
      document.removeEventListener("pointerdown", away);
      document.removeEventListener("keydown", away);
    };
  }, [open]);
  const who = signedIn();
  return (
    <div class="user" ref={box}>
      <button
        type="button"
        class="button quiet"
        aria-expanded={open}
        aria-label={`${plain(who?.name ?? "nobody")}: theme, times, sign out`}
        onClick={() => setOpen(!open)}
      >
        <Icon name="user" />
        <span class="wide-only">
          <Text text={who?.name} most={20} mono={false} />
        </span>
      </button>
      {open ? (
        <div class="user-menu">
          <p>
            <Text text={who?.name} mono={false} /> <span class="second">{who?.role}</span>
          </p>
          <fieldset>
            <legend>Theme</legend>
            {THEMES.map((name) => (
              <Button small pressed={theme.value === name} onClick={() => (theme.value = name)}>
                {name}
              </Button>
            ))}
          </fieldset>
          <fieldset>
            <legend>Times</legend>
            <Button small pressed={!utc.value} onClick={() => (utc.value = false)}>
              local
            </Button>
            <Button small pressed={utc.value} onClick={() => (utc.value = true)}>
              UTC
            </Button>
          </fieldset>
          <fieldset>
            <legend>Keys (? lists them)</legend>
            <Button
              small
              pressed={keysOn.value === "on"}
              onClick={() => (keysOn.value = keysOn.value === "on" ? "off" : "on")}
            >
              {keysOn.value}
            </Button>
          </fieldset>
          {who?.kind === "user" ? (
            <Button onClick={() => void signOut()}>Sign out</Button>
          ) : (
            <Button
              onClick={() => {
                lookingAround.value = false;
                setOpen(false);
                go(addressOf("/setup"));
              }}
            >
              Make an account
            </Button>
          )}
        </div>
      ) : null}
    </div>
  );
}

/** Clients by the beginning of their id, user or endpoint; Enter opens the first, or shows all that have it somewhere. */
function Search() {
  const [text, setText] = useState("");
  const [found, setFound] = useState<readonly ClientRow[]>([]);
  const [open, setOpen] = useState(false);
  useEffect(() => {
    if (text === "") {
      setFound([]);
      return;
    }
    const abort = new AbortController();
    const timer = setTimeout(() => {
      read<{ items: readonly ClientRow[] }>("/clients", { prefix: text, limit: 6 }, abort.signal).then(
        ({ items }) => setFound(items),
        () => setFound([]),
      );
    }, 150);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [text]);
  const leave = (): void => {
    setText("");
    setOpen(false);
    (document.activeElement as HTMLElement | null)?.blur();
  };
  return (
    <form
      role="search"
      class="search"
      onSubmit={(event) => {
        event.preventDefault();
        if (text === "") return;
        const exact = found.find(({ clientId }) => clientId === text);
        go(
          exact === undefined
            ? addressOf("/clients", { text })
            : withId("/clients", exact.clientId, { gateway: exact.gateway }),
        );
        leave();
      }}
      onFocusOut={({ currentTarget, relatedTarget }) => {
        if (!currentTarget.contains(relatedTarget as Node | null)) setOpen(false);
      }}
    >
      <Icon name="search" />
      <input
        type="search"
        id="search"
        value={text}
        placeholder="search id, user, address ( / )"
        aria-label="search clients"
        autocomplete="off"
        onFocus={() => setOpen(true)}
        onInput={({ currentTarget }) => setText(currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") leave();
        }}
      />
      {open && found.length > 0 ? (
        <ul class="found">
          {found.map(({ clientId, gateway, address: from }) => (
            <li>
              <a
                href={withId("/clients", clientId, { gateway })}
                onClick={(event) => {
                  event.preventDefault();
                  go(withId("/clients", clientId, { gateway }));
                  leave();
                }}
              >
                <Text text={clientId} most={32} /> <span class="second">{gateway}</span> <Text text={from} />
              </a>
            </li>
          ))}
        </ul>
      ) : null}
    </form>
  );
}
