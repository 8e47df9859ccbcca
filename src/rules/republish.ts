import { parseDelayedTopic } from "../bus/delayed.ts";
import { Message, type MessageProperties, type QoS } from "../bus/message.ts";
import { topicNameProblem } from "../bus/topic.ts";
import { withMarks } from "../bus/via.ts";
import { type Instant, seconds } from "../lib/time.ts";
import type { Action, ActionCounters, ActionSettings, Occasion, Prepared } from "./action.ts";
import { Template, wholeFrom } from "./template.ts";
import { asText, isMap, octetsOf, RuleFailure, type Value } from "./value.ts";

export interface RepublishSettings extends ActionSettings {
  readonly topic: string;
  readonly payload: string;
  readonly qos: string | number;
  readonly retain: string | boolean;
  readonly properties: Readonly<Record<string, string>>;
  readonly userProperties: string;
  readonly direct: boolean;
}

/** Takes a message that a rule has made. */
export type Emit = (message: Message, direct: boolean) => void;

/** The templates of the action, and what they make of an output. */
class Publishing {
  readonly #topic: Template;
  readonly #payload: Template;
  readonly #qos: Template;
  readonly #retain: Template;
  readonly #properties: readonly (readonly [string, Template])[];
  readonly #userProperties: Template;

  constructor(settings: RepublishSettings) {
    this.#topic = new Template(settings.topic);
    this.#payload = new Template(settings.payload);
    this.#qos = new Template(String(settings.qos));
    this.#retain = new Template(String(settings.retain));
    this.#properties = Object.entries(settings.properties).map(([name, text]) => [name, new Template(text)]);
    this.#userProperties = new Template(settings.userProperties);
  }

  topic(output: Value): string {
    const topic = this.#topic.fill(output);
    const problem = topicNameProblem(topic);
    if (problem !== undefined) throw new RuleFailure(`republish: '${topic}' is no topic: ${problem}`);
    if (topic.startsWith("$SYS/")) throw new RuleFailure("republish: $SYS is not for rules");
    if (parseDelayedTopic(topic) !== undefined)
      throw new RuleFailure("republish: $delayed is for clients: a rule acts at once");
    return topic;
  }

  payload(output: Value): Uint8Array {
    return octetsOf(this.#payload.content(output));
  }

  qos(output: Value, otherwise: QoS): QoS {
    const value = this.#qos.value(output);
    if (value === undefined || value === "undefined") return otherwise;
    return wholeFrom("republish: qos", value, 2) as QoS;
  }

  retain(output: Value): boolean {
    const text = asText(this.#retain.value(output));
    if (text === "true" || text === "1") return true;
    if (text === "false" || text === "0" || text === "undefined") return false;
    throw new RuleFailure(`republish: retain must be true or false, not '${text}'`);
  }

  properties(output: Value): MessageProperties | undefined {
    const set = Object.fromEntries(this.#properties.map(([name, text]) => [name, text.value(output)]));
    const pairs = userPairs(
      this.#userProperties.text === "" ? undefined : this.#userProperties.value(output),
    );
    if (this.#properties.length === 0 && pairs.length === 0) return undefined;
    const { contentType, responseTopic, correlationData, payloadFormat } = set;
    return {
      ...(payloadFormat === undefined
        ? {}
        : { payloadFormat: wholeFrom("republish: payloadFormat", payloadFormat, 1) as 0 | 1 }),
      ...(contentType === undefined ? {} : { contentType: asText(contentType) }),
      ...(responseTopic === undefined ? {} : { responseTopic: asText(responseTopic) }),
      ...(correlationData === undefined ? {} : { correlationData: octets(correlationData) }),
      ...(pairs.length === 0 ? {} : { userProperties: pairs }),
    };
  }

  /** Of the message, in seconds. */
  expiry(output: Value): number | undefined {
    const found = this.#properties.find(([name]) => name === "expiry");
    const value = found?.[1].value(output);
    return value === undefined ? undefined : wholeFrom("republish: expiry", value, 0xffff_ffff);
  }
}

const octets = (value: Value): Uint8Array =>
  octetsOf(value instanceof Uint8Array || typeof value === "string" ? value : asText(value));

/** A map, as `pub_props.'User-Property'` is one, or a list of `{key, value}`, as User-Property-Pairs is. */
function userPairs(value: Value): readonly (readonly [string, string])[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) {
    return (value as readonly Value[]).map((pair) => {
      if (!isMap(pair)) throw new RuleFailure("republish: a user property is a key and a value");
      return [asText(pair["key"]), asText(pair["value"])] as const;
    });
  }
  if (!isMap(value))
    throw new RuleFailure("republish: user properties are a map, or a list of keys and values");
  return Object.entries(value).map(([key, each]) => [key, asText(each)] as const);
}

/** Publishes what a rule has made, as the message of nobody but the rule. Throws `TemplateError`. */
export function republish(
  settings: RepublishSettings,
  rule: string,
  emit: Emit,
  counters: ActionCounters,
): Action {
  const publishing = new Publishing(settings);
  const { direct } = settings;
  return {
    kind: "republish",
    to: "republish",
    counters,
    keeps: true,
    full: false,
    prepare(output: Value, { now, qos, through, marks }: Occasion): Prepared {
      const topic = publishing.topic(output);
      const payload = publishing.payload(output);
      const expiry = publishing.expiry(output);
      const message = new Message(
        ...([
          topic,
          payload,
          publishing.qos(output, qos),
          publishing.retain(output),
          now as Instant,
        ] as const),
        withMarks(publishing.properties(output), marks),
        ...(expiry === undefined ? [] : ([seconds(expiry)] as const)),
      );
      message.publisher = `rules:${rule}`;
      message.through = through;
      const { qos: given, retain } = message;
      return {
        parameters: { topic, qos: given, retain, payload: settings.payload === "" ? "" : asText(payload) },
        perform() {
          emit(message, direct);
          counters.success++;
        },
      };
    },
  };
}
