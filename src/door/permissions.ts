import { parseDelayedTopic } from "../bus/delayed.ts";
import type { Message, QoS } from "../bus/message.ts";
import {
  isGatewaysOwn,
  parseSharedFilter,
  sharedPrefix,
  topicFilterProblem,
  topicLevels,
  topicNameProblem,
} from "../bus/topic.ts";
import type { Refusal } from "../contract/answers.ts";
import type { Identity, Question } from "../policy/policy.ts";
import type { Door } from "./door.ts";

/** What one client may publish and read, by form, limits and the rules of its door. */
export class Permissions {
  readonly #door: Door;
  readonly #identity: Identity;
  /** The last topic that was allowed, and under which rules: devices repeat themselves. */
  #allowedTopic = "";
  #allowedQos: QoS = 0;
  #allowedRetain = false;
  #allowedGeneration = -1;

  constructor(door: Door, identity: Identity) {
    this.#door = door;
    this.#identity = identity;
  }

  /** Why this message is refused; undefined when it is not. */
  refuse(message: Message): Refusal | undefined {
    const { policy, core } = this.#door;
    const known =
      !policy.asks &&
      core.follower?.authorized === undefined &&
      message.topic === this.#allowedTopic &&
      message.qos === this.#allowedQos &&
      message.retain === this.#allowedRetain &&
      this.#allowedGeneration === policy.generation;
    if (known) return undefined;
    const refusal = this.refuseTopic(message.topic, message.qos, message.retain);
    if (refusal !== undefined) return refusal;
    this.#allowedTopic = message.topic;
    this.#allowedQos = message.qos;
    this.#allowedRetain = message.retain;
    this.#allowedGeneration = policy.generation;
    return undefined;
  }

  /** `$delayed/<seconds>/<topic>` is judged by the topic that it will have. */
  refuseTopic(asked: string, qos: QoS, retain: boolean): Refusal | undefined {
    const { policy, core } = this.#door;
    const delayed = asked.charCodeAt(0) === 0x24 ? parseDelayedTopic(asked) : undefined;
    if (delayed === "malformed") return "malformed";
    const topic = delayed?.topic ?? asked;
    if (topicNameProblem(topic) !== undefined) return "malformed";
    if (topicLevels(topic) > policy.limits.topicLevels) return "quota";
    // What the gateway says of itself is not for clients to say.
    if (topic.startsWith("$SYS/") || isGatewaysOwn(topic)) return "forbidden";
    const allowed = policy.mayPublish(this.#identity, topic, qos, retain);
    if (allowed !== undefined && core.follower !== undefined)
      this.#door.authorized({ action: "publish", identity: this.#identity, topic, qos, retain }, allowed);
    return this.#verdict(allowed, { action: "publish", topic, qos, retain });
  }

  /** Rules speak of filters as devices name them: they are asked before rewrite and mountpoint. */
  refuseFilter(filter: string, qos: QoS): Refusal | undefined {
    const { policy, core } = this.#door;
    const shared = parseSharedFilter(filter);
    if (shared === "malformed") return "malformed";
    const plain = shared?.filter ?? filter;
    if (topicFilterProblem(plain) !== undefined) return "malformed";
    if (topicLevels(plain) > policy.limits.topicLevels) return "quota";
    if (isGatewaysOwn(plain)) return "forbidden";
    const allowed = policy.maySubscribe(this.#identity, filter, qos);
    if (allowed !== undefined && core.follower !== undefined)
      this.#door.authorized({ action: "subscribe", identity: this.#identity, filter, qos }, allowed);
    return this.#verdict(allowed, { action: "subscribe", topic: filter, qos, retain: false });
  }

  /** The same for what is read once, which nobody can share. */
  refuseRead(asked: string): Refusal | undefined {
    const refusal = this.refuseFilter(asked, 0);
    if (refusal !== undefined) return refusal;
    const filter = this.rewritten(asked);
    return filter === undefined || parseSharedFilter(filter) !== undefined ? "malformed" : undefined;
  }

  #verdict(allowed: boolean | undefined, question: Question): Refusal | undefined {
    if (allowed !== undefined) return allowed ? undefined : "forbidden";
    // Its client can wait until they have been asked.
    if (this.#door.hookedBy !== undefined) return undefined;
    void this.#door.policy.ask(this.#identity, question);
    return "unavailable";
  }

  /**
   * Asks the sources outside where only they can say it, for those who cannot wait: what they said is known the next
   * time.
   */
  asks(question: Question): boolean {
    const { policy } = this.#door;
    if (!policy.asks) return false;
    const { action, topic, qos, retain } = question;
    const known =
      action === "publish"
        ? policy.mayPublish(this.#identity, topic, qos, retain)
        : policy.maySubscribe(this.#identity, topic, qos);
    if (known !== undefined) return false;
    void policy.ask(this.#identity, question);
    return true;
  }

  /** Undefined when a rewrite rule makes of a filter what is none. */
  rewritten(asked: string): string | undefined {
    const rewrite = this.#door.policy.rewriteSubscribe;
    if (rewrite === undefined) return asked;
    // Rules speak of topics: in a shared subscription the filter is meant, not what says who shares it.
    const prefix = sharedPrefix(asked);
    const inner = asked.slice(prefix.length);
    const filter = rewrite(this.#identity, inner);
    if (filter === inner) return asked;
    // A rule may share what the client did not.
    const shared = parseSharedFilter(prefix + filter);
    if (shared === "malformed" || (prefix !== "" && sharedPrefix(filter) !== "")) return undefined;
    return topicFilterProblem(shared?.filter ?? filter) === undefined ? prefix + filter : undefined;
  }
}
