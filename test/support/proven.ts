/** Users who are proven by their name alone: password checks are another test's matter. */
import type { ListenerPolicy, Verdict } from "#core/policy/policy.ts";
import { permissive } from "./world.ts";

/** Whoever gives a user name is proven to be that user; who gives none is nobody. */
export const proving = (gateway: string, more: Partial<ListenerPolicy> = {}): Partial<ListenerPolicy> => ({
  authenticate: (request, peer, now): Verdict => {
    const verdict = permissive(gateway).authenticate(request, peer, now) as Verdict & { ok: true };
    const proven = request.username === undefined ? undefined : `user:${request.username}`;
    return { ok: true, identity: { ...verdict.identity, proven, peer } };
  },
  ...more,
});
