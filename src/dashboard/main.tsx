import type { ComponentType } from "preact";
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Node } from "../api/answers/node.ts";
import { Frame, MENU } from "./frame.tsx";
import { KeyList, useKeys } from "./keys.tsx";
import { address, addressOf, go } from "./lib/address.ts";
import { Problem } from "./lib/api.ts";
import { useAsk } from "./lib/asking.ts";
import { toHeading } from "./lib/heading.ts";
import { expected, findSession, lookingAround, session, signedIn } from "./lib/session.ts";
import { Clients } from "./pages/clients.tsx";
import { Login, Setup } from "./pages/login.tsx";
import { Overview } from "./pages/overview.tsx";
import { Refusals } from "./pages/refusals.tsx";
import { Failed, Lines, Link } from "./parts/basic.tsx";
import { Notices, Questions } from "./parts/dialog.tsx";
import { Icon } from "./parts/icons.tsx";
import { RowMenu } from "./parts/row-menu.tsx";

type Page = ComponentType<object>;

/** What is opened seldom, or is large, is loaded when it is opened. */
const LATER: Readonly<Record<string, () => Promise<Page>>> = {
  client: async () => (await import("./pages/client.tsx")).Client,
  translation: async () => (await import("./pages/translation.tsx")).Translation,
  topics: async () => (await import("./pages/topics.tsx")).Topics,
  messages: async () => (await import("./pages/messages.tsx")).Messages,
  lwm2m: async () => (await import("./pages/lwm2m.tsx")).Lwm2m,
  firmware: async () => (await import("./pages/firmware.tsx")).Firmware,
  gateways: async () => (await import("./pages/gateways.tsx")).Gateways,
  upstream: async () => (await import("./pages/upstream.tsx")).Upstream,
  rules: async () => (await import("./pages/rules.tsx")).Rules,
  connectors: async () => (await import("./pages/connectors.tsx")).Connectors,
  alarms: async () => (await import("./pages/alarms.tsx")).Alarms,
  bans: async () => (await import("./pages/bans.tsx")).Bans,
  changes: async () => (await import("./pages/changes.tsx")).Changes,
  config: async () => (await import("./pages/config.tsx")).Configuration,
  logins: async () => (await import("./pages/logins.tsx")).Logins,
  access: async () => (await import("./pages/access.tsx")).AccessPage,
  about: async () => (await import("./pages/about.tsx")).About,
};
const NOW: Readonly<Record<string, Page>> = {
  "": Overview,
  clients: Clients,
  refusals: Refusals,
  more: More,
};

const loaded = new Map<string, Page>();

function Later({ name }: { readonly name: string }) {
  const [page, setPage] = useState<{ readonly is: Page } | Problem | undefined>(undefined);
  useEffect(() => {
    let ended = false;
    setPage(undefined);
    LATER[name]!().then(
      (found) => {
        loaded.set(name, found);
        if (!ended) setPage({ is: found });
      },
      () => {
        if (!ended)
          setPage(
            new Problem(0, {
              title: "This page could not be loaded",
              detail: "The node may have been updated: load the dashboard again.",
            }),
          );
      },
    );
    return () => {
      ended = true;
    };
  }, [name]);
  const Known = loaded.get(name);
  if (Known !== undefined) return <Known />;
  if (page instanceof Problem) return <Failed problem={page} again={() => location.reload()} />;
  return page === undefined ? <Lines count={8} /> : <page.is />;
}

function Content() {
  const { parts } = address.value;
  const [first = "", second] = parts;
  const name = first === "clients" && second !== undefined && second !== "" ? "client" : first;
  if (Object.hasOwn(NOW, name)) {
    const Now = NOW[name]!;
    return <Now />;
  }
  if (Object.hasOwn(LATER, name)) return <Later key={name} name={name} />;
  return (
    <div class="empty">
      <h1>There is no page here</h1>
      <Link to={addressOf("/")}>To the overview</Link>
    </div>
  );
}

function More() {
  return (
    <>
      <h1>More</h1>
      <nav class="more" aria-label="all pages">
        {MENU.map(({ group, entries }) => (
          <>
            <h2>{group}</h2>
            {entries.map(({ name, title, icon }) => (
              <Link to={addressOf(`/${name}`)}>
                <Icon name={icon} /> {title}
              </Link>
            ))}
          </>
        ))}
      </nav>
    </>
  );
}

function App() {
  const known = session.value;
  const first = address.value.parts[0] ?? "";
  useKeys();
  useTitle();
  const nobodyYet =
    (typeof known === "object" &&
      !(known instanceof Problem) &&
      known.kind === "local" &&
      known.name === "this machine") ||
    (known instanceof Problem && known.code === "no-account");
  if (known === "unknown") {
    // As index.html has it, which is painted before this script has run.
    return (
      <>
        <p class="opening">Isthmus</p>
        <Lines />
      </>
    );
  }
  if (nobodyYet && (!lookingAround.value || first === "setup"))
    return <Setup open={!(known instanceof Problem)} />;
  if (known instanceof Problem) {
    return (
      <div class="alone">
        <h1>Isthmus</h1>
        <Failed problem={known} again={() => void findSession()} />
      </div>
    );
  }
  const away = known === "nobody" && expected.value !== undefined && first !== "login";
  if (!away && (known === "nobody" || first === "login")) return <Login />;
  if (first === "setup") {
    go(addressOf("/"), { replace: true });
    return null;
  }
  return (
    <>
      {away ? <Login key="login" /> : null}
      <div key={`inside ${signedIn()?.name ?? expected.value}`} class="inside" hidden={away}>
        <Inside />
      </div>
    </>
  );
}

function Inside() {
  const node = useAsk<Node>(signedIn()?.role === "publisher" ? undefined : "/node");
  if (signedIn()?.role === "publisher") {
    return (
      <div class="alone">
        <h1>Isthmus</h1>
        <p>
          The role publisher may publish over HTTP, and see nothing. Ask an administrator for the role viewer.
        </p>
      </div>
    );
  }
  return (
    <Frame node={node.data?.name}>
      <Content />
    </Frame>
  );
}

/** On a change of page focus goes to its heading, as soon as there is one, and the title says where we are. */
function useTitle(): void {
  const path = address.value.parts.join("/");
  useEffect(() => {
    const entry = MENU.flatMap(({ entries }) => entries).find(
      ({ name }) => name === (address.value.parts[0] ?? ""),
    );
    document.title = `${entry?.title ?? "Isthmus"} · Isthmus`;
    toHeading();
    // Its parts come later, and a heading may make way for another: until somebody goes on.
    const watch = new MutationObserver(toHeading);
    const end = (): void => watch.disconnect();
    if (root !== null) watch.observe(root, { childList: true, subtree: true });
    document.addEventListener("keydown", end, { once: true });
    document.addEventListener("pointerdown", end, { once: true });
    return () => {
      end();
      document.removeEventListener("keydown", end);
      document.removeEventListener("pointerdown", end);
    };
  }, [path]);
}

const root = document.querySelector("#app");
if (root !== null) {
  void findSession();
  root.replaceChildren();
  render(
    <>
      <App />
      <Questions />
      <KeyList />
      <RowMenu />
      <Notices />
    </>,
    root,
  );
}
