/** A CoAP sensor: PUTs its readings in SenML, and observes its settings (RFC 7641). */

import { isError, Method } from "#gateways/coap/stack/message/codes.ts";
import { ContentFormat } from "#gateways/coap/stack/message/content-formats.ts";
import { type CoapMessage, tokenKey } from "#gateways/coap/stack/message/message.ts";
import { Option, type OptionValue, option } from "#gateways/coap/stack/message/options.ts";
import { utf8 } from "../../lib/bytes.ts";
import { applySettings, asSenml, readingsOf } from "../thing.ts";
import { CoapEndpoint, textOf } from "./coap-endpoint.ts";
import { Device, Turned } from "./device.ts";

/** An observation is renewed before a NAT or a restarted gateway can have lost it for long (RFC 7641 §3.3.1). */
const RENEW = 45_000;
const OBSERVE = 0;
const CANCEL = 1;

export class CoapSensor extends Device {
  readonly #endpoint = new CoapEndpoint(this.field, {
    asked: () => undefined,
    notified: (token, notification) => this.#notified(token, notification),
  });
  /** Of its connection (`mqtt/connection`), which holds from whatever address it speaks. */
  #token = "";
  #observation: Uint8Array | undefined = undefined;

  protected open(): Promise<void> {
    return this.#endpoint.open(this.field.port("coap"));
  }

  close(): void {
    this.#endpoint.close();
  }

  protected async enter(): Promise<void> {
    const query = [option(Option.UriQuery, `clientid=${this.id}`)];
    // What it had before: who knows the token may begin anew.
    if (this.#token !== "") query.push(option(Option.UriQuery, `token=${this.#token}`));
    const answer = await this.#endpoint.ask({ code: Method.POST, options: [...CONNECTION, ...query] });
    if (isError(answer.code)) {
      this.#token = "";
      throw new Turned();
    }
    this.#token = textOf(answer);
    this.#observation = undefined;
  }

  protected async live(): Promise<void> {
    let renewAt = 0;
    for (;;) {
      const now = this.field.timers.now();
      if (this.thing.settings.length > 0 && now >= renewAt) {
        await this.#observe(OBSERVE);
        renewAt = now + RENEW;
      }
      await this.#report(now);
      await this.interval();
    }
  }

  async #report(now: number): Promise<void> {
    const payload = utf8(asSenml(this.thing.name, now, readingsOf(this.thing, now)));
    const answer = await this.#endpoint.ask({
      code: Method.PUT,
      options: [
        ...this.#at(this.thing.topic),
        option(Option.ContentFormat, ContentFormat.SenMLJSON),
        option(Option.UriQuery, "retain=true"),
      ],
      payload,
    });
    if (isError(answer.code)) throw new Turned();
    this.field.counts.one("readings");
  }

  /** The same token each time: it is one observation. */
  async #observe(observe: number): Promise<void> {
    this.#observation ??= this.#endpoint.newToken();
    const answer = await this.#endpoint.ask({
      code: Method.GET,
      options: [option(Option.Observe, observe), ...this.#at(settingsTopic(this.thing.topic))],
      token: this.#observation,
    });
    if (isError(answer.code)) throw new Turned();
    if (observe === OBSERVE) this.#obey(answer);
  }

  #notified(token: string, notification: CoapMessage): boolean {
    const own = this.#observation;
    if (own === undefined || tokenKey(own, 0, own.length) !== token) return false;
    if (isError(notification.code)) {
      this.#observation = undefined;
      return true;
    }
    this.#obey(notification);
    return true;
  }

  #obey(message: CoapMessage): void {
    if (applySettings(this.thing, textOf(message))) this.field.counts.one("obeyed");
  }

  protected async leave(): Promise<void> {
    if (this.#observation !== undefined) await this.#observe(CANCEL).catch(() => {});
    await this.#endpoint.ask({ code: Method.DELETE, options: [...CONNECTION, ...this.#who()] });
  }

  #at(topic: string): OptionValue[] {
    const levels = ["ps", ...topic.split("/")];
    return [...levels.map((level) => option(Option.UriPath, level)), ...this.#who()];
  }

  #who(): OptionValue[] {
    return [`clientid=${this.id}`, `token=${this.#token}`].map((query) => option(Option.UriQuery, query));
  }
}

const CONNECTION = ["mqtt", "connection"].map((level) => option(Option.UriPath, level));

/** What is published there is for the device. */
export const settingsTopic = (topic: string): string => topic.replace(/\/reading$/, "/set");
