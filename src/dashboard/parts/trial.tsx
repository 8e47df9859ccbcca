/** Changes of the configuration are tried first, with what they do; then applied, where nobody was faster. */

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { Changed } from "../../api/answers/config.ts";
import { Problem, type Query } from "../lib/api.ts";
import { may } from "../lib/session.ts";
import { Button, Failed, Level, Text } from "./basic.tsx";
import { Value } from "./value.tsx";

const EFFECTS = {
  live: "at once",
  listener: "is closed and opened: its clients connect again",
  gateway: "is stopped and started, and its clients connect again",
  restart: "at the next start",
} as const;

/** What a change does, key by key. */
const Effects = ({ changed: { changes, warnings } }: { readonly changed: Changed }) => (
  <div role="status" class="effects">
    {changes.length === 0 ? <p>Nothing is different.</p> : null}
    {changes.map(({ key, before, after, effect, of }) => (
      <div key={key}>
        <Text text={key} />: {before === undefined ? "nothing" : <Value value={before} />} →{" "}
        {after === undefined ? "nothing" : <Value value={after} />}{" "}
        <Level level={effect === "live" ? "ok" : "warning"}>
          {of === undefined ? null : (
            <>
              <Text text={of} />{" "}
            </>
          )}
          {EFFECTS[effect]}
        </Level>
      </div>
    ))}
    {warnings.map((warning) => (
      <p class="bad-text">
        <Text text={warning} mono={false} />
      </p>
    ))}
  </div>
);

const asProblem = (error: unknown): Problem =>
  error instanceof Problem ? error : new Problem(0, { title: "It was not done", detail: String(error) });

interface Sending {
  readonly query: Query;
  readonly headers: Readonly<Record<string, string>>;
}

interface TrialProps {
  readonly children: ComponentChildren;
  /** What is in the fields: when that is another, nothing of it was tried. */
  readonly of: string;
  /** Why what is in the fields cannot be sent. */
  readonly wrong?: string | undefined;
  readonly method?: "dialog";
  send(how: Sending): Promise<Response>;
  /** It was applied. */
  done(changed: Changed): void;
  close?(): void;
}

/** A form whose button first tries, and then applies what was tried. */
export function Trial({ children, of, wrong, method, send, done, close }: TrialProps) {
  const [tried, setTried] = useState<{ of: string; changed: Changed; etag: string } | undefined>(undefined);
  const [problem, setProblem] = useState<Problem | undefined>(undefined);
  const [busy, setBusy] = useState(false);
  const current = tried?.of === of ? tried : undefined;
  const step = async (): Promise<void> => {
    setBusy(true);
    setProblem(undefined);
    try {
      const answer = await send({
        query: { dryRun: current === undefined },
        headers: current === undefined ? {} : { "if-match": current.etag },
      });
      const changed = (await answer.json()) as Changed;
      if (current === undefined) setTried({ of, changed, etag: answer.headers.get("etag") ?? "*" });
      else {
        setTried(undefined);
        done(changed);
      }
    } catch (error) {
      setTried(undefined);
      setProblem(asProblem(error));
    }
    setBusy(false);
  };
  return (
    <form
      class="form"
      method={method}
      onSubmit={(event) => {
        event.preventDefault();
        if (!busy && wrong === undefined && may("administrator")) void step();
      }}
    >
      {children}
      {wrong === undefined ? null : <p class="bad-text">{wrong}</p>}
      {current === undefined ? null : <Effects changed={current.changed} />}
      {problem === undefined ? null : <Failed problem={problem} />}
      <div class="buttons">
        {close === undefined ? null : <Button onClick={close}>Leave it</Button>}
        <Button type="submit" kind="main" needs="administrator" disabled={busy || wrong !== undefined}>
          {current === undefined ? "Try it" : "Apply"}
        </Button>
      </div>
    </form>
  );
}
