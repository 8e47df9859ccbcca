/** The bootstrap interface of one peer: Bootstrap-Request and Bootstrap-Pack-Request (LwM2M 1.1 §6.1, 1.2 §6.1). */

import { Message } from "#core/bus/message.ts";
import type { Ticket } from "#core/contract/answers.ts";
import type { ConnectAnswer } from "#core/contract/client.ts";
import type { Instant } from "#core/lib/time.ts";
import { Response } from "#gateways/coap/stack/message/codes.ts";
import { Option, option } from "#gateways/coap/stack/message/options.ts";
import type { CoapPeer, CoapRequest } from "#gateways/coap/stack/site.ts";
import { encodeReport } from "../messages/reports.ts";
import { topicFor } from "../messages/topics.ts";
import { codeOf } from "../refusals.ts";
import { impliedEndpoint, mayUse } from "../registration/endpoint-name.ts";
import { readCredentials } from "../registration/registration.ts";
import { mayEnterAs, type Shared } from "../shared.ts";
import { type BootstrapProfile, NO_PROFILES, profileFor } from "./profile.ts";
import { BootstrapSequence, bootstrapFormat, bootstrapPack } from "./sequence.ts";

interface Wanted {
  readonly ep: string;
  readonly profile: BootstrapProfile;
  readonly request: CoapRequest;
  /** Content format of the writes. */
  readonly format: number;
  /** Undefined for a bootstrap that goes on in requests of ours. */
  readonly pack: { readonly format: number; readonly payload: Uint8Array } | undefined;
}

export class BootstrapInterface {
  readonly #shared: Shared;
  readonly #peer: CoapPeer;
  readonly #connecting = new Map<Ticket, Wanted>();
  #sequence: BootstrapSequence | undefined = undefined;

  constructor(shared: Shared, peer: CoapPeer) {
    this.#shared = shared;
    this.#peer = peer;
  }

  get busy(): boolean {
    return this.#sequence !== undefined || this.#connecting.size > 0;
  }

  /** POST /bs. */
  request(request: CoapRequest, query: ReadonlyMap<string, string>, now: Instant): void {
    this.#admit(request, query, undefined, now);
  }

  /** GET /bspack: 5.01 sends the device to /bs where there is no bootstrap server (LwM2M 1.2 §6.1.7.7). */
  pack(request: CoapRequest, query: ReadonlyMap<string, string>, now: Instant): void {
    if (this.#shared.profiles === NO_PROFILES) {
      request.refuse(Response.NotImplemented, "no bootstrap server");
      return;
    }
    this.#admit(request, query, request.message.uint(Option.Accept) ?? "any", now);
  }

  connected(ticket: Ticket, answer: ConnectAnswer, now: Instant): boolean {
    const wanted = this.#connecting.get(ticket);
    if (wanted === undefined) return false;
    this.#connecting.delete(ticket);
    this.#admitted(wanted, answer, now);
    return true;
  }

  close(): void {
    this.#sequence?.cancel();
    this.#sequence = undefined;
  }

  #admit(
    request: CoapRequest,
    query: ReadonlyMap<string, string>,
    accept: number | "any" | undefined,
    now: Instant,
  ): void {
    const { binding, list } = this.#shared.config.identity;
    const { identity } = this.#peer.host.peer;
    const ep = query.get("ep") ?? impliedEndpoint(identity, binding, list);
    if (ep === undefined || ep === "") {
      request.refuse(Response.BadRequest, "ep is missing");
      return;
    }
    if (!mayUse(identity, ep, binding, list)) {
      request.refuse(Response.BadRequest, "not this identity's endpoint");
      return;
    }
    const profile = profileFor(this.#shared.profiles, ep);
    // 4.00 is the code for an endpoint that the server does not know (LwM2M 1.1 Transport, table 6.4.2-1).
    if (profile === undefined) {
      request.refuse(Response.BadRequest, "no bootstrap profile");
      return;
    }
    const format = bootstrapFormat(profile, query.get("pct"));
    if (format === undefined) {
      request.refuse(Response.UnsupportedContentFormat, "pct is not a format for bootstrapping");
      return;
    }
    const pack =
      accept === undefined ? undefined : bootstrapPack(profile, accept === "any" ? undefined : accept);
    if (accept !== undefined && pack === undefined) {
      request.refuse(Response.NotAcceptable, "no such format");
      return;
    }
    const { username, password } = readCredentials(query, ep);
    const ticket = this.#peer.ticket();
    const wanted = { ep, profile, request, format, pack };
    const answer = this.#peer.connect(
      {
        // A bootstrap must not take over the session of a registered device.
        kind: "single",
        clientId: ep,
        username,
        password: password === undefined ? undefined : new TextEncoder().encode(password),
        endpointName: ep,
        mayEnter: mayEnterAs(ep, { transportIdentity: identity, config: this.#shared.config }),
        protocol: "LwM2M bootstrap",
        gateway: "lwm2m",
      },
      ticket,
    );
    if (answer === "pending") this.#connecting.set(ticket, wanted);
    else this.#admitted(wanted, answer, now);
  }

  #admitted(wanted: Wanted, answer: ConnectAnswer, now: Instant): void {
    const { ep, profile, request, format, pack } = wanted;
    if (!answer.ok) {
      request.refuse(codeOf(answer.refusal), answer.refusal);
      return;
    }
    const { client } = answer;
    const report = (data: Readonly<Record<string, never>> | object, later: Instant) => {
      const place = {
        ep,
        clientId: client.id,
        username: client.username ?? "",
        address: this.#peer.host.peer.address,
      };
      const payload = encodeReport({ msgType: "bootstrap", data: { ep, ...data } });
      const { topics, reportQos } = this.#shared.config;
      const message = new Message(topicFor(topics.bootstrap, place), payload, reportQos, false, later);
      client.publish(message, this.#peer.ticket());
    };
    if (pack !== undefined) {
      request.respond({
        code: Response.Content,
        options: [option(Option.ContentFormat, pack.format)],
        payload: pack.payload,
      });
      report({ status: "pack" }, now);
      client.end("closed");
      return;
    }
    request.respond({ code: Response.Changed });
    report({ status: "started" }, now);
    this.#sequence?.cancel();
    const settings = {
      format,
      timeout: this.#shared.config.requestTimeout,
      types: this.#shared.definitions.typesFor(new Map()),
    };
    const sequence = new BootstrapSequence(this.#peer, profile, settings, (data, later) => {
      if (this.#sequence === sequence) this.#sequence = undefined;
      if (data["status"] === "finished") this.#shared.counters.bootstraps.value++;
      report(data, later);
      client.end("closed");
    });
    this.#sequence = sequence;
    sequence.begin(now);
  }
}
