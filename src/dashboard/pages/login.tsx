/** The first account, by the code from the log, and signing in. */
import { useState } from "preact/hooks";
import { address, addressOf, BASE, go } from "../lib/address.ts";
import { ask, Problem } from "../lib/api.ts";
import { entered, lookingAround, type Session, signedIn } from "../lib/session.ts";
import { Button, Failed, Field, Input } from "../parts/basic.tsx";
import { Icon } from "../parts/icons.tsx";

const problemOf = (error: unknown): Problem =>
  error instanceof Problem ? error : new Problem(0, { title: "The dashboard failed", detail: String(error) });

/** Where somebody wanted to go; whose session has ended on a page is there already. */
function arrive(): void {
  if (address.value.parts[0] === "login") go(back(), { replace: true });
}

/** A page of this dashboard and nowhere else. */
const back = (): string => {
  const to = address.value.query.get("to") ?? "/";
  return to.startsWith("/") && !to.startsWith("//") && !to.includes("\\") ? `${BASE}${to}` : addressOf("/");
};

const Brand = () => (
  <p class="brand">
    <Icon name="translation" /> Isthmus
  </p>
);

export function Login() {
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState<Problem | undefined>(undefined);
  const [busy, setBusy] = useState(false);
  if (signedIn()?.kind === "user") arrive();
  const signIn = async (): Promise<void> => {
    setBusy(true);
    try {
      entered(await ask<Session>("POST", "/session", { body: { name, password } }));
      arrive();
    } catch (error) {
      setProblem(problemOf(error));
      setPassword("");
    }
    setBusy(false);
  };
  return (
    <main class="alone">
      <Brand />
      <h1>Sign in</h1>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (!busy) void signIn();
        }}
      >
        <Field label="Name">
          <Input value={name} onText={setName} autocomplete="username" required autofocus />
        </Field>
        <Field label="Password">
          <Input
            value={password}
            onText={setPassword}
            type="password"
            autocomplete="current-password"
            required
          />
        </Field>
        {problem === undefined ? null : <Failed problem={problem} />}
        <Button type="submit" kind="main" disabled={busy}>
          Sign in
        </Button>
      </form>
    </main>
  );
}

const LEAST = 12;

/** `open`: this machine is trusted until there is an account. */
export function Setup({ open }: { readonly open: boolean }) {
  const [code, setCode] = useState("");
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const [problem, setProblem] = useState<Problem | undefined>(undefined);
  const [busy, setBusy] = useState(false);
  const differs = again !== "" && again !== password;
  const short = password !== "" && password.length < LEAST;
  const make = async (): Promise<void> => {
    setBusy(true);
    try {
      entered(await ask<Session>("POST", "/setup", { body: { code, name, password } }));
      go(addressOf("/"), { replace: true });
    } catch (error) {
      setProblem(problemOf(error));
    }
    setBusy(false);
  };
  return (
    <main class="alone">
      <Brand />
      <h1>First run</h1>
      <p>
        Nobody has an account yet. The log of this node shows a code of 8 × 4 letters and digits: only who can
        read the log can take the node.
      </p>
      {open ? null : (
        <p class="failed">
          Until there is an account the node answers to its own machine only. Open this page there, or run{" "}
          <code>isthmus admin add NAME</code>.
        </p>
      )}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (!busy && !differs && !short) void make();
        }}
      >
        <Field label="Code from the log" hint="In the line: nobody has an account yet">
          <Input
            value={code}
            onText={setCode}
            autocomplete="off"
            spellcheck={false}
            required
            autofocus
            placeholder="XXXX-XXXX-XXXX-XXXX-XXXX-XXXX-XXXX-XXXX"
          />
        </Field>
        <Field label="Name of the first administrator">
          <Input value={name} onText={setName} autocomplete="username" required />
        </Field>
        <Field
          label="Password"
          hint={`${LEAST} characters at least, and none that everybody tries`}
          error={short ? "too short" : undefined}
        >
          <Input value={password} onText={setPassword} type="password" autocomplete="new-password" required />
        </Field>
        <Field label="Password again" error={differs ? "differs from the first" : undefined}>
          <Input value={again} onText={setAgain} type="password" autocomplete="new-password" required />
        </Field>
        {problem === undefined ? null : <Failed problem={problem} />}
        <div class="buttons">
          <Button type="submit" kind="main" disabled={busy || differs || short}>
            Make the account
          </Button>
          {open ? (
            <Button
              onClick={() => {
                lookingAround.value = true;
                if (address.value.parts[0] === "setup") go(addressOf("/"), { replace: true });
              }}
            >
              Look around first
            </Button>
          ) : null}
        </div>
        {open ? (
          <p class="second">Without an account, whoever uses this machine may do everything here.</p>
        ) : null}
      </form>
    </main>
  );
}
