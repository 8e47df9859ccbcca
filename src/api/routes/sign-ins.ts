/** Open sessions of users. */

import { Type } from "@sinclair/typebox";
import { SignIn } from "../answers/accounts.ts";
import { type Asked, route } from "../route.ts";
import { timeText } from "../schemas.ts";

interface Which {
  readonly id?: string;
  readonly name?: string;
}

function endSignIns({ query: { id, name }, ports, changed }: Asked<unknown, Which>): { ended: number } {
  const ended = ports.access.signIns.end(
    (one) => (id === undefined || one.id === id) && (name === undefined || one.name === name),
  );
  changed({ object: "sign-ins", after: { ended } });
  return { ended };
}

export const signInRoutes = [
  route({
    method: "GET",
    path: "/sign-ins",
    role: "administrator",
    tag: "access",
    summary: "Open sessions of users",
    answer: Type.Array(SignIn),
    example: {},
    handle: ({ ports }) =>
      ports.access.signIns.list(ports.now()).map(({ id, name, address, since, seen, until }) => ({
        id,
        name,
        address,
        since: timeText(since),
        seenAt: timeText(seen),
        until: timeText(until),
      })),
  }),
  route({
    method: "DELETE",
    path: "/sign-ins",
    role: "administrator",
    tag: "access",
    summary: "End sessions of users: one, those of one user, or all",
    query: Type.Object({
      id: Type.Optional(Type.String({ description: "This one." })),
      name: Type.Optional(Type.String({ description: "All of this user." })),
    }),
    answer: Type.Object({ ended: Type.Integer() }),
    example: { query: { name: "ana" } },
    handle: (asked) => endSignIns(asked as Asked<unknown, Which>),
  }),
];
