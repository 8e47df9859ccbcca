/** A CoAP client of a load generator: one request at a time (RFC 7252 §4.7: NSTART is 1). */
import { isError, Method } from "#gateways/coap/stack/message/codes.ts";
import { type CoapMessage, tokenKey } from "#gateways/coap/stack/message/message.ts";
import { Option, type OptionValue, option } from "#gateways/coap/stack/message/options.ts";
import { Unanswered } from "../sim/awaited.ts";
import { type CoapAsk, CoapEndpoint, textOf } from "../sim/devices/coap-endpoint.ts";
import type { Field } from "../sim/field.ts";
import { type ClientOptions, Declined, type LoadClient, type LoadUser } from "./client.ts";

const OBSERVE = 0;
const CONNECTION = ["mqtt", "connection"].map((level) => option(Option.UriPath, level));
const query = (text: string): OptionValue => option(Option.UriQuery, text);

export class CoapClient implements LoadClient {
  readonly id: string;
  readonly #field: Field;
  readonly #options: ClientOptions;
  readonly #user: LoadUser;
  readonly #endpoint: CoapEndpoint;
  /** Of its connection. */
  #token = "";
  #observation: string | undefined = undefined;
  #in = false;
  #busy = false;

  constructor(id: string, field: Field, options: ClientOptions, user: LoadUser) {
    this.id = id;
    this.#field = field;
    this.#options = options;
    this.#user = user;
    this.#endpoint = new CoapEndpoint(field, {
      asked: () => undefined,
      notified: (token, { code, payload }) => {
        if (token !== this.#observation || isError(code)) return false;
        user.received(payload);
        return true;
      },
    });
  }

  get full(): boolean {
    return !this.#in || this.#busy;
  }

  async connect(): Promise<void> {
    await this.#endpoint.open(this.#field.port("coap"));
    const { username, password } = this.#options;
    const who = [query(`clientid=${this.id}`)];
    if (username !== undefined) who.push(query(`username=${username}`));
    if (password !== undefined) who.push(query(`password=${password}`));
    this.#token = textOf(await this.#ask({ code: Method.POST, options: [...CONNECTION, ...who] }));
    this.#in = true;
  }

  /** Its first answer is what is there already. */
  async subscribe(filter: string, qos: 0 | 1 | 2): Promise<void> {
    const token = this.#endpoint.newToken();
    this.#observation = tokenKey(token, 0, token.length);
    const options = [option(Option.Observe, OBSERVE), ...this.#at(filter), query(`qos=${qos}`)];
    await this.#ask({ code: Method.GET, options, token });
  }

  publish(topic: string, payload: Uint8Array, sentAt: number): void {
    const { qos, retain } = this.#options;
    const options = [...this.#at(topic), query(`qos=${qos}`), ...(retain ? [query("retain=true")] : [])];
    this.#busy = true;
    void this.#ask({ code: Method.PUT, options, payload })
      .then(
        () => this.#user.answered(this, sentAt, true),
        () => this.#user.answered(this, sentAt, false),
      )
      .finally(() => {
        this.#busy = false;
        this.#user.writable(this);
      });
  }

  tick(): void {}

  async end(): Promise<void> {
    if (this.#in) {
      const options = [...CONNECTION, ...this.#who()];
      await this.#ask({ code: Method.DELETE, options }).catch(() => {});
    }
    this.#in = false;
    this.#endpoint.close();
  }

  async #ask(ask: CoapAsk): Promise<CoapMessage> {
    try {
      const answer = await this.#endpoint.ask(ask);
      if (!isError(answer.code)) return answer;
      throw new Declined(`${answer.code >> 5}.${String(answer.code & 0x1f).padStart(2, "0")}`);
    } catch (error) {
      throw error instanceof Unanswered ? new Declined("no answer") : error;
    }
  }

  #at(topic: string): OptionValue[] {
    return [...["ps", ...topic.split("/")].map((level) => option(Option.UriPath, level)), ...this.#who()];
  }

  #who(): OptionValue[] {
    return [`clientid=${this.id}`, `token=${this.#token}`].map(query);
  }
}
