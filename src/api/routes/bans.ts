import { type Static, Type } from "@sinclair/typebox";
import { type Instant, NEVER } from "../../lib/time.ts";
import { isAddressRange } from "../../policy/addresses.ts";
import type { Ban } from "../../policy/settings.ts";
import { Ban as BanRow, banTarget } from "../answers/bans.ts";
import { time } from "../answers/parts.ts";
import { listQuery, pageOf, pageOfArray, sortQuery } from "../lists.ts";
import type { BanTarget } from "../ports.ts";
import { Refused, wrongField } from "../problem.ts";
import { Answer, route } from "../route.ts";
import { timeText } from "../schemas.ts";

export const BanWish = Type.Object({
  ...banTarget,
  reason: Type.Optional(
    Type.String({ maxLength: 1_024, description: "Why; clients of MQTT 5 hear it.", default: "banned" }),
  ),
  until: Type.Optional(time("When it ends; absent: when somebody lifts it.")),
});

const rowOf = ({ clientId, user, address, until, reason, configured }: Ban & { configured: boolean }) => ({
  ...(clientId === undefined ? {} : { clientId }),
  ...(user === undefined ? {} : { user }),
  ...(address === undefined ? {} : { address }),
  reason,
  ...(until === NEVER ? {} : { until: timeText(until) }),
  configured,
});

/** At least one condition, and an address that is one. */
export function targetOf(
  { clientId, user, address }: Static<typeof BanWish>,
  part: "body" | "query",
  at = "",
): BanTarget {
  if (clientId === undefined && user === undefined && address === undefined) {
    throw wrongField({ in: part, field: at, detail: "bans nobody", fix: "give clientId, user or address" });
  }
  if (address !== undefined && !isAddressRange(address)) {
    const field = part === "body" ? `${at}/address` : "address";
    throw wrongField({
      in: part,
      field,
      value: address,
      detail: "is no address or range",
      fix: "such as 10.1.2.3 or 10.0.0.0/8",
    });
  }
  return {
    ...(clientId === undefined ? {} : { clientId }),
    ...(user === undefined ? {} : { user }),
    ...(address === undefined ? {} : { address }),
  };
}

export const banRoutes = [
  route({
    method: "GET",
    path: "/bans",
    role: "viewer",
    tag: "bans",
    summary: "Who may not connect",
    query: Type.Object({ ...listQuery, sort: sortQuery(["clientId", "user", "address", "until"]) }),
    answer: pageOf(BanRow),
    example: { query: { sort: "until" } },
    handle: ({ ports, query }) => pageOfArray(ports.bans.list().map(rowOf), query),
  }),
  route({
    method: "POST",
    path: "/bans",
    role: "operator",
    tag: "bans",
    summary: "Ban a client, a user or an address; who is connected and concerned is disconnected",
    body: BanWish,
    status: 201,
    answer: BanRow,
    example: { body: { clientId: "pump-9", reason: "firmware 1.0 floods", until: "2030-01-31T12:00:00Z" } },
    refusals: [
      { code: "invalid-request", body: {} },
      { code: "invalid-request", body: { address: "10.0.0" } },
      { code: "invalid-request", body: { clientId: "x", until: "2020-01-01T00:00:00Z" } },
    ],
    handle: ({ body, ports, changed }) => {
      const until = body.until === undefined ? NEVER : (Date.parse(body.until) as Instant);
      if (until <= ports.now()) {
        throw wrongField({
          in: "body",
          field: "/until",
          value: body.until,
          detail: "is past",
          fix: "a time to come",
        });
      }
      const ban: Ban = { ...targetOf(body, "body"), reason: body.reason ?? "banned", until };
      if (!ports.bans.add(ban)) throw new Refused("conflict", "the list is full: bans.max allows no more");
      const row = rowOf({ ...ban, configured: false });
      changed({ object: "ban", after: row });
      return new Answer(201, row);
    },
  }),
  route({
    method: "DELETE",
    path: "/bans",
    role: "operator",
    tag: "bans",
    summary: "Lift the ban with exactly these conditions",
    query: Type.Object(banTarget),
    example: { query: { clientId: "pump-9" } },
    refusals: [
      { code: "not-found", query: { clientId: "nobody" } },
      { code: "invalid-request", query: {} },
    ],
    handle: ({ query, ports, changed }) => {
      const lifted = targetOf(query, "query");
      const known = ports.bans
        .list()
        .find(
          (ban) =>
            ban.clientId === lifted.clientId && ban.user === lifted.user && ban.address === lifted.address,
        );
      if (known === undefined) throw new Refused("not-found", "there is no such ban");
      if (known.configured)
        throw new Refused("conflict", "this ban stands in the configuration: lift it there");
      ports.bans.lift(lifted);
      changed({ object: "ban", before: rowOf(known) });
    },
  }),
];
