/**
 * Topic aliases that we set towards one client (MQTT 5 §3.3.2.3.4). The first topics get them and keep them: a
 * client with more topics than aliases would gain nothing from a table that keeps turning over.
 */
export class OutgoingAliases {
  readonly #maximum: number;
  readonly #byTopic = new Map<string, number>();

  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  /** The alias that the client knows for this topic. */
  known(topic: string): number | undefined {
    return this.#byTopic.get(topic);
  }

  /** An alias that has not been given yet; undefined when there is none left. */
  get free(): number | undefined {
    return this.#byTopic.size < this.#maximum ? this.#byTopic.size + 1 : undefined;
  }

  /** Remembers what a packet has just told the client. */
  assign(topic: string, alias: number): void {
    this.#byTopic.set(topic, alias);
  }
}
