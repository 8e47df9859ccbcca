/** Devices without a protocol of ours: frames cut by setting, identity from the first one. */
import { RE2JS } from "re2js";
import type { Peer } from "#core/contract/peer.ts";
import { lossyText, utf8 } from "#core/lib/bytes.ts";
import type { Instant } from "#core/lib/time.ts";
import type { RawListener } from "./config.ts";
import type { Dialect, Login, Step } from "./dialect.ts";
import { type FramingSettings, type RawFraming, rawFraming } from "./framing.ts";
import { payloadForm } from "./payload-form.ts";

const NOTHING: Step = { kind: "nothing" };

/** Octets of the first frame in which an identity is looked for. */
const SEARCHED_MAX = 4096;

/** What all connections of a raw listener share. */
export class RawDialects {
  readonly #settings: RawListener;
  readonly #framing: RawFraming;
  /** Linear in what it reads, whatever the pattern: strangers choose the text. */
  readonly #pattern: RE2JS | undefined;

  constructor(settings: RawListener) {
    this.#settings = settings;
    this.#framing = rawFraming(settings.framing as FramingSettings);
    const { pattern } = settings.identity;
    this.#pattern = pattern === "" ? undefined : RE2JS.compile(pattern);
  }

  open(peer: Peer): Dialect {
    const { identity, payload } = this.#settings;
    const framing = this.#framing;
    let clientId = "";
    const form = payloadForm(payload, () => clientId);
    const next = (frame: Uint8Array, now: Instant): Step => {
      const content = framing.content(frame);
      return content === undefined ? NOTHING : { kind: "publish", payload: form.up(content, now) };
    };
    return {
      name: "TCP raw",
      framing,
      first: (frame, now) => {
        const content = framing.content(frame);
        if (content === undefined) return NOTHING;
        const login = this.#identify(content, peer);
        if (login === undefined) return { kind: "illegal", problem: "the first frame names no device" };
        clientId = login.clientId;
        return { kind: "login", login, payload: identity.publish ? form.up(content, now) : undefined };
      },
      next,
      accepted: () => undefined,
      refused: () => undefined,
      message: (message) => {
        const content = form.down(message);
        return content === undefined ? undefined : framing.frame(content);
      },
    };
  }

  #identify(content: Uint8Array, peer: Peer): Login | undefined {
    const { over, clientId, username, password } = this.#settings.identity;
    const part = content.subarray(0, SEARCHED_MAX);
    const groups = this.#groups(over === "hex" ? Buffer.from(part).toString("hex") : lossyText(part));
    if (groups === undefined) return undefined;
    const filled = (template: string): string => fill(template, groups, peer);
    const id = filled(clientId);
    if (id === "") return undefined;
    return {
      clientId: id,
      username: username === "" ? undefined : filled(username),
      password: password === "" ? undefined : utf8(filled(password)),
      silence: undefined,
    };
  }

  /** What the pattern found, by name and by number; undefined when it does not match. */
  #groups(text: string): ReadonlyMap<string, string> | undefined {
    const groups = new Map<string, string>();
    if (this.#pattern === undefined) return groups;
    const matcher = this.#pattern.matcher(text);
    if (!matcher.find()) return undefined;
    for (let index = 0; index <= matcher.groupCount(); index++)
      groups.set(String(index), matcher.group(index) ?? "");
    for (const name of Object.keys(this.#pattern.namedGroups())) groups.set(name, matcher.group(name) ?? "");
    return groups;
  }
}

/** What is wrong with a pattern; undefined when nothing is. */
export function patternProblem(pattern: string): string | undefined {
  try {
    RE2JS.compile(pattern);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** `${name}` and `${1}` are what the pattern found, `%a` and `%p` address and port, `%i` what the transport has proven. */
const fill = (template: string, groups: ReadonlyMap<string, string>, peer: Peer): string =>
  template.replace(/%([api])|\$\{(\w+)\}/g, (_, short: string | undefined, name: string | undefined) => {
    if (short === "a") return peer.address;
    if (short === "p") return String(peer.port);
    if (short === "i") return peer.identity ?? "";
    return groups.get(name ?? "") ?? "";
  });
