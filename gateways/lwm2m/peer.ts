/** LwM2M with one peer: which interface a request belongs to, and the devices that this address has registered. */

import type { PublishAnswer, SubscribeAnswer, Ticket } from "#core/contract/answers.ts";
import type { StopReason } from "#core/contract/channel.ts";
import type { Client, ConnectAnswer } from "#core/contract/client.ts";
import type { Delivery } from "#core/contract/delivery.ts";
import { earliest, type Instant, NEVER } from "#core/lib/time.ts";
import { Method, Response } from "#gateways/coap/stack/message/codes.ts";
import { Option, option } from "#gateways/coap/stack/message/options.ts";
import type { CoapPeer, CoapRequest, PeerSite } from "#gateways/coap/stack/site.ts";
import { BootstrapInterface } from "./bootstrap/interface.ts";
import type { Device } from "./device.ts";
import { statusOf } from "./operator/status.ts";
import { RegistrationInterface } from "./registration/interface.ts";
import { readQuery } from "./registration/registration.ts";
import type { Shared } from "./shared.ts";

export class Lwm2mPeer implements PeerSite {
  readonly #shared: Shared;
  readonly #registration: RegistrationInterface;
  readonly #peer: CoapPeer;
  /** Made at the first bootstrap request, which most devices never send. */
  #bootstrap: BootstrapInterface | undefined = undefined;

  constructor(shared: Shared, peer: CoapPeer) {
    this.#shared = shared;
    this.#registration = new RegistrationInterface(shared, peer);
    this.#peer = peer;
  }

  request(request: CoapRequest, now: Instant): void {
    const path = request.message.path();
    const query = request.message.strings(Option.UriQuery);
    if (path === undefined || query === undefined) request.refuse(Response.BadRequest, "not UTF-8");
    else this.#dispatch(request, path, readQuery(query), now);
    this.#pump(now);
  }

  #dispatch(
    request: CoapRequest,
    path: readonly string[],
    query: ReadonlyMap<string, string>,
    now: Instant,
  ): void {
    const [first, ...rest] = path;
    const { method } = request;
    if (first === "rd") {
      this.#registration.request(request, rest, query, now);
    } else if (first === "fw") {
      this.#servePackage(request, rest.join("/"));
    } else if (rest.length > 0) {
      request.respond({ code: Response.NotFound });
    } else if (first === "dp" && method === Method.POST) {
      this.#registration.reporting(request, now);
    } else if (first === "bs" && method === Method.POST) {
      this.#bootstrapping().request(request, query, now);
    } else if (first === "bspack" && method === Method.GET) {
      this.#bootstrapping().pack(request, query, now);
    } else {
      request.respond({ code: Response.MethodNotAllowed });
    }
  }

  #bootstrapping(): BootstrapInterface {
    this.#bootstrap ??= new BootstrapInterface(this.#shared, this.#peer);
    return this.#bootstrap;
  }

  #servePackage(request: CoapRequest, name: string): void {
    const found = this.#shared.packages.get(name);
    if (request.method !== Method.GET) {
      request.respond({ code: Response.MethodNotAllowed });
      return;
    }
    if (found === undefined) {
      request.respond({ code: Response.NotFound });
      return;
    }
    const options = [option(Option.ETag, found.etag), option(Option.ContentFormat, 42)];
    request.respond({ code: Response.Content, options, payload: found.bytes });
  }

  deliver(client: Client, delivery: Delivery, now: Instant): void {
    this.#deviceOf(client)?.deliver(delivery, now);
  }

  answered(ticket: Ticket, answer: PublishAnswer | SubscribeAnswer, now: Instant): void {
    if (!this.#registration.subscribed(ticket, answer as SubscribeAnswer, now)) {
      for (const device of this.#registration.devices) {
        if (device.answered(ticket, answer as PublishAnswer)) break;
      }
    }
    this.#pump(now);
  }

  connected(ticket: Ticket, answer: ConnectAnswer, now: Instant): void {
    if (this.#bootstrap?.connected(ticket, answer, now) !== true)
      this.#registration.connected(ticket, answer, now);
    this.#pump(now);
  }

  heard(now: Instant): void {
    for (const device of this.#registration.devices) device.heard(now);
  }

  /** A notification for an observation from before a restart: the device is there, and observed again. */
  stray(now: Instant): void {
    this.#registration.returning(now);
    this.#pump(now);
  }

  deadline(): Instant {
    let next = NEVER;
    for (const device of this.#registration.devices) next = earliest(next, device.deadline);
    return next;
  }

  wake(now: Instant): void {
    this.#registration.wake(now);
  }

  stop(reason: StopReason, now: Instant, client?: Client): void {
    this.#registration.stop(reason, client, now);
    if (client === undefined) this.#bootstrap?.close();
  }

  closed(): void {
    this.#bootstrap?.close();
    this.#registration.closed();
  }

  busy(): boolean {
    return this.#registration.busy || this.#bootstrap?.busy === true;
  }

  status(client: Client, now: Instant): string {
    const device = this.#deviceOf(client);
    if (device !== undefined) return device.awake(now) ? "awake" : "sleeping";
    return this.#bootstrap?.busy === true ? "bootstrapping" : "";
  }

  describe(client: Client, now: Instant): object {
    const device = this.#deviceOf(client);
    return device === undefined ? {} : statusOf(device, now);
  }

  #deviceOf(client: Client): Device | undefined {
    for (const device of this.#registration.devices) if (device.client === client) return device;
    return undefined;
  }

  /** After an input that may have woken a device: what waits for it goes out. */
  #pump(now: Instant): void {
    for (const device of this.#registration.devices) device.queue.pump(now);
  }
}
