/** Users and API keys. */

import { Type } from "@sinclair/typebox";
import type { KeyAccount, UserAccount } from "../access/accounts.ts";
import type { SignIn } from "../access/sign-ins.ts";
import { Key, NewKey, role, User } from "../answers/accounts.ts";
import { time } from "../answers/parts.ts";
import { listQuery, pageOf, pageOfArray, sortQuery } from "../lists.ts";
import { Refused, wrongField } from "../problem.ts";
import { Answer, type Asked, route } from "../route.ts";
import { timeText } from "../schemas.ts";
import { name, password } from "./account-fields.ts";

const userRow = ({ name, role, createdAt }: UserAccount, signIns: readonly SignIn[]) => {
  const seen = Math.max(0, ...signIns.filter((one) => one.name === name).map((one) => one.seen));
  return { name, role, createdAt: timeText(createdAt), ...(seen === 0 ? {} : { seenAt: timeText(seen) }) };
};

const keyRow = ({ id, name, role, createdAt, expiresAt }: KeyAccount, asked: Pick<Asked, "ports">) => {
  const { credentials } = asked.ports.access;
  const usedAt = credentials.lastUsed.get(id);
  return {
    id,
    name,
    role,
    ...(createdAt === 0 ? {} : { createdAt: timeText(createdAt) }),
    ...(expiresAt === undefined ? {} : { expiresAt: timeText(expiresAt) }),
    ...(usedAt === undefined ? {} : { usedAt: timeText(usedAt) }),
    fromFile: credentials.accounts.isGiven(id),
  };
};

const nameParam = Type.Object({ name: Type.String({ description: "Name of the user." }) });

const UsersQuery = Type.Object({ ...listQuery, sort: sortQuery(["name", "role", "createdAt"]) });

export const userRoutes = [
  route({
    method: "GET",
    path: "/users",
    role: "administrator",
    tag: "access",
    summary: "Who may sign in",
    query: UsersQuery,
    answer: pageOf(User),
    example: { query: { sort: "name" } },
    handle: ({ ports, query }) => {
      const signIns = ports.access.signIns.list(ports.now());
      return pageOfArray(
        ports.access.credentials.accounts.users.map((user) => userRow(user, signIns)),
        query,
      );
    },
  }),
  route({
    method: "POST",
    path: "/users",
    role: "administrator",
    tag: "access",
    summary: "Make a user",
    body: Type.Object({ name, password, role }),
    status: 201,
    answer: Type.Object({ name: Type.String(), role }),
    example: { body: { name: "ana", password: "a sentence that only ana knows", role: "operator" } },
    refusals: [{ code: "invalid-request", body: { name: "bo", password: "password1234", role: "viewer" } }],
    handle: async ({ body, ports, changed }) => {
      await ports.access.credentials.addUser(body.name, body.password, body.role, ports.now());
      changed({ object: `user ${body.name}`, after: { role: body.role } });
      return new Answer(201, { name: body.name, role: body.role });
    },
  }),
  route({
    method: "PATCH",
    path: "/users/{name}",
    role: "administrator",
    tag: "access",
    summary: "Change a user's role or password; with a new password its sessions end",
    params: nameParam,
    body: Type.Object({ role: Type.Optional(role), password: Type.Optional(password) }),
    example: { path: { name: "ana" }, body: { role: "viewer" } },
    refusals: [{ code: "not-found", path: { name: "nobody" }, body: { role: "viewer" } }],
    handle: async ({ path, body, ports, changed }) => {
      const { access } = ports;
      const before = access.credentials.accounts.user(path.name);
      if (before === undefined) throw new Refused("not-found", "there is no user of this name");
      if (body.role !== undefined) await access.credentials.setRole(path.name, body.role);
      if (body.password !== undefined) {
        await access.credentials.setPassword(path.name, body.password);
        access.signIns.end((one) => one.name === path.name);
      }
      changed({ object: `user ${path.name}`, before: { role: before.role }, after: body });
    },
  }),
  route({
    method: "DELETE",
    path: "/users/{name}",
    role: "administrator",
    tag: "access",
    summary: "Remove a user; its sessions end",
    params: nameParam,
    example: { path: { name: "ana" } },
    refusals: [{ code: "not-found", path: { name: "nobody" } }],
    handle: async ({ path, ports, changed }) => {
      const { access } = ports;
      await access.credentials.removeUser(path.name);
      access.signIns.end((one) => one.name === path.name);
      changed({ object: `user ${path.name}` });
    },
  }),
];

export const keyRoutes = [
  route({
    method: "GET",
    path: "/keys",
    role: "administrator",
    tag: "access",
    summary: "API keys, without their secrets",
    query: Type.Object({
      ...listQuery,
      sort: sortQuery(["name", "role", "createdAt", "expiresAt", "usedAt"]),
    }),
    answer: pageOf(Key),
    example: { query: { sort: "name" } },
    handle: (asked) =>
      pageOfArray(
        asked.ports.access.credentials.accounts.keys.map((key) => keyRow(key, asked)),
        asked.query,
      ),
  }),
  route({
    method: "POST",
    path: "/keys",
    role: "administrator",
    tag: "access",
    summary: "Make an API key; its secret is shown this once",
    body: Type.Object({
      name: Type.String({ maxLength: 128, description: "What it is for." }),
      role,
      expiresAt: Type.Optional(time("When it ends; absent: never.")),
    }),
    status: 201,
    answer: NewKey,
    example: { body: { name: "backend", role: "publisher", expiresAt: "2030-01-31T12:00:00Z" } },
    refusals: [
      { code: "invalid-request", body: { name: "x", role: "viewer", expiresAt: "2020-01-01T00:00:00Z" } },
    ],
    handle: async (asked) => {
      const { body, ports, changed } = asked;
      const expiresAt = body.expiresAt === undefined ? undefined : Date.parse(body.expiresAt);
      if (expiresAt !== undefined && expiresAt <= ports.now()) {
        throw wrongField({
          in: "body",
          field: "/expiresAt",
          value: body.expiresAt,
          detail: "is past",
          fix: "a time to come",
        });
      }
      const { key, secret } = await ports.access.credentials.addKey({ ...body, expiresAt }, ports.now());
      const row = keyRow(key, asked);
      changed({ object: `key ${key.id}`, after: row });
      return new Answer(201, { ...row, key: `${key.id}.${secret}` });
    },
  }),
  route({
    method: "DELETE",
    path: "/keys/{id}",
    role: "administrator",
    tag: "access",
    summary: "Remove an API key",
    params: Type.Object({ id: Type.String({ description: "Id of the key." }) }),
    refusals: [{ code: "not-found", path: { id: "nothing" } }],
    handle: async ({ path, ports, changed }) => {
      await ports.access.credentials.removeKey(path.id);
      changed({ object: `key ${path.id}` });
    },
  }),
];
