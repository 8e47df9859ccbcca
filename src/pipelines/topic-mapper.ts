/** Makes a single topic and headers of a topic with many levels. */

import { type Static, Type } from "@sinclair/typebox";
import type { RE2JS } from "re2js";
import { isTooLongFor, linearExpression } from "../lib/linear-expression.ts";
import { integer, text, texts } from "../settings/kinds.ts";
import type { Context, Failed, Filter } from "./filter.ts";
import { FilterError, filterProperties } from "./settings.ts";

const LEVEL_MAX = 1_000;
const EXPRESSION = "Regular expression of RE2, found anywhere in the level: ^ and $ hold it to the whole";

const level = (description: string) =>
  integer(0, LEVEL_MAX, {
    description: `${description} Levels count from 0; one leading slash counts for none.`,
  });

export const topicMapperSchema = Type.Object(
  {
    kind: Type.Literal("TopicMapper", { description: "Make a topic and headers of a topic's levels." }),
    ...filterProperties,
    setKV: Type.Object(
      {
        topic: text({ description: "Key of the context that gets the topic.", default: "mappedTopic" }),
        headers: text({ description: "Key of the context that gets the headers.", default: "mappedHeaders" }),
      },
      { description: "Where filters behind this one find what it made." },
    ),
    matchIndex: level("The level whose text chooses a policy."),
    route: Type.Array(
      Type.Object({
        name: text({ description: "A policy." }),
        matchExpr: text({ description: `${EXPRESSION}.` }),
      }),
      { description: "The first that matches chooses.", minItems: 1 },
    ),
    policies: Type.Array(
      Type.Object({
        name: text({ description: "What route calls it." }),
        topicIndex: level("The level whose text chooses the topic."),
        route: Type.Array(
          Type.Object({
            topic: text({ description: "The topic." }),
            exprs: texts({ description: `${EXPRESSION}; any of them.`, minItems: 1 } as never),
          }),
          { description: "The first that matches chooses.", minItems: 1 },
        ),
        headers: Type.Record(Type.String({ pattern: "^\\d{1,3}$" }), text({ description: "A header." }), {
          description: "Levels by number, and what the headers with their texts are called.",
          default: {},
          additionalProperties: false,
        }),
      }),
      { description: "How topics are read.", minItems: 1 },
    ),
  },
  { description: "MQTTTopicMapFailed where a topic has too few levels, or nothing matches." },
);
export type TopicMapperSettings = Static<typeof topicMapperSchema>;

export const MAP_FAILED = "MQTTTopicMapFailed";

type Policy = TopicMapperSettings["policies"][number];
type Finding<Found> = (levelText: string) => Found | undefined;

const failed = (reason: string): Failed => ({ result: MAP_FAILED, refusal: "forbidden", reason });

/** The first whose expression is found in a text. */
function firstOf<Found>(routes: readonly (readonly [readonly RE2JS[], Found])[]): Finding<Found> {
  return (subject) =>
    routes.find(([expressions]) =>
      expressions.some((each) => !isTooLongFor(each, subject) && each.matcher(subject).find()),
    )?.[1];
}

function expression(pattern: string, at: readonly (string | number)[]): RE2JS {
  try {
    return linearExpression(pattern);
  } catch (error) {
    throw new FilterError(at, `"${pattern.slice(0, 60)}": ${(error as Error).message}`);
  }
}

interface Compiled {
  readonly policy: Policy;
  readonly topic: Finding<string>;
  readonly headers: readonly (readonly [level: number, name: string])[];
}

function compiledPolicy(policy: Policy, index: number): Compiled {
  const routes = policy.route.map(({ topic, exprs }, place) => {
    const at = ["policies", index, "route", place, "exprs"];
    return [exprs.map((each, which) => expression(each, [...at, which])), topic] as const;
  });
  const headers = Object.entries(policy.headers).map(([place, name]) => [Number(place), name] as const);
  return { policy, topic: firstOf(routes), headers };
}

/** `/gateway/…` is read as `gateway/…`. */
const levelsOf = (topic: string): readonly string[] =>
  (topic.startsWith("/") ? topic.slice(1) : topic).split("/");

/** Throws `FilterError`. */
export function topicMapper({ setKV, matchIndex, route, policies }: TopicMapperSettings): Filter {
  const compiled = policies.map(compiledPolicy);
  const policyFor = firstOf(
    route.map(({ name, matchExpr }, index) => {
      const found = compiled.find(({ policy }) => policy.name === name);
      const names = policies.map((policy) => policy.name).join(", ");
      if (found === undefined)
        throw new FilterError(["route", index, "name"], `"${name}" is no policy: expected one of ${names}`);
      return [[expression(matchExpr, ["route", index, "matchExpr"])], found] as const;
    }),
  );
  const map = (topic: string, { keys }: Context): Failed | undefined => {
    const levels = levelsOf(topic);
    const subject = levels[matchIndex];
    const policy = subject === undefined ? undefined : policyFor(subject);
    if (policy === undefined) return failed(`the topic ${topic} matches no route`);
    const { topicIndex, name } = policy.policy;
    const chosen = levels[topicIndex];
    const made = chosen === undefined ? undefined : policy.topic(chosen);
    if (made === undefined) return failed(`policy ${name} has no topic for ${topic}`);
    // A header whose level the topic lacks is left out.
    const headers = policy.headers.filter(([place]) => place < levels.length);
    keys.set(setKV.topic, made);
    keys.set(setKV.headers, Object.fromEntries(headers.map(([place, header]) => [header, levels[place]!])));
    return undefined;
  };
  return { handle: (context) => map(context.packet.topic ?? "", context) };
}
