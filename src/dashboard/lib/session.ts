/** Who is signed in here, and what they may do. */

import { signal } from "@preact/signals";
import type { Session } from "../../api/answers/accounts.ts";
import { address, addressOf, BASE, go } from "./address.ts";
import { ask, onSignedOut, Problem, read, setToken } from "./api.ts";
import { endLive, goLive } from "./live.ts";

export type { Session };
export type Role = Session["role"];

export type Known = Session | "nobody" | "unknown" | Problem;

export const session = signal<Known>("unknown");
/** Nobody has an account, and this one looks around without. */
export const lookingAround = signal(false);

const RANK: Readonly<Record<Role, number>> = { publisher: 0, viewer: 1, operator: 2, administrator: 3 };

export const signedIn = (): Session | undefined =>
  typeof session.value === "object" && !(session.value instanceof Problem) ? session.value : undefined;

export const may = (role: Role): boolean => {
  const who = signedIn();
  return who !== undefined && RANK[who.role] >= RANK[role];
};

/** Whose session has ended while pages were open: what was typed there is there again when the same one signs in. */
export const expected = signal<string | undefined>(undefined);

export function entered(who: Session): void {
  setToken(who.csrf);
  expected.value = undefined;
  session.value = who;
  if (who.role !== "publisher") goLive();
}

export async function findSession(): Promise<void> {
  try {
    entered(await read<Session>("/session"));
  } catch (error) {
    if (error instanceof Problem && error.status === 401) session.value = "nobody";
    else if (error instanceof Problem) session.value = error;
    else throw error;
  }
}

export async function signOut(): Promise<void> {
  await ask("DELETE", "/session").catch(() => {});
  left();
  const here = location.pathname.slice(BASE.length) + location.search;
  if (address.value.parts[0] !== "login")
    go(addressOf("/login", { to: here === "/" ? undefined : here }), { replace: true });
}

function left(): void {
  endLive();
  setToken(undefined);
  session.value = "nobody";
}

/** It ended elsewhere: by time, or in another tab. */
onSignedOut(() => {
  const who = signedIn();
  if (who === undefined) return;
  // A modal one would leave nothing else to be used.
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
  expected.value = who.name;
  left();
});
