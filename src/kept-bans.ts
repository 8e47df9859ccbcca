/** Bans that operators and flapping detection add outlive a restart. */
import type { Instant } from "./lib/time.ts";
import type { BanJournal } from "./policy/configured-policy.ts";
import type { Ban } from "./policy/settings.ts";
import type { Store } from "./session/store.ts";

type Target = Pick<Ban, "clientId" | "user" | "address">;
const keyOf = ({ clientId, user, address }: Target): string => JSON.stringify([clientId, user, address]);

export const banJournal = (store: Store): BanJournal => ({
  banned: (ban) => store.put("ban", keyOf(ban), () => ({ ...ban })),
  unbanned: (target) => store.remove("ban", keyOf(target)),
});

/** Those that still hold; the others are forgotten. */
export function keptBans(store: Store, now: Instant): Ban[] {
  const bans: Ban[] = [];
  for (const [key, value] of store.entries("ban")) {
    const ban = value as Ban;
    if (ban.until > now) bans.push(ban);
    else store.remove("ban", key);
  }
  return bans;
}
