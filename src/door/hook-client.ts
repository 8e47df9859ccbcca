/** Clients as hooks see them. */
import type { Identity } from "../contract/identity.ts";
import type { HooksOfAll } from "../hooks/hooks.ts";
import type { HookClient } from "../hooks/plugin.ts";
import type { Attendance } from "../session/attendance.ts";

export const hookClientOf = ({ gateway, listener, clientId, username, peer }: Identity): HookClient =>
  Object.freeze({
    ...{ gateway, listener, clientId, username },
    ...{ address: peer.address, port: peer.port, transport: peer.transport },
  });

/** Who has left a session: what is told of one client comes in its order by this. */
const left = new WeakMap<Attendance, HookClient>();

export function leaves(attendance: Attendance | undefined, client: HookClient): void {
  if (attendance !== undefined && attendance.subscriptions.size > 0) left.set(attendance, client);
}

/** A session ends, and with it what its client is subscribed to. */
export function tellSubscriptionsEnd(hooks: HooksOfAll | undefined, attendance: Attendance): void {
  const { gateway, identity, subscriptions } = attendance;
  const told = hooks?.of(gateway);
  if (told?.hear("unsubscribed") !== true) return;
  const client = left.get(attendance) ?? (identity && hookClientOf(identity));
  if (client === undefined) return;
  for (const [filter, { asked = filter }] of subscriptions) told.unsubscribed(client, asked, "session-ended");
}
