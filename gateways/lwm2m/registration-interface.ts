/** The registration interface of one peer: Register, Update, De-register (LwM2M 1.1 §6.2). */

import type { Client, ConnectAnswer, StopReason, SubscribeAnswer, Ticket } from "#core/gateway/contract.ts";
import { utf8 } from "#core/lib/bytes.ts";
import type { Instant } from "#core/lib/time.ts";
import { type Code, Method, Response } from "#gateways/coap/stack/codes.ts";
import { Option, option } from "#gateways/coap/stack/options.ts";
import type { CoapPeer, CoapRequest } from "#gateways/coap/stack/site.ts";
import { encodeBase64Url } from "./content/base64.ts";
import { Device } from "./device.ts";
import { impliedEndpoint, mayUse } from "./identity.ts";
import { codeOf } from "./refusals.ts";
import {
  type Credentials,
  type Registration,
  readCredentials,
  readRegister,
  readUpdate,
} from "./registration.ts";
import type { Shared } from "./shared.ts";

/** Bytes of a location: what cannot be guessed in the lifetime of a registration. */
const LOCATION_LENGTH = 9;

/** Name under which a peer claims a registration, so that its device is found from a new address. */
export const locationClaim = (location: string): string => `rd/${location}`;

interface Arriving {
  readonly registration: Registration;
  readonly credentials: Credentials;
  readonly request: CoapRequest;
}

export class RegistrationInterface {
  readonly #shared: Shared;
  readonly #peer: CoapPeer;
  /** Nearly always one; a list of one is much smaller than a map. */
  #devices: readonly Device[] = [];
  /** Registrations whose connect or subscribe is pending; mostly there are none. */
  #connecting: Map<Ticket, Arriving> | undefined = undefined;
  #subscribing: Map<Ticket, { device: Device; request: CoapRequest }> | undefined = undefined;

  constructor(shared: Shared, peer: CoapPeer) {
    this.#shared = shared;
    this.#peer = peer;
  }

  /** A list that is never changed: a change makes another one. */
  get devices(): readonly Device[] {
    return this.#devices;
  }

  /** The device of this address; of several the one that registered last. */
  recent(): Device | undefined {
    return this.#devices.at(-1);
  }

  get busy(): boolean {
    return this.#devices.length + (this.#connecting?.size ?? 0) > 0;
  }

  request(
    request: CoapRequest,
    rest: readonly string[],
    query: ReadonlyMap<string, string>,
    now: Instant,
  ): void {
    const { method } = request;
    if (rest.length === 0) {
      if (method === Method.POST) this.#register(request, query, now);
      else request.respond({ code: Response.MethodNotAllowed });
      return;
    }
    const device = rest.length === 1 ? this.#located(rest[0] as string) : undefined;
    if (method !== Method.POST && method !== Method.DELETE)
      request.respond({ code: Response.MethodNotAllowed });
    // A device that gets 4.04 registers again (LwM2M 1.1 §6.2.2).
    else if (device === undefined) request.respond({ code: Response.NotFound });
    else if (method === Method.DELETE) this.#deregister(request, device, now);
    else this.#update(request, device, query, now);
  }

  #register(request: CoapRequest, query: ReadonlyMap<string, string>, now: Instant): void {
    const { identity: rule } = this.#shared.config;
    const { identity } = this.#peer.host.peer;
    const implied = impliedEndpoint(identity, rule.binding, rule.list);
    const registration = readRegister(
      query,
      request.payload,
      implied,
      this.#shared.rules,
      this.#shared.lists,
    );
    if (!registration.ok) {
      this.#refuse(request, registration.error.code, registration.error.reason);
      return;
    }
    const { ep } = registration.value;
    if (!mayUse(identity, ep, rule.binding, rule.list)) {
      this.#refuse(request, Response.Forbidden, "not this identity's endpoint");
      return;
    }
    if (this.#devices.length >= this.#shared.config.registrationsPerPeer && this.#named(ep) === undefined) {
      this.#refuse(request, Response.TooManyRequests, "too many devices at this address");
      return;
    }
    const credentials = readCredentials(query, ep);
    const ticket = this.#peer.ticket();
    const answer = this.#peer.connect(
      {
        clientId: credentials.clientId,
        username: credentials.username,
        password: credentials.password === undefined ? undefined : utf8(credentials.password),
        endpointName: ep,
        cleanStart: false,
        sessionExpiry: this.#shared.config.sessionExpiry,
        credit: this.#shared.config.commands.max,
        protocol: `LwM2M ${registration.value.version}`,
        gateway: "lwm2m",
      },
      ticket,
    );
    const arriving = { registration: registration.value, credentials, request };
    if (answer === "pending") {
      this.#connecting ??= new Map();
      this.#connecting.set(ticket, arriving);
    } else this.#connected(arriving, answer, now);
  }

  connected(ticket: Ticket, answer: ConnectAnswer, now: Instant): void {
    const arriving = this.#connecting?.get(ticket);
    this.#connecting?.delete(ticket);
    if (arriving !== undefined) this.#connected(arriving, answer, now);
  }

  #connected({ registration, credentials, request }: Arriving, answer: ConnectAnswer, now: Instant): void {
    if (!answer.ok) {
      this.#refuse(request, codeOf(answer.refusal), answer.reason ?? answer.refusal);
      return;
    }
    const { client } = answer;
    const before = this.#named(registration.ep);
    if (before !== undefined) this.#replace(before);
    const location = encodeBase64Url(this.#peer.host.random(LOCATION_LENGTH));
    const { address } = this.#peer.host.peer;
    const place = { ep: registration.ep, clientId: client.id, username: credentials.username, address };
    const device = new Device(this.#shared, this.#peer, client, place, location, registration, now);
    this.#devices = [...this.#devices, device];
    this.#peer.host.claim(locationClaim(location));
    const ticket = this.#peer.ticket();
    // Retained commands are for whoever was there; a device that registers daily must not repeat them.
    const options = { qos: this.#shared.config.commandQos, retainHandling: 2 } as const;
    const subscribed = client.subscribe(device.reporter.topic("command"), options, ticket);
    if (subscribed === "pending") {
      this.#subscribing ??= new Map();
      this.#subscribing.set(ticket, { device, request });
    } else this.#subscribed(device, request, subscribed, now);
  }

  /** True when the ticket was that of a subscription. */
  subscribed(ticket: Ticket, answer: SubscribeAnswer, now: Instant): boolean {
    const waiting = this.#subscribing?.get(ticket);
    if (waiting === undefined) return false;
    this.#subscribing?.delete(ticket);
    this.#subscribed(waiting.device, waiting.request, answer, now);
    return true;
  }

  /** A device that may not be commanded can still report, so its registration stands. */
  #subscribed(device: Device, request: CoapRequest, answer: SubscribeAnswer, now: Instant): void {
    if (typeof answer === "string") this.#note("commands-refused", device.registration.ep, answer);
    this.#shared.counters.registrations.value++;
    const options = [option(Option.LocationPath, "rd"), option(Option.LocationPath, device.location)];
    request.respond({ code: Response.Created, options });
    device.begin(now);
  }

  #update(request: CoapRequest, device: Device, query: ReadonlyMap<string, string>, now: Instant): void {
    const changed = readUpdate(
      query,
      request.payload,
      device.registration,
      this.#shared.rules,
      this.#shared.lists,
    );
    if (!changed.ok) {
      this.#refuse(request, changed.error.code, changed.error.reason);
      return;
    }
    this.#shared.counters.updates.value++;
    request.respond({ code: Response.Changed });
    device.update(changed.value, request.payload.length > 0, now);
  }

  #deregister(request: CoapRequest, device: Device, now: Instant): void {
    request.respond({ code: Response.Deleted });
    this.#forget(device);
    device.end("deregistered", now);
  }

  wake(now: Instant): void {
    for (const device of this.#devices) {
      if (device.wake(now)) continue;
      this.#shared.counters.expirations.value++;
      this.#forget(device);
      device.end("lifetime", now);
    }
  }

  stop(reason: StopReason, client?: Client): void {
    for (const device of this.#devices) {
      if (client !== undefined && device.client !== client) continue;
      if (reason === "taken-over") this.#replace(device);
      else this.#drop(device);
    }
  }

  closed(): void {
    for (const device of this.#devices) this.#drop(device);
  }

  /** The core ends its client; what is of QoS 1 and 2 goes back to the session. */
  #drop(device: Device): void {
    this.#forget(device);
    device.close();
  }

  /** The device is registering again, and takes its commands of QoS 0 along; the session has the others. */
  #replace(device: Device): void {
    this.#forget(device);
    const held = device.close().filter((command) => command.delivery.id === 0);
    if (held.length > 0) this.#shared.inherited.set(device.client.id, held);
  }

  #forget(device: Device): void {
    this.#devices = this.#devices.filter((other) => other !== device);
    this.#peer.host.unclaim(locationClaim(device.location));
  }

  #located(location: string): Device | undefined {
    return this.#devices.find((device) => device.location === location);
  }

  #named(ep: string): Device | undefined {
    return this.#devices.find((device) => device.registration.ep === ep);
  }

  #refuse(request: CoapRequest, code: Code, reason: string): void {
    request.refuse(code, reason);
  }

  #note(event: string, ep: string, refusal: string): void {
    this.#peer.host.note({ level: "info", event, detail: { ep, refusal } });
  }
}
