/** How a group chooses among its servers. Each gets those that may be chosen, with their weights, and at least one. */
import type { Instant } from "../../lib/time.ts";
import type { SessionInfo } from "../server-choice.ts";
import type { Member } from "./member.ts";
import { score } from "./rendezvous.ts";
import type { Balance } from "./settings.ts";

export interface Candidate {
  readonly member: Member;
  readonly weight: number;
}

export type Choose = (candidates: readonly Candidate[], session: SessionInfo, now: Instant) => Member;

/** The one with the highest value; the first of several. */
function best(candidates: readonly Candidate[], value: (candidate: Candidate) => number): Member {
  let found = candidates[0] as Candidate;
  let highest = value(found);
  for (let index = 1; index < candidates.length; index++) {
    const candidate = candidates[index] as Candidate;
    const own = value(candidate);
    if (own > highest) {
      found = candidate;
      highest = own;
    }
  }
  return found.member;
}

const byHash: Choose = (candidates, { clientId }) =>
  best(candidates, ({ member, weight }) => score(clientId, member.url, weight));

function byChance(random: () => number): Choose {
  return (candidates) => {
    const all = candidates.reduce((sum, { weight }) => sum + weight, 0);
    let left = random() * all;
    for (const { member, weight } of candidates) {
      left -= weight;
      if (left < 0) return member;
    }
    return (candidates[candidates.length - 1] as Candidate).member;
  };
}

/** Chance decides between those that have the same load: else all gateways would begin with the first. */
function byLoad(random: () => number): Choose {
  const choose = byChance(random);
  return (candidates, session, now) => {
    const loads = candidates.map(({ member, weight }) => member.load(now) / weight);
    const least = Math.min(...loads);
    const equals = candidates.filter((_, index) => loads[index] === least);
    return choose(equals, session, now);
  };
}

/** In turn, spread as evenly as the weights allow: each earns its weight, and who goes pays for all. */
function inTurn(): Choose {
  const earned = new WeakMap<Member, number>();
  return (candidates) => {
    let all = 0;
    for (const { member, weight } of candidates) {
      earned.set(member, (earned.get(member) ?? 0) + weight);
      all += weight;
    }
    const next = best(candidates, ({ member }) => earned.get(member) ?? 0);
    earned.set(next, (earned.get(next) ?? 0) - all);
    return next;
  };
}

export function chooser(balance: Balance, random: () => number): Choose {
  switch (balance) {
    case "hash":
      return byHash;
    case "least-connections":
      return byLoad(random);
    case "round-robin":
      return inTurn();
    case "random":
      return byChance(random);
    case "primary-backup":
      return (candidates) => (candidates[0] as Candidate).member;
  }
}
