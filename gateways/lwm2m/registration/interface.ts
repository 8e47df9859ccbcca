/** The registration interface of one peer: Register, Update, De-register (LwM2M 1.1 §6.2). */

import type { SubscribeAnswer, Ticket } from "#core/contract/answers.ts";
import type { StopReason } from "#core/contract/channel.ts";
import type { Client, ConnectAnswer } from "#core/contract/client.ts";
import { utf8 } from "#core/lib/bytes.ts";
import { SmallMap } from "#core/lib/small-map.ts";
import type { Instant } from "#core/lib/time.ts";
import { type Code, Method, Response } from "#gateways/coap/stack/message/codes.ts";
import { Option, option } from "#gateways/coap/stack/message/options.ts";
import type { CoapPeer, CoapRequest } from "#gateways/coap/stack/site.ts";
import { encodeBase64Url } from "../content/base64.ts";
import { Device } from "../device.ts";
import { readSend, receiveSend } from "../observing/send.ts";
import { codeOf } from "../refusals.ts";
import { mayEnterAs, type Shared, sessionExpiryFor } from "../shared.ts";
import { gatewayLinks } from "./end-devices.ts";
import { impliedEndpoint, mayUse } from "./endpoint-name.ts";
import { type Registration, readCredentials, readRegister, readUpdate } from "./registration.ts";
import type { Remembered } from "./remembered.ts";

/** Bytes of a location: what cannot be guessed in the lifetime of a registration. */
const LOCATION_LENGTH = 9;

/** Name under which a peer claims a registration, so that its device is found from a new address. */
export const locationClaim = (location: string): string => ["rd", location].join("/");

/** A device that waits to be connected, and then for its commands to be subscribed. */
interface Arriving {
  readonly registration: Registration;
  readonly username: string;
  /** A new one is made when there is none from before a restart. */
  readonly location?: string;
  /** Where its lifetime began before this. */
  readonly renewedAt?: Instant;
  begun(device: Device, now: Instant): void;
  refused(code: Code, reason: string): void;
}

const NEW_SESSION = { kind: "session", cleanStart: false, recalls: true, dated: true } as const;
const FORMER_SESSION = { kind: "resume", dated: true } as const;
/** The port is the CoAP gateway's. */
const REFUSED = { gateway: "lwm2m", what: "connect" } as const;

export class RegistrationInterface {
  readonly #shared: Shared;
  readonly #peer: CoapPeer;
  /** Nearly always one; a list of one is much smaller than a map. */
  #devices: readonly Device[] = [];
  #closed = false;
  /** Registrations whose connect or subscribe is pending; mostly there are none. */
  #connecting: SmallMap<Ticket, Arriving> | undefined = undefined;
  #subscribing: SmallMap<Ticket, { device: Device; arriving: Arriving }> | undefined = undefined;

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
    else if (device === undefined) this.#fromBefore(request, rest, query, now);
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
      const { code, reason } = registration.error;
      const asked = query.get("ep");
      this.#peer.host.refused({ ...REFUSED, asked, refusal: "malformed", by: () => reason });
      this.#refuse(request, code, reason);
      return;
    }
    const { ep } = registration.value;
    if (!mayUse(identity, ep, rule.binding, rule.list)) {
      // LwM2M 1.1 Transport §5.2.6 asks for 4.00; 4.03 is for names that may not register at all.
      const by = (): string => "its DTLS or TLS identity is another endpoint's";
      this.#peer.host.refused({ ...REFUSED, asked: ep, refusal: "forbidden", by });
      this.#refuse(request, Response.BadRequest, "not this identity's endpoint");
      return;
    }
    if (this.#devices.length >= this.#shared.config.registrationsPerPeer && this.#named(ep) === undefined) {
      this.#refuse(request, Response.TooManyRequests, "too many devices at this address");
      return;
    }
    const credentials = readCredentials(query, ep);
    const arriving: Arriving = {
      registration: registration.value,
      username: credentials.username,
      begun: (device, at) => {
        this.#shared.counters.registrations.value++;
        const options = [option(Option.LocationPath, "rd"), option(Option.LocationPath, device.location)];
        request.respond({ code: Response.Created, options });
        device.begin(at);
      },
      refused: (code, reason) => request.refuse(code, reason),
    };
    this.#connect(arriving, credentials.clientId, credentials.password, now);
  }

  /** Without a location from before: by its credentials. With it: to the session of that registration alone. */
  #connect(arriving: Arriving, clientId: string, password: string | undefined, now: Instant): void {
    const { registration, username, location } = arriving;
    const ticket = this.#peer.ticket();
    const answer = this.#peer.connect(
      {
        clientId,
        username,
        password: password === undefined ? undefined : utf8(password),
        endpointName: registration.ep,
        mayEnter: mayEnterAs(registration.ep, {
          transportIdentity: this.#peer.host.peer.identity,
          config: this.#shared.config,
        }),
        ...(location === undefined ? NEW_SESSION : FORMER_SESSION),
        sessionExpiry: sessionExpiryFor(registration.lt, this.#shared.config),
        // Commands come when what the device is observed for has been asked for.
        credit: 0,
        window: this.#shared.config.commands.max,
        protocol: this.#shared.protocols.get(registration.version) ?? `LwM2M ${registration.version}`,
        gateway: "lwm2m",
      },
      ticket,
    );
    if (answer === "pending") {
      this.#connecting ??= new SmallMap();
      this.#connecting.set(ticket, arriving);
    } else this.#connected(arriving, answer, now);
  }

  connected(ticket: Ticket, answer: ConnectAnswer, now: Instant): void {
    const arriving = this.#connecting?.get(ticket);
    this.#connecting?.delete(ticket);
    if (this.#connecting?.size === 0) this.#connecting = undefined;
    if (arriving !== undefined) this.#connected(arriving, answer, now);
  }

  #connected(arriving: Arriving, answer: ConnectAnswer, now: Instant): void {
    if (!answer.ok) {
      arriving.refused(codeOf(answer.refusal), answer.reason ?? answer.refusal);
      return;
    }
    const { client } = answer;
    const { registration, username } = arriving;
    this.#shared.remembered.forget(client.id);
    const before = this.#named(registration.ep);
    if (before !== undefined) this.#replace(before);
    const location = arriving.location ?? encodeBase64Url(this.#peer.host.random(LOCATION_LENGTH));
    const { address } = this.#peer.host.peer;
    const place = { ep: registration.ep, clientId: client.id, username, address };
    const device = new Device(this.#shared, this.#peer, client, place, location, registration, now);
    // Not by spread, which leaves room for 16 more.
    this.#devices = this.#devices.concat(device);
    if (arriving.renewedAt !== undefined) device.renewedAt(arriving.renewedAt);
    if (arriving.location === undefined) device.keep();
    this.#peer.host.claim(locationClaim(location));
    const ticket = this.#peer.ticket();
    const { commandOptions } = this.#shared;
    const subscribed = client.subscribe(device.reporter.topic("command"), commandOptions, ticket);
    if (subscribed === "pending") {
      this.#subscribing ??= new SmallMap();
      this.#subscribing.set(ticket, { device, arriving });
    } else this.#subscribed(device, arriving, subscribed, now);
  }

  /** True when the ticket was that of a subscription. */
  subscribed(ticket: Ticket, answer: SubscribeAnswer, now: Instant): boolean {
    const waiting = this.#subscribing?.get(ticket);
    if (waiting === undefined) return false;
    this.#subscribing?.delete(ticket);
    if (this.#subscribing?.size === 0) this.#subscribing = undefined;
    this.#subscribed(waiting.device, waiting.arriving, answer, now);
    return true;
  }

  /** A device that may not be commanded can still report, so its registration stands. */
  #subscribed(device: Device, arriving: Arriving, answer: SubscribeAnswer, now: Instant): void {
    if (typeof answer === "string") this.#note("commands-refused", device.registration.ep, answer);
    arriving.begun(device, now);
    device.client.credit(this.#shared.config.commands.max);
  }

  /**
   * At a location that is not in memory: that of a registration from before a restart of the gateway, which goes on
   * as if the process had never stopped, or of another gateway before the same cluster, or of none. A device that gets
   * 4.04 registers again (LwM2M 1.1 §6.2.2).
   */
  #fromBefore(
    request: CoapRequest,
    rest: readonly string[],
    query: ReadonlyMap<string, string>,
    now: Instant,
  ): void {
    const { remembered, host } = this.#shared;
    const { peer, roaming } = this.#peer.host;
    const [location = "", ...more] = rest;
    if (more.length > 0) {
      request.respond({ code: Response.NotFound });
      return;
    }
    const known = remembered.at(location, peer, roaming, now);
    if (known !== undefined) {
      this.#returned(request, known, query, request.payload, now);
      return;
    }
    // The request's own are there for as long as this turn.
    const payload = Uint8Array.from(request.payload);
    const asked = new Map(query);
    const asks = host.recall?.(location, (found, at) => {
      if (this.#closed) return;
      if (found !== undefined) remembered.learn(found);
      const elsewhere = remembered.at(location, peer, roaming, at);
      if (elsewhere === undefined) request.respond({ code: Response.NotFound });
      else this.#returned(request, elsewhere, asked, payload, at);
    });
    if (asks !== true) request.respond({ code: Response.NotFound });
  }

  #returned(
    request: CoapRequest,
    known: Remembered,
    query: ReadonlyMap<string, string>,
    payload: Uint8Array,
    now: Instant,
  ): void {
    const { rules, lists } = this.#shared;
    if (request.method === Method.DELETE) {
      this.#revive(known, request, (device, at) => this.#deregister(request, device, at), now);
      return;
    }
    const changed = readUpdate(query, payload, known.registration, rules, lists);
    if (!changed.ok) {
      this.#refuse(request, changed.error.code, changed.error.reason);
      return;
    }
    const withObjects = payload.length > 0;
    const begun: Arriving["begun"] = (device, at) => {
      this.#shared.counters.updates.value++;
      request.respond({ code: Response.Changed });
      device.resumeUpdated(withObjects, gatewayLinks(known.registration.list), at);
    };
    this.#revive({ ...known, registration: changed.value, renewedAt: now }, request, begun, now);
  }

  /** Send, for the device that registered last from this address, be it before a restart (LwM2M 1.1 §6.4.6). */
  reporting(request: CoapRequest, now: Instant): void {
    const device = this.recent();
    const known = device === undefined ? this.#shared.remembered.from(this.#peer.host.peer, now) : undefined;
    const sent = readSend(request);
    if (known === undefined) {
      receiveSend(request, sent, this.#shared, device, now);
      return;
    }
    const kept = { ...sent, payload: Uint8Array.from(sent.payload) };
    const begun: Arriving["begun"] = (revived, at) => {
      receiveSend(request, kept, this.#shared, revived, at);
      revived.resume(at);
    };
    this.#revive(known, request, begun, now);
  }

  /** Something else was heard from an address whose device was registered before a restart. */
  returning(now: Instant): void {
    const known = this.#shared.remembered.from(this.#peer.host.peer, now);
    if (known !== undefined) this.#revive(known, undefined, (device, at) => device.resume(at), now);
  }

  /** Only for who may still use the name; whoever may not is nobody, and registers again with what is asked for. */
  #revive(known: Remembered, request: CoapRequest | undefined, begun: Arriving["begun"], now: Instant): void {
    const { identity: rule, registrationsPerPeer } = this.#shared.config;
    const { registration, username, location, clientId, renewedAt } = known;
    const refused = (code: Code): void => {
      const later = code === Response.TooManyRequests;
      request?.respond({ code: later ? code : Response.NotFound });
    };
    if (this.#devices.length >= registrationsPerPeer) refused(Response.TooManyRequests);
    else if (!mayUse(this.#peer.host.peer.identity, registration.ep, rule.binding, rule.list))
      refused(Response.NotFound);
    else
      this.#connect(
        { registration, username, location, renewedAt, begun, refused },
        clientId,
        undefined,
        now,
      );
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

  stop(reason: StopReason, client: Client | undefined, now: Instant): void {
    for (const device of this.#devices) {
      if (client !== undefined && device.client !== client) continue;
      if (reason === "kicked" || reason === "expired" || reason === "forbidden") this.#dismiss(device, now);
      else if (reason === "taken-over") this.#replace(device);
      else if (reason === "shutdown") this.#drop(device);
      else this.#lose(device);
    }
  }

  /** By an operator, or because its login or its rights are over: it has to register again, if it may. */
  #dismiss(device: Device, now: Instant): void {
    this.#forget(device);
    device.end("kicked", now);
  }

  closed(): void {
    this.#closed = true;
    for (const device of this.#devices) this.#lose(device);
  }

  /** Out of reach and registered still: as after a restart, an Update is enough (LwM2M 1.1 §6.2.2). */
  #lose(device: Device): void {
    const { lasting } = device;
    this.#drop(device);
    if (lasting !== undefined) this.#shared.remembered.add({ ...lasting, clientId: device.client.id });
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
    this.#shared.devices.left(device);
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
