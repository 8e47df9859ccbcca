import { topicFilterProblem, topicMatches, topicNameProblem } from "../bus/topic.ts";
import { filterCovers } from "./filter-sets.ts";
import { TopicTemplate } from "./placeholders.ts";
import type { Identity } from "./policy.ts";
import type { RewriteRule } from "./settings.ts";

const GROUP = /\$([1-9])/;

/** A rule of topic rewriting, ready to be applied. */
class CompiledRewrite {
  readonly #filter: string;
  readonly #pattern: RegExp;
  /** Texts with placeholders, and group numbers between them. */
  readonly #target: readonly (TopicTemplate | number)[];

  constructor(rule: RewriteRule) {
    this.#filter = rule.filter;
    this.#pattern = new RegExp(rule.pattern, "u");
    // `split` with a group gives text, number, text, number, …
    this.#target = rule.target
      .split(GROUP)
      .map((part, index) => (index % 2 === 1 ? Number(part) : new TopicTemplate(part)));
  }

  apply(identity: Identity, topic: string, isFilter: boolean): string | undefined {
    const concerned = isFilter ? filterCovers(this.#filter, topic) : topicMatches(this.#filter, topic);
    const groups = concerned ? this.#pattern.exec(topic) : null;
    if (groups === null) return undefined;
    let rewritten = "";
    for (const part of this.#target) {
      const text = typeof part === "number" ? (groups[part] ?? "") : part.fill(identity);
      if (text === undefined) return undefined;
      rewritten += text;
    }
    return rewritten;
  }
}

/** Rewrites a topic; gives the topic itself when no rule concerns it. */
export type Rewrite = (identity: Identity, topic: string) => string;

/**
 * The first rule whose filter and pattern match gives the new topic. A result that is no valid topic leaves the
 * topic as it was. Undefined when there is no rule, so that the hot path can skip the question.
 */
export function compileRewrite(
  rules: readonly RewriteRule[],
  action: "publish" | "subscribe",
): Rewrite | undefined {
  const compiled = rules
    .filter((rule) => rule.action === action || rule.action === "both")
    .map((rule) => new CompiledRewrite(rule));
  if (compiled.length === 0) return undefined;
  const isFilter = action === "subscribe";
  const problem = isFilter ? topicFilterProblem : topicNameProblem;
  return (identity, topic) => {
    for (const rule of compiled) {
      const rewritten = rule.apply(identity, topic, isFilter);
      if (rewritten !== undefined) return problem(rewritten) === undefined ? rewritten : topic;
    }
    return topic;
  };
}
