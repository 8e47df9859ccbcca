/** Users of the dashboard as EMQ 2 has them (O-016). Their `tags` are roles here. */
import type { Instant } from "../../lib/time.ts";
import { ROLES, type Role } from "../access/principal.ts";
import { type Call, type Manual, text } from "./call.ts";
import { CODES, ManualError } from "./codes.ts";

/** What names no role may look, and nothing else. */
function roleOf(tags: string): Role {
  if (tags === "admin") return "administrator";
  return ROLES.find((role) => role === tags) ?? "viewer";
}

/** Throws `ManualError` where there is none. */
function userOf({ ports, params }: Call): { readonly name: string; readonly role: Role } {
  const name = params["name"]!;
  const user = ports.access.credentials.accounts.user(name);
  if (user === undefined) throw new ManualError(CODES.noUser, `no user ${name}`);
  return user;
}

/** A text that must not be empty. */
function filled(call: Call, field: string): string {
  const value = text(call, field);
  if (value === "") throw new ManualError(CODES.emptyUser, `${field} is empty`);
  return value;
}

/** 103 unless this is the password; every try counts as a sign-in does. */
async function prove(call: Call, name: string, password: string, wrong: number): Promise<void> {
  const { access, now } = call.ports;
  access.mayTry(name, call.address);
  const role = await access.credentials.signIn(name, password, call.address, now() as Instant);
  if (role === "busy") throw new ManualError(CODES.unknown, "too many passwords are checked at this moment");
  if (role === undefined) {
    access.attempts.failed(name, call.address, now() as Instant);
    throw new ManualError(wrong, "user name or password is wrong");
  }
  access.attempts.succeeded(name, call.address);
}

async function add(call: Call): Promise<void> {
  const { credentials } = call.ports.access;
  const [name, password] = [filled(call, "username"), filled(call, "password")];
  if (credentials.accounts.user(name) !== undefined)
    throw new ManualError(CODES.userExists, `there is a user ${name}`);
  const role = roleOf(call.body["tags"] === undefined ? "" : text(call, "tags"));
  await credentials.addUser(name, password, role, call.ports.now());
  call.changed({ object: `user ${name}`, after: { role } });
}

async function change(call: Call): Promise<void> {
  const { name, role: before } = userOf(call);
  const role = roleOf(text(call, "tags"));
  await call.ports.access.credentials.setRole(name, role);
  call.changed({ object: `user ${name}`, before: { role: before }, after: { role } });
}

async function remove(call: Call): Promise<void> {
  const { access } = call.ports;
  const { name, role } = userOf(call);
  const administrators = access.credentials.accounts.users.filter((user) => user.role === "administrator");
  if (role === "administrator" && administrators.length === 1)
    throw new ManualError(CODES.lastAdmin, `${name} is the only administrator`);
  await access.credentials.removeUser(name);
  access.signIns.end((one) => one.name === name);
  call.changed({ object: `user ${name}`, before: { role } });
}

async function changePassword(call: Call): Promise<void> {
  const { access } = call.ports;
  const { name } = userOf(call);
  const [password, old] = [filled(call, "new_pwd"), filled(call, "old_pwd")];
  await prove(call, name, old, CODES.oldPassword);
  await access.credentials.setPassword(name, password);
  access.signIns.end((one) => one.name === name);
  call.changed({ object: `user ${name}` });
}

export const manualUsers: readonly Manual[] = [
  {
    method: "GET",
    path: "users",
    role: "administrator",
    handle: ({ ports }) =>
      ports.access.credentials.accounts.users.map(({ name, role }) => ({ username: name, tags: role })),
  },
  { method: "POST", path: "users", role: "administrator", handle: add },
  { method: "PUT", path: "users/:name", role: "administrator", handle: change },
  { method: "DELETE", path: "users/:name", role: "administrator", handle: remove },
  { method: "PUT", path: "change_pwd/:name", role: "administrator", handle: changePassword },
  {
    method: "POST",
    path: "auth",
    role: "viewer",
    audited: false,
    handle: (call) => prove(call, filled(call, "username"), filled(call, "password"), CODES.wrongLogin),
  },
];
