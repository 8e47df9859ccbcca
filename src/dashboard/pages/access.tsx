/** Users, API keys and open sessions; one's own password. */

import { useState } from "preact/hooks";
import type { Key, NewKey, SignIn, User } from "../../api/answers/accounts.ts";
import { address, change } from "../lib/address.ts";
import { ask, nodeNow, type Page, Problem } from "../lib/api.ts";
import { useAsk } from "../lib/asking.ts";
import { age, due, moment } from "../lib/format.ts";
import { may, signedIn } from "../lib/session.ts";
import { plain } from "../lib/visible.ts";
import { Button, Choice, Empty, Failed, Field, Input, Part, Tabs, Text, When } from "../parts/basic.tsx";
import { askFirst, carryOut, Dialog, tell } from "../parts/dialog.tsx";
import { Table } from "../parts/table.tsx";

const ROLES = ["viewer", "operator", "administrator", "publisher"];

export function AccessPage() {
  const tab = address.value.query.get("tab") ?? (may("administrator") ? "users" : "password");
  return (
    <>
      <h1>Access</h1>
      <Tabs
        at={tab}
        onTab={(to) => change({ tab: to })}
        tabs={[
          ["users", "Users"],
          ["keys", "API keys"],
          ["sessions", "Open sessions"],
          ["password", "My password"],
        ]}
      />
      {tab !== "password" && !may("administrator") ? (
        <Empty>Users, keys and sessions need the role administrator.</Empty>
      ) : null}
      {may("administrator") && tab === "users" ? <Users /> : null}
      {may("administrator") && tab === "keys" ? <Keys /> : null}
      {may("administrator") && tab === "sessions" ? <Sessions /> : null}
      {tab === "password" ? <Password /> : null}
    </>
  );
}

function Users() {
  const asked = useAsk<Page<User>>("/users", { limit: 1_000, sort: "name" }, 10);
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [role, setRole] = useState("viewer");
  const [reset, setReset] = useState<string | undefined>(undefined);
  return (
    <>
      <Part title="Make a user">
        <form
          class="row"
          onSubmit={async (event) => {
            event.preventDefault();
            if (
              await carryOut(`${name} may sign in`, () =>
                ask("POST", "/users", { body: { name, password, role } }),
              )
            ) {
              setName("");
              setPassword("");
              asked.again();
            }
          }}
        >
          <Field label="Name">
            <Input value={name} onText={setName} required autocomplete="off" />
          </Field>
          <Field label="Password (12 characters at least)">
            <Input
              value={password}
              onText={setPassword}
              type="password"
              required
              autocomplete="new-password"
            />
          </Field>
          <Field label="Role">
            <Choice value={role} of={ROLES} onChoice={setRole} />
          </Field>
          <Button type="submit" kind="main" icon="user">
            Make
          </Button>
        </form>
      </Part>
      <When asked={asked} lines={4}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty>Nobody has an account. Whoever uses this machine may do everything.</Empty>
          ) : (
            <Table
              caption="Users"
              rows={items}
              keyOf={(row) => row.name}
              columns={[
                {
                  name: "name",
                  title: "Name",
                  phone: "title",
                  cell: (row) => <Text text={row.name} mono={false} />,
                },
                {
                  name: "role",
                  title: "Role",
                  cell: (row) => (
                    <Choice
                      label={`role of ${plain(row.name)}`}
                      value={row.role}
                      of={ROLES}
                      onChoice={(to) =>
                        void carryOut(`${row.name} has the role ${to}`, () =>
                          ask("PATCH", `/users/${encodeURIComponent(row.name)}`, { body: { role: to } }),
                        ).then(asked.again)
                      }
                    />
                  ),
                },
                {
                  name: "seen",
                  title: "Seen",
                  numeric: true,
                  cell: (row) => (row.seenAt === undefined ? "–" : `${age(row.seenAt)} ago`),
                },
                { name: "made", title: "Made", numeric: true, cell: (row) => moment(row.createdAt) },
                {
                  name: "act",
                  title: "Act",
                  cell: (row) => (
                    <span class="actions">
                      <Button small label={`new password for ${row.name}`} onClick={() => setReset(row.name)}>
                        Password
                      </Button>
                      <Button
                        small
                        label={`remove ${row.name}`}
                        onClick={() =>
                          askFirst({
                            title: "Remove a user",
                            effect: (
                              <>
                                <Text text={row.name} mono={false} /> may not sign in any more, and open
                                sessions of that name end.
                              </>
                            ),
                            verb: "Remove",
                            async act() {
                              await ask("DELETE", `/users/${encodeURIComponent(row.name)}`);
                              tell("The user is removed");
                              asked.again();
                            },
                          })
                        }
                      >
                        Remove
                      </Button>
                    </span>
                  ),
                },
              ]}
            />
          )
        }
      </When>
      {reset === undefined ? null : <NewPassword name={reset} close={() => setReset(undefined)} />}
    </>
  );
}

function NewPassword({ name, close }: { readonly name: string; close(): void }) {
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState<Problem | undefined>(undefined);
  return (
    <Dialog
      title={
        <>
          New password for <Text text={name} mono={false} />
        </>
      }
      close={close}
    >
      <form
        method="dialog"
        onSubmit={async (event) => {
          event.preventDefault();
          try {
            await ask("PATCH", `/users/${encodeURIComponent(name)}`, { body: { password } });
            tell("The password is set; sessions of that name have ended");
            close();
          } catch (error) {
            if (error instanceof Problem) setProblem(error);
          }
        }}
      >
        <Field label="Password">
          <Input value={password} onText={setPassword} type="password" required autocomplete="new-password" />
        </Field>
        {problem === undefined ? null : <Failed problem={problem} />}
        <div class="buttons">
          <Button onClick={close}>Leave it</Button>
          <Button type="submit" kind="main">
            Set it
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

const LENGTHS = [
  ["", "never"],
  ["7", "after 7 d"],
  ["90", "after 90 d"],
  ["365", "after 1 year"],
] as const;

function Keys() {
  const asked = useAsk<Page<Key>>("/keys", { limit: 1_000, sort: "name" }, 10);
  const [name, setName] = useState("");
  const [role, setRole] = useState("publisher");
  const [days, setDays] = useState("");
  const [secret, setSecret] = useState<string | undefined>(undefined);
  return (
    <>
      <Part title="Make a key">
        <form
          class="row"
          onSubmit={async (event) => {
            event.preventDefault();
            const ends =
              days === "" ? {} : { expiresAt: new Date(nodeNow() + Number(days) * 86_400_000).toISOString() };
            await carryOut("The key is made", async () => {
              const { key } = await ask<NewKey>("POST", "/keys", { body: { name, role, ...ends } });
              setSecret(key);
              setName("");
            });
            asked.again();
          }}
        >
          <Field label="What for">
            <Input value={name} onText={setName} required />
          </Field>
          <Field label="Role">
            <Choice value={role} of={ROLES} onChoice={setRole} />
          </Field>
          <Field label="Ends">
            <Choice value={days} of={LENGTHS} onChoice={setDays} />
          </Field>
          <Button type="submit" kind="main" icon="key">
            Make
          </Button>
        </form>
        {secret === undefined ? null : (
          <div class="secret" role="status">
            <p>
              <b>Your key. It will not be shown again.</b>
            </p>
            <code>{secret}</code>
            <div class="actions">
              <Button small icon="copy" onClick={() => void navigator.clipboard?.writeText(secret)}>
                Copy
              </Button>
              <Button small onClick={() => setSecret(undefined)}>
                I have it
              </Button>
            </div>
          </div>
        )}
      </Part>
      <When asked={asked} lines={4}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty>There is no key.</Empty>
          ) : (
            <Table
              caption="API keys"
              rows={items}
              keyOf={(row) => row.id}
              columns={[
                {
                  name: "name",
                  title: "What for",
                  phone: "title",
                  cell: (row) => <Text text={row.name} mono={false} most={40} />,
                },
                { name: "id", title: "Id", cell: (row) => <Text text={row.id} /> },
                { name: "role", title: "Role", cell: (row) => row.role },
                {
                  name: "ends",
                  title: "Ends",
                  numeric: true,
                  cell: (row) => (row.expiresAt === undefined ? "never" : due(row.expiresAt)),
                },
                {
                  name: "used",
                  title: "Used",
                  numeric: true,
                  cell: (row) =>
                    row.usedAt === undefined ? "not since the start" : `${age(row.usedAt)} ago`,
                },
                {
                  name: "act",
                  title: "Act",
                  cell: (row) => (
                    <Button
                      small
                      disabled={row.fromFile}
                      label={row.fromFile ? "it stands in api.keysFile" : `delete the key ${row.name}`}
                      onClick={() =>
                        askFirst({
                          title: "Delete a key",
                          effect: (
                            <>
                              Who uses <Text text={row.name} mono={false} /> is refused from now on.
                            </>
                          ),
                          verb: "Delete",
                          async act() {
                            await ask("DELETE", `/keys/${encodeURIComponent(row.id)}`);
                            tell("The key is deleted");
                            asked.again();
                          },
                        })
                      }
                    >
                      Delete
                    </Button>
                  ),
                },
              ]}
            />
          )
        }
      </When>
    </>
  );
}

function Sessions() {
  const asked = useAsk<readonly SignIn[]>("/sign-ins", {}, 5);
  return (
    <When asked={asked} lines={3}>
      {(rows) =>
        rows.length === 0 ? (
          <Empty>Nobody is signed in.</Empty>
        ) : (
          <>
            <Table
              caption="Open sessions"
              rows={rows}
              keyOf={(row) => row.id}
              columns={[
                {
                  name: "name",
                  title: "Name",
                  phone: "title",
                  cell: (row) => <Text text={row.name} mono={false} />,
                },
                { name: "address", title: "From", cell: (row) => <Text text={row.address} /> },
                { name: "since", title: "Since", numeric: true, cell: (row) => moment(row.since) },
                { name: "seen", title: "Seen", numeric: true, cell: (row) => `${age(row.seenAt)} ago` },
                { name: "until", title: "Ends", numeric: true, cell: (row) => due(row.until) },
                {
                  name: "act",
                  title: "Act",
                  cell: (row) => (
                    <Button
                      small
                      label={`end the session of ${row.name}`}
                      onClick={() =>
                        void carryOut("The session is ended", () =>
                          ask("DELETE", "/sign-ins", { query: { id: row.id } }),
                        ).then(asked.again)
                      }
                    >
                      End
                    </Button>
                  ),
                },
              ]}
            />
            <div class="table-foot">
              <Button
                onClick={() =>
                  askFirst({
                    title: "End all sessions",
                    effect: `${rows.length} sessions end, yours too.`,
                    verb: "End all",
                    async act() {
                      await ask("DELETE", "/sign-ins");
                      asked.again();
                    },
                  })
                }
              >
                End all
              </Button>
            </div>
          </>
        )
      }
    </When>
  );
}

function Password() {
  const [old, setOld] = useState("");
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const [problem, setProblem] = useState<Problem | undefined>(undefined);
  if (signedIn()?.kind !== "user")
    return <Empty>You have not signed in with an account, so there is no password.</Empty>;
  const differs = again !== "" && again !== password;
  return (
    <Part title="My password">
      <form
        class="form narrow"
        onSubmit={async (event) => {
          event.preventDefault();
          if (differs) return;
          setProblem(undefined);
          try {
            await ask("PUT", "/session/password", { body: { old, password } });
            setOld("");
            setPassword("");
            setAgain("");
            tell("Your password is changed; your other sessions have ended");
          } catch (error) {
            if (error instanceof Problem) setProblem(error);
          }
        }}
      >
        <Field label="Password now">
          <Input type="password" value={old} onText={setOld} required autocomplete="current-password" />
        </Field>
        <Field label="New password (12 characters at least)">
          <Input type="password" value={password} onText={setPassword} required autocomplete="new-password" />
        </Field>
        <Field label="New password again" error={differs ? "differs from the first" : undefined}>
          <Input type="password" value={again} onText={setAgain} required autocomplete="new-password" />
        </Field>
        {problem === undefined ? null : <Failed problem={problem} />}
        <div class="row">
          <Button type="submit" kind="main">
            Change it
          </Button>
        </div>
      </form>
    </Part>
  );
}
