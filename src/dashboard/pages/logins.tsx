/** Who may connect: the lists of users and of client ids that chains of the configuration name. */

import { useState } from "preact/hooks";
import type { Login, LoginList } from "../../api/answers/logins.ts";
import { address } from "../lib/address.ts";
import { apiAddress, apiPart, ask, type Page, Problem, type Query, request } from "../lib/api.ts";
import { useAsk } from "../lib/asking.ts";
import { age } from "../lib/format.ts";
import { count } from "../lib/quantities.ts";
import { may } from "../lib/session.ts";
import { Button, Check, Empty, Failed, Field, Input, Part, Tabs, Text, When } from "../parts/basic.tsx";
import { askFirst, carryOut, Dialog, tell } from "../parts/dialog.tsx";
import { Icon } from "../parts/icons.tsx";
import { Pager, Table, usePages } from "../parts/table.tsx";

const EXAMPLE = "authentication: { chain: [{ kind: user-list }] }";

export function Logins() {
  const asked = useAsk<{ readonly items: readonly LoginList[] }>("/authentication/lists", {}, 10);
  const wanted = address.value.query.get("list");
  const pages = usePages();
  return (
    <>
      <h1>Logins</h1>
      <When asked={asked} lines={6}>
        {({ items }) => {
          const list = items.find((one) => one.list === wanted) ?? items[0];
          if (list === undefined) {
            return (
              <Empty>
                <p>
                  No chain of the configuration has a list of users or of client ids. With one, who may
                  connect is said here:
                </p>
                <pre class="mono">{EXAMPLE}</pre>
              </Empty>
            );
          }
          return (
            <div class="stack">
              <Tabs
                at={list.list}
                onTab={(to) => pages.restart({ list: to, search: undefined })}
                tabs={items.map((one) => [
                  one.list,
                  <>
                    <Text text={one.list} mono={false} /> <span class="second">{count(one.entries)}</span>
                  </>,
                ])}
              />
              <OneList key={list.list} list={list} pages={pages} again={asked.again} />
            </div>
          );
        }}
      </When>
    </>
  );
}

interface ListProps {
  readonly list: LoginList;
  again(): void;
}

function OneList({ list, pages, again: all }: ListProps & { readonly pages: ReturnType<typeof usePages> }) {
  const { query } = address.value;
  const search = query.get("search") ?? "";
  const sort = query.get("sort") ?? "name";
  const path = `/authentication/${list.of}`;
  const asked = useAsk<Page<Login>>(
    path,
    { list: list.list, search, sort, cursor: pages.cursor, limit: 100 },
    10,
    true,
  );
  const [reset, setReset] = useState<Login | undefined>(undefined);
  const again = (): void => {
    asked.again();
    all();
  };
  return (
    <div class="stack">
      <Add list={list} again={again} />
      <div class="filters">
        <Field label={list.of === "users" ? "Name holds" : "Client id holds"}>
          <Input type="search" value={search} onText={(text) => pages.restart({ search: text })} />
        </Field>
        <Files list={list} again={again} />
      </div>
      <When asked={asked} lines={6}>
        {({ items, next, count: found }) =>
          items.length === 0 ? (
            <Empty>{search === "" ? "Nobody is on this list." : "None holds that text."}</Empty>
          ) : (
            <>
              <Table
                caption={list.of === "users" ? "Users that may connect" : "Client ids that may connect"}
                rows={items}
                count={found}
                keyOf={nameOf}
                sort={sort}
                onSort={(by) => pages.restart({ sort: by })}
                columns={[
                  {
                    name: "name",
                    title: list.of === "users" ? "User" : "Client id",
                    sort: "name",
                    phone: "title",
                    cell: (row) => <Text text={nameOf(row)} most={40} />,
                  },
                  {
                    name: "held",
                    title: "Only as client",
                    phone: "label",
                    cell: (row) => (list.of === "users" ? <Text text={row.clientId} most={40} /> : "–"),
                  },
                  {
                    name: "password",
                    title: "Logs in by",
                    phone: "label",
                    cell: ({ password, scram }) =>
                      [password ? "password" : "", scram === true ? "SCRAM" : ""]
                        .filter(Boolean)
                        .join(", ") || "its name alone",
                  },
                  {
                    name: "superuser",
                    title: "Rules for topics",
                    phone: "label",
                    cell: ({ superuser }) => (superuser ? "skipped (superuser)" : "hold"),
                  },
                  {
                    name: "changed",
                    title: "Changed",
                    sort: "changedAt",
                    numeric: true,
                    cell: ({ changedAt }) => `${age(changedAt)} ago`,
                  },
                  {
                    name: "act",
                    title: "Act",
                    cell: (row) => (
                      <span class="actions">
                        <Button
                          small
                          needs="administrator"
                          label={`change ${nameOf(row)}`}
                          onClick={() => setReset(row)}
                        >
                          Change
                        </Button>
                        <Button
                          small
                          needs="administrator"
                          label={`remove ${nameOf(row)}`}
                          onClick={() => remove(list, row, again)}
                        >
                          Remove
                        </Button>
                      </span>
                    ),
                  },
                ]}
              />
              <div class="table-foot">
                <Pager shown={items.length} count={found} next={next} pages={pages} />
              </div>
            </>
          )
        }
      </When>
      {reset === undefined ? null : (
        <Change list={list} login={reset} again={again} close={() => setReset(undefined)} />
      )}
    </div>
  );
}

const nameOf = ({ username, clientId }: Login): string => username ?? clientId ?? "";

/** Where one entry is. */
function entryOf(list: LoginList, name: string): { readonly path: string; readonly query: Query } {
  const { part, query } = apiPart(name, "name");
  return { path: `/authentication/${list.of}/${part}`, query: { ...query, list: list.list } };
}

function Add({ list, again }: ListProps) {
  const users = list.of === "users";
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [held, setHeld] = useState("");
  const [superuser, setSuperuser] = useState(false);
  return (
    <Part title={users ? "Add a user" : "Add a client id"}>
      <form
        class="row"
        onSubmit={async (event) => {
          event.preventDefault();
          if (!may("administrator")) return;
          const body = {
            [users ? "username" : "clientId"]: name,
            ...(password === "" ? {} : { password }),
            ...(users && held !== "" ? { clientId: held } : {}),
            superuser,
          };
          const added = await carryOut(`${name} may connect`, () =>
            ask("POST", `/authentication/${list.of}`, { query: { list: list.list }, body }),
          );
          if (!added) return;
          setName("");
          setPassword("");
          setHeld("");
          again();
        }}
      >
        <Field label={users ? "User name" : "Client id"}>
          <Input value={name} onText={setName} required autocomplete="off" />
        </Field>
        <Field label="Password">
          <Input
            value={password}
            onText={setPassword}
            type="password"
            required={users}
            autocomplete="new-password"
          />
        </Field>
        {users ? (
          <Field label="Only as client (any, if empty)">
            <Input value={held} onText={setHeld} autocomplete="off" />
          </Field>
        ) : null}
        <Check label="superuser" checked={superuser} onCheck={setSuperuser} />
        <Button type="submit" kind="main" icon="key" needs="administrator">
          Add
        </Button>
      </form>
    </Part>
  );
}

/** Many at once, and all of them with their hashes. */
function Files({ list, again }: ListProps) {
  const path = `/authentication/${list.of}`;
  if (!may("administrator")) return null;
  const take = async (file: File): Promise<void> => {
    const type = /\.csv$/i.test(file.name) ? "text/csv" : "application/json";
    await carryOut(`${file.name} is taken`, () =>
      request("POST", `${path}/import`, { query: { list: list.list }, body: new Blob([file], { type }) }),
    );
    again();
  };
  return (
    <div class="actions">
      <label class="button">
        <Icon name="upstream" />
        <span>Import JSON or CSV</span>
        <input
          type="file"
          class="unseen"
          accept=".json,.csv"
          onChange={({ currentTarget }) => {
            const [file] = currentTarget.files ?? [];
            if (file !== undefined) void take(file);
            currentTarget.value = "";
          }}
        />
      </label>
      <a class="button" href={apiAddress(`${path}/export`, { list: list.list })} download>
        <Icon name="download" />
        <span>Export with hashes</span>
      </a>
    </div>
  );
}

function Change({ list, login, again, close }: ListProps & { readonly login: Login; close(): void }) {
  const name = nameOf(login);
  const [password, setPassword] = useState("");
  const [superuser, setSuperuser] = useState(login.superuser);
  const [held, setHeld] = useState(list.of === "users" ? (login.clientId ?? "") : "");
  const [problem, setProblem] = useState<Problem | undefined>(undefined);
  return (
    <Dialog title={<Text text={name} most={40} />} close={close}>
      <form
        method="dialog"
        onSubmit={async (event) => {
          event.preventDefault();
          const { path, query } = entryOf(list, name);
          const body = {
            ...(password === "" ? {} : { password }),
            ...(superuser === login.superuser ? {} : { superuser }),
            ...(list.of !== "users" || held === (login.clientId ?? "")
              ? {}
              : { clientId: held === "" ? null : held }),
          };
          try {
            await ask("PATCH", path, { query, body });
            tell(`${name} is changed`);
            again();
            close();
          } catch (error) {
            if (error instanceof Problem) setProblem(error);
          }
        }}
      >
        <p>Who is connected with rights that are others then is disconnected.</p>
        <Field label="New password (as it is, if empty)">
          <Input value={password} onText={setPassword} type="password" autocomplete="new-password" />
        </Field>
        {list.of === "users" ? (
          <Field label="Only as client (any, if empty)">
            <Input value={held} onText={setHeld} autocomplete="off" />
          </Field>
        ) : null}
        <Check label="superuser: rules for topics do not hold" checked={superuser} onCheck={setSuperuser} />
        {problem === undefined ? null : <Failed problem={problem} />}
        <div class="buttons">
          <Button onClick={close}>Leave it</Button>
          <Button type="submit" kind="main">
            Change
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function remove(list: LoginList, login: Login, again: () => void): void {
  const name = nameOf(login);
  askFirst({
    title: list.of === "users" ? "Remove a user" : "Remove a client id",
    effect: (
      <>
        <Text text={name} /> may not connect any more; who is connected as that is disconnected.
      </>
    ),
    verb: "Remove",
    async act() {
      const { path, query } = entryOf(list, name);
      await ask("DELETE", path, { query });
      tell(`${name} is removed`);
      again();
    },
  });
}
