/**
 * One bootstrap of one device (LwM2M 1.1 §6.1): after its request the server discovers, deletes, reads and
 * writes, one request at a time, and finishes. The first refusal ends it, for half a bootstrap is none.
 */

import { text } from "#core/lib/bytes.ts";
import type { Duration, Instant } from "#core/lib/time.ts";
import { formatCode, isError, Method, Response } from "#gateways/coap/stack/message/codes.ts";
import { Option, option } from "#gateways/coap/stack/message/options.ts";
import type {
  Ask,
  AskFailure,
  CoapPeer,
  IncomingResponse,
  OutgoingRequest,
} from "#gateways/coap/stack/site.ts";
import { codeName } from "../commands/responses.ts";
import type { Json, JsonObject } from "../content/exact-json.ts";
import { ContentFormat, decodeContent, encodeContent } from "../content/formats.ts";
import type { Types } from "../content/value.ts";
import { shownContent } from "../messages/shown-value.ts";
import { Path } from "../objects/path.ts";
import { splitLinks } from "../registration/object-list.ts";
import { type BootstrapProfile, type BootstrapStep, PROFILE_FORMATS } from "./profile.ts";

interface Step {
  readonly name: string;
  readonly request: OutgoingRequest;
  /** Codes besides success under which the sequence goes on. */
  readonly tolerates?: (code: number) => boolean;
  readonly read?: Path;
  readonly discovers?: boolean;
}

export interface BootstrapSettings {
  readonly format: number;
  readonly timeout: Duration;
  readonly types: Types;
}

/** What a finished sequence has to say, as `data` of its report. */
export type Finished = (data: JsonObject, now: Instant) => void;

export class BootstrapSequence {
  readonly #peer: CoapPeer;
  readonly #steps: Step[];
  readonly #settings: BootstrapSettings;
  readonly #finished: Finished;
  readonly #found: Record<string, Json> = {};
  #at = 0;
  #ask: Ask | undefined = undefined;

  constructor(peer: CoapPeer, profile: BootstrapProfile, settings: BootstrapSettings, finished: Finished) {
    this.#peer = peer;
    this.#steps = stepsOf(profile, settings);
    this.#settings = settings;
    this.#finished = finished;
  }

  begin(now: Instant): void {
    const step = this.#steps[this.#at];
    if (step === undefined) {
      this.#finished({ status: "finished", ...this.#found }, now);
      return;
    }
    this.#ask = this.#peer.ask({ ...step.request, timeout: this.#settings.timeout }, this, now);
  }

  /** The device asked again, or is gone. */
  cancel(): void {
    this.#ask?.cancel();
  }

  response(response: IncomingResponse, now: Instant): void {
    const step = this.#steps[this.#at] as Step;
    if (isError(response.code) && step.tolerates?.(response.code) !== true) {
      this.#fail(step, now, { code: formatCode(response.code), codeMsg: codeName(response.code) });
      return;
    }
    this.#keep(step, response, now);
    this.#at++;
    this.begin(now);
  }

  failed(why: AskFailure, now: Instant): void {
    if (why === "gone") return;
    this.#fail(this.#steps[this.#at] as Step, now, { code: "5.04", codeMsg: `coap_${why}` });
  }

  #fail(step: Step, now: Instant, detail: JsonObject): void {
    this.#finished({ status: "failed", step: step.name, ...detail, ...this.#found }, now);
  }

  #keep(step: Step, response: IncomingResponse, now: Instant): void {
    if (isError(response.code)) return;
    if (step.discovers === true) this.#found["discovered"] = splitLinks(text(response.payload) ?? "");
    if (step.read === undefined) return;
    const format = response.message.uint(Option.ContentFormat);
    const entries = decodeContent(format, response.payload, step.read, this.#settings.types);
    if (!entries.ok) return;
    const before = (this.#found["content"] as readonly Json[] | undefined) ?? [];
    this.#found["content"] = [...before, ...shownContent(entries.value, now / 1000, undefined)];
  }
}

const segments = (path: Path): string[] => path.ids.map(String);

function stepsOf(profile: BootstrapProfile, settings: BootstrapSettings): Step[] {
  const steps = profile.steps.flatMap((step) => stepOf(step, settings) ?? []);
  return [...steps, { name: "finish", request: { method: Method.POST, path: ["bs"] } }];
}

function stepOf(step: BootstrapStep, settings: BootstrapSettings): Step | undefined {
  const { kind, path } = step;
  const name = `${kind} ${path}`;
  switch (kind) {
    case "discover": {
      // Optional for the device too: many answer 4.04 or 4.05 and bootstrap well otherwise.
      const options = [option(Option.Accept, ContentFormat.Link)];
      const request = { method: Method.GET, path: segments(path), options };
      return { name, request, tolerates: () => true, discovers: true };
    }
    case "delete": {
      const request = { method: Method.DELETE, path: segments(path) };
      return { name, request, tolerates: (code) => code === Response.NotFound };
    }
    case "read":
      return {
        name,
        request: { method: Method.GET, path: segments(path) },
        tolerates: () => true,
        read: path,
      };
    case "write": {
      const payload = encodeContent(settings.format, path, step.entries);
      if (!payload.ok) return undefined;
      const options = [option(Option.ContentFormat, settings.format)];
      return {
        name,
        request: { method: Method.PUT, path: segments(path), options, payload: payload.value },
      };
    }
  }
}

/** The profile's format, else what the device prefers (`pct`, 1.1), else TLV; `undefined` when it prefers none of these. */
export function bootstrapFormat(profile: BootstrapProfile, pct: string | undefined): number | undefined {
  const wanted = profile.format ?? (pct === undefined ? ContentFormat.Tlv : Number(pct));
  return PROFILE_FORMATS.includes(wanted) ? wanted : undefined;
}

/** Bootstrap-Pack (LwM2M 1.2 §6.1.7.7): all writes of a profile in one body. */
export function bootstrapPack(
  profile: BootstrapProfile,
  accept: number | undefined,
): { readonly format: number; readonly payload: Uint8Array } | undefined {
  const format = accept ?? ContentFormat.SenmlCbor;
  if (!PACKS.includes(format)) return undefined;
  const entries = profile.writes.flatMap((write) => write.entries);
  const payload = encodeContent(format, Path.ROOT, entries);
  return payload.ok ? { format, payload: payload.value } : undefined;
}

const PACKS: readonly number[] = [ContentFormat.SenmlCbor, ContentFormat.SenmlJson, ContentFormat.Lwm2mCbor];
