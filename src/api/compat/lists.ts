/** Client ids and user names that may connect, as EMQ X 3 and 4 change them: `auth_clientid`, `auth_username`. */
import { type ListedLogins, ListProblem } from "../../authenticate/listed-logins.ts";
import type { ListOf } from "../../authenticate/login-list.ts";
import { type Call, type Manual, text } from "./call.ts";
import { CODES, ManualError } from "./codes.ts";

/** The first that the configuration names. */
function listOf({ ports }: Call, of: ListOf): ListedLogins {
  const found = ports.logins.lists().find(({ list }) => list.of === of);
  if (found === undefined) throw new ManualError(CODES.unknown, "no authentication chain has such a list");
  return found;
}

async function changing(call: Call, work: Promise<unknown>): Promise<void> {
  try {
    await work;
    call.ports.logins.judge();
  } catch (error) {
    if (error instanceof ListProblem) throw new ManualError(CODES.unknown, error.message);
    throw error;
  }
}

const of = (path: string, field: string, list: ListOf): readonly Manual[] => {
  const password = (call: Call) => ({ password: text(call, "password") });
  const now = ({ ports }: Call): number => ports.now();
  return [
    {
      method: "GET",
      path,
      role: "viewer",
      handle: (call) =>
        listOf(call, list)
          .list.all()
          .map(({ name }) => ({ [field]: name })),
    },
    {
      method: "POST",
      path,
      role: "administrator",
      handle: (call) => changing(call, listOf(call, list).add(text(call, field), password(call), now(call))),
    },
    {
      method: "PUT",
      path: `${path}/:id`,
      role: "administrator",
      handle: (call) =>
        changing(call, listOf(call, list).change(call.params["id"]!, password(call), now(call))),
    },
    {
      method: "DELETE",
      path: `${path}/:id`,
      role: "administrator",
      handle: (call) => changing(call, listOf(call, list).remove(call.params["id"]!)),
    },
  ];
};

export const manualLists: readonly Manual[] = [
  ...of("auth_clientid", "clientid", "client-ids"),
  ...of("auth_username", "username", "users"),
];
