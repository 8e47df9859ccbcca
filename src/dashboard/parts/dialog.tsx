/** Asks before what cannot be taken back, and tells in one line what became of what was done. */
import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { Problem } from "../lib/api.ts";
import { plain } from "../lib/visible.ts";
import { Button, Failed, Field, Input } from "./basic.tsx";

interface Question {
  readonly title: ComponentChildren;
  /** What it does, and to what. */
  readonly effect: ComponentChildren;
  readonly verb: string;
  readonly bad?: boolean;
  /** Must be typed, for what concerns many. */
  readonly typed?: string;
  act(): Promise<void>;
}

const question = signal<Question | undefined>(undefined);
export const askFirst = (asked: Question): void => {
  question.value = asked;
};

interface DialogProps {
  readonly title: ComponentChildren;
  readonly children: ComponentChildren;
  close(): void;
}

/**
 * A modal dialog of the browser: focus stays in it, Esc closes it. Focus goes back where it was when it closes, not when it is
 * taken away: so it is closed first.
 */
export function Dialog({ title, children, close }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const dialog = element.current;
    dialog?.showModal();
    dialog?.addEventListener("close", close);
    return () => {
      dialog?.removeEventListener("close", close);
      dialog?.close();
    };
  }, []);
  return (
    <dialog ref={element} aria-labelledby="dialog-title">
      <h2 id="dialog-title">{title}</h2>
      {children}
    </dialog>
  );
}

export function Questions() {
  const asked = question.value;
  if (asked === undefined) return null;
  return <Asking key={asked.verb} asked={asked} />;
}

function Asking({ asked }: { readonly asked: Question }) {
  const [typed, setTyped] = useState("");
  const [problem, setProblem] = useState<Problem | undefined>(undefined);
  const [busy, setBusy] = useState(false);
  const close = (): void => {
    question.value = undefined;
  };
  const act = async (): Promise<void> => {
    setBusy(true);
    try {
      await asked.act();
      close();
    } catch (error) {
      setProblem(
        error instanceof Problem
          ? error
          : new Problem(0, { title: "It was not done", detail: String(error) }),
      );
      setBusy(false);
    }
  };
  return (
    <Dialog title={asked.title} close={close}>
      <form
        method="dialog"
        onSubmit={(event) => {
          event.preventDefault();
          if (!busy && (asked.typed === undefined || asked.typed === typed)) void act();
        }}
      >
        <div>{asked.effect}</div>
        {asked.typed === undefined ? null : (
          <Field label={`Type ${asked.typed} to go on`}>
            <Input value={typed} onText={setTyped} autocomplete="off" />
          </Field>
        )}
        {problem === undefined ? null : <Failed problem={problem} />}
        <div class="buttons">
          <Button onClick={close}>Leave it</Button>
          <Button
            type="submit"
            kind={asked.bad === false ? "main" : "bad"}
            disabled={busy || (asked.typed !== undefined && asked.typed !== typed)}
          >
            {asked.verb}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

// ---- what became of it

interface Notice {
  readonly text: string;
  readonly bad: boolean;
  readonly times: number;
}

const notices = signal<readonly Notice[]>([]);
const NOTICES = 3;
const SHOWN_MS = 6_000;

/** However many come at once: three are seen, and what is said again is counted. */
export function tell(text: string, { bad = false } = {}): void {
  const same = notices.value.find((one) => one.text === text);
  const rest = notices.value.filter((one) => one !== same).slice(-(NOTICES - 1));
  const now = { text, bad, times: (same?.times ?? 0) + 1 };
  notices.value = [...rest, now];
  setTimeout(() => {
    notices.value = notices.value.filter((one) => one !== now);
  }, SHOWN_MS);
}

/** For orders whose answer is only that they were carried out. */
export async function carryOut(what: string, order: () => Promise<unknown>): Promise<boolean> {
  try {
    await order();
    tell(what);
    return true;
  } catch (error) {
    tell(error instanceof Problem ? `${error.message}: ${error.detail}` : String(error), { bad: true });
    return false;
  }
}

export const Notices = () => (
  <div class="notices" role="status" aria-live="polite">
    {notices.value.map(({ text, bad, times }) => (
      <p class={bad ? "bad" : undefined} key={text}>
        {plain(text)}
        {times > 1 ? ` (${times} times)` : ""}
      </p>
    ))}
  </div>
);
