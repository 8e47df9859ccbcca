/** An LwM2M 1.1 device: registers, answers for its objects, notifies of what is observed, and sends what it has. */

import { isError, Method, Response } from "#gateways/coap/stack/message/codes.ts";
import type { CoapMessage } from "#gateways/coap/stack/message/message.ts";
import { Option, option } from "#gateways/coap/stack/message/options.ts";
import { ContentFormat, decodeContent, encodeContent } from "#gateways/lwm2m/content/formats.ts";
import type { Entry, ResourceType, Types, Value } from "#gateways/lwm2m/content/value.ts";
import { type Path, parsePath } from "#gateways/lwm2m/objects/path.ts";
import { utf8 } from "../../lib/bytes.ts";
import type { Field } from "../field.ts";
import { rounded, type Thing } from "../thing.ts";
import { type CoapAnswer, CoapEndpoint, keyOf } from "./coap-endpoint.ts";
import { Device, Turned } from "./device.ts";

/** Seconds. */
const LIFETIME = 300;
/** Every so many notifications one is confirmable, and shows whether anybody still listens (RFC 7641 §4.5). */
const CONFIRM_EVERY = 10;
/** Every so many intervals it sends all that it has by itself. */
const SEND_EVERY = 3;
const OBSERVE_SEQUENCE = 0xff_ffff;

interface Resource {
  readonly path: Path;
  readonly type: ResourceType;
  read(now: number): Value;
  write?(value: Value): void;
  execute?(): void;
}

interface Observation {
  readonly path: Path;
  readonly format: number | undefined;
  sequence: number;
  lastId: number;
}

const NOT_FOUND: CoapAnswer = { code: Response.NotFound };
const NOT_ALLOWED: CoapAnswer = { code: Response.MethodNotAllowed };
const CHANGED: CoapAnswer = { code: Response.Changed };

export class Lwm2mDevice extends Device {
  readonly #endpoint = new CoapEndpoint(this.field, {
    asked: (request) => this.#asked(request),
    notified: () => false,
    rejected: (messageId) => this.#rejected(messageId),
  });
  readonly #resources: readonly Resource[];
  readonly #observations = new Map<string, Observation>();
  readonly #types: Types;
  #location: readonly string[] = [];
  #reboots = 0;

  constructor(field: Field, thing: Thing) {
    super(field, thing);
    this.#resources = this.#ofThing();
    const typeOf = (path: Path) => this.#resources.find((each) => each.path.equals(path))?.type;
    this.#types = { typeOf, multipleOf: () => false };
  }

  protected open(): Promise<void> {
    return this.#endpoint.open(this.field.port("lwm2m"));
  }

  close(): void {
    this.#endpoint.close();
  }

  protected async enter(): Promise<void> {
    const links = ['</>;rt="oma.lwm2m";ct="110 11542"', ...this.#instances().map((path) => `<${path}>`)];
    const queries = [
      ...[`ep=${this.id}`, `lt=${LIFETIME}`, "lwm2m=1.1", "b=U"],
      ...(this.thing.sleeps ? ["Q"] : []),
    ];
    this.#observations.clear();
    const answer = await this.#endpoint.ask({
      code: Method.POST,
      options: [
        option(Option.UriPath, "rd"),
        option(Option.ContentFormat, ContentFormat.Link),
        ...queries.map((query) => option(Option.UriQuery, query)),
      ],
      payload: utf8(links.join(",")),
    });
    const location = answer.strings(Option.LocationPath);
    if (isError(answer.code) || location === undefined) throw new Turned();
    this.#location = location;
  }

  protected async live(): Promise<void> {
    let updateAt = this.field.timers.now() + LIFETIME * 500;
    for (let turn = 1; ; turn++) {
      await this.interval();
      const now = this.field.timers.now();
      if (now >= updateAt) {
        await this.#ask(Method.POST, this.#location);
        updateAt = now + LIFETIME * 500;
      }
      this.#notify(now);
      if (turn % SEND_EVERY === 0) await this.#send(now);
    }
  }

  protected async leave(): Promise<void> {
    if (this.#location.length > 0) await this.#ask(Method.DELETE, this.#location);
  }

  async #ask(method: number, path: readonly string[], payload?: Uint8Array): Promise<void> {
    const answer = await this.#endpoint.ask({
      code: method,
      options: [
        ...path.map((segment) => option(Option.UriPath, segment)),
        ...(payload === undefined ? [] : [option(Option.ContentFormat, ContentFormat.SenmlJson)]),
      ],
      ...(payload === undefined ? {} : { payload }),
    });
    // 4.04: the gateway knows this registration no more (LwM2M 1.1 §6.2.2).
    if (isError(answer.code)) throw new Turned();
  }

  /** LwM2M 1.1 §6.4.5: what is worth to be known without being asked for. */
  async #send(now: number): Promise<void> {
    const own = this.thing.quantities.flatMap(({ path }) => (path === undefined ? [] : [path]));
    const entries = this.#resources
      .filter(({ path }) => own.includes(path.toString()))
      .map((resource) => entryOf(resource, now));
    const first = entries[0];
    if (first === undefined) return;
    const encoded = encodeContent(ContentFormat.SenmlJson, first.path.up(1), entries);
    if (!encoded.ok) return;
    await this.#ask(Method.POST, ["dp"], encoded.value);
    this.field.counts.one("readings");
  }

  #notify(now: number): void {
    for (const [token, observation] of this.#observations) {
      const answer = this.#read(observation.path, observation.format, now);
      if (answer.payload === undefined) continue;
      observation.sequence = (observation.sequence + 1) & OBSERVE_SEQUENCE;
      observation.lastId = this.#endpoint.tell(
        token,
        { ...answer, options: [option(Option.Observe, observation.sequence), ...(answer.options ?? [])] },
        observation.sequence % CONFIRM_EVERY === 0,
      );
      this.field.counts.one("readings");
    }
  }

  /** RFC 7641 §3.6: nobody wants to be notified any more. */
  #rejected(messageId: number): void {
    for (const [token, { lastId }] of this.#observations)
      if (lastId === messageId) this.#observations.delete(token);
  }

  #asked(request: CoapMessage): CoapAnswer {
    const path = parsePath(`/${(request.path() ?? []).join("/")}`);
    if (!path.ok) return { code: Response.BadRequest };
    switch (request.code) {
      case Method.GET:
        return this.#get(request, path.value);
      case Method.PUT:
        return this.#write(request, path.value);
      case Method.POST:
        return this.#post(request, path.value);
      default:
        return NOT_ALLOWED;
    }
  }

  #get(request: CoapMessage, path: Path): CoapAnswer {
    const accept = request.uint(Option.Accept);
    if (accept === ContentFormat.Link) return this.#discover(path);
    const answer = this.#read(path, accept, this.field.timers.now());
    const observe = request.uint(Option.Observe);
    if (observe === undefined || answer.payload === undefined) return answer;
    const token = keyOf(request);
    if (observe !== 0) {
      this.#observations.delete(token);
      return answer;
    }
    this.#observations.set(token, { path, format: accept, sequence: 0, lastId: -1 });
    this.field.counts.one("obeyed");
    return { ...answer, options: [option(Option.Observe, 0), ...(answer.options ?? [])] };
  }

  #read(path: Path, accept: number | undefined, now: number): CoapAnswer {
    const entries = this.#resources
      .filter((each) => path.covers(each.path))
      .map((each) => entryOf(each, now));
    if (entries.length === 0) return NOT_FOUND;
    const format = accept ?? (path.kind === "resource" ? ContentFormat.Text : ContentFormat.Tlv);
    const encoded = encodeContent(format, path, entries);
    if (!encoded.ok) return { code: Response.NotAcceptable };
    return {
      code: Response.Content,
      options: [option(Option.ContentFormat, format)],
      payload: encoded.value,
    };
  }

  #discover(path: Path): CoapAnswer {
    const paths = this.#resources
      .filter((each) => path.covers(each.path))
      .map((each) => each.path.toString());
    if (paths.length === 0) return NOT_FOUND;
    return {
      code: Response.Content,
      options: [option(Option.ContentFormat, ContentFormat.Link)],
      payload: utf8([...this.#instances(path), ...paths].map((each) => `<${each}>`).join(",")),
    };
  }

  #write(request: CoapMessage, path: Path): CoapAnswer {
    // Write-Attributes have no body (LwM2M 1.1 §6.3.4): whoever observes is notified each interval anyway.
    if (request.payload.length === 0) return CHANGED;
    const format = request.uint(Option.ContentFormat);
    const entries = decodeContent(format, request.payload, path, this.#types);
    if (!entries.ok) return { code: Response.BadRequest };
    for (const { path: at, value } of entries.value) {
      const resource = this.#resources.find((each) => each.path.equals(at));
      if (resource === undefined) return NOT_FOUND;
      if (resource.write === undefined || value === undefined) return NOT_ALLOWED;
      resource.write(value);
    }
    this.field.counts.one("obeyed");
    return CHANGED;
  }

  #post(request: CoapMessage, path: Path): CoapAnswer {
    if (path.kind !== "resource") return this.#write(request, path);
    const resource = this.#resources.find((each) => each.path.equals(path));
    if (resource === undefined) return NOT_FOUND;
    if (resource.execute === undefined) return this.#write(request, path);
    resource.execute();
    this.field.counts.one("obeyed");
    return CHANGED;
  }

  #instances(below?: Path): string[] {
    const all = new Set(this.#resources.map(({ path }) => path.up(2).toString()));
    return [...all].filter((path) => below === undefined || path.startsWith(below.toString()));
  }

  /** Objects 1 and 3, which every device has, and those of what it measures. */
  #ofThing(): Resource[] {
    const { thing } = this;
    const fixed = (path: string, type: ResourceType, value: Value): Resource => ({
      ...{ path: pathOf(path), type, read: () => value },
    });
    return [
      fixed("/1/0/0", "integer", 101),
      fixed("/1/0/1", "integer", LIFETIME),
      fixed("/1/0/7", "string", "U"),
      fixed("/3/0/0", "string", "Isthmus"),
      fixed("/3/0/1", "string", `simulated ${thing.name.replace(/-\d+$/, "")}`),
      fixed("/3/0/2", "string", thing.name),
      fixed("/3/0/3", "string", "1.0"),
      { ...fixed("/3/0/4", "integer", 0), execute: () => this.#reboots++ },
      ...(thing.charge === undefined
        ? []
        : [{ path: pathOf("/3/0/9"), type: "integer" as const, read: () => Math.round(thing.charge!()) }]),
      { path: pathOf("/3/0/13"), type: "time", read: (now) => Math.round(now / 1000) },
      ...thing.quantities.flatMap(({ path, ...quantity }): Resource[] =>
        path === undefined
          ? []
          : [{ path: pathOf(path), type: typeAt(path), read: (now) => rounded(quantity.read(now)) }],
      ),
      ...thing.settings.flatMap((setting): Resource[] =>
        setting.path === undefined
          ? []
          : [
              {
                path: pathOf(setting.path),
                type: typeAt(setting.path),
                read: () => setting.value,
                write: (value) => {
                  if (typeof value === typeof setting.value) setting.value = value as number | boolean;
                },
              },
            ],
      ),
    ];
  }
}

const entryOf = ({ path, type, read }: Resource, now: number): Entry => ({ path, type, value: read(now) });

function pathOf(text: string): Path {
  const path = parsePath(text);
  if (!path.ok) throw new Error(`${text} is no path`);
  return path.value;
}

/** Of the resources that scenarios use, by their number within their object. */
const TYPES: Readonly<Record<string, ResourceType>> = {
  "3303/5700": "float",
  "3308/5900": "float",
  "3311/5850": "boolean",
  "3311/5851": "integer",
  "3328/5700": "float",
  "3424/1": "float",
  "3424/8": "float",
  "3424/9": "boolean",
};

function typeAt(path: string): ResourceType {
  const [, object, , resource] = path.split("/");
  const type = TYPES[`${object}/${resource}`];
  if (type === undefined) throw new Error(`the type of ${path} is not known`);
  return type;
}
