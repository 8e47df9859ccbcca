import { topicFilterProblem } from "../bus/topic.ts";
import type { SubscribeOptions } from "../contract/client.ts";
import { TopicTemplate } from "./placeholders.ts";
import type { AutomaticSubscription, Identity } from "./policy.ts";
import type { AutomaticSubscriptionRule } from "./settings.ts";

interface CompiledSubscription {
  readonly template: TopicTemplate;
  readonly options: SubscribeOptions;
  readonly gateways: readonly string[] | undefined;
}

/** Subscriptions that the gateway makes for a client when it connects. */
export class AutomaticSubscriptions {
  readonly #rules: readonly CompiledSubscription[];

  constructor(rules: readonly AutomaticSubscriptionRule[]) {
    this.#rules = rules.map(({ topic, gateways, qos, noLocal, retainAsPublished, retainHandling }) => ({
      template: new TopicTemplate(topic),
      options: { qos, noLocal, retainAsPublished, retainHandling },
      gateways,
    }));
  }

  /** Those whose placeholders have values for this client. */
  for(identity: Identity): readonly AutomaticSubscription[] {
    const subscriptions: AutomaticSubscription[] = [];
    for (const { template, options, gateways } of this.#rules) {
      if (gateways !== undefined && !gateways.includes(identity.gateway)) continue;
      const filter = template.fill(identity);
      if (filter === undefined || topicFilterProblem(filter) !== undefined) continue;
      subscriptions.push({ filter, options });
    }
    return subscriptions;
  }
}
