import type { Message, QoS } from "../bus/message.ts";
import type { Credentials } from "../contract/client.ts";
import { NEVER } from "../lib/time.ts";
import { changedLogin, changedMessage, changedSubscription, type Wanted } from "./changes.ts";
import { type Decided, oneAfterTheOther } from "./decided.ts";
import type { Plugged, Told } from "./plugged.ts";
import type { Hook, HookClient, HookLogin, HookMessage } from "./plugin.ts";
import type { Room } from "./room.ts";

/** A message as hooks see it. */
function shown(message: Message, topic = message.topic): HookMessage {
  const { payload, qos, retain, properties = {}, publishedAt, expiresAt } = message;
  const expiry = expiresAt === NEVER ? undefined : expiresAt - publishedAt;
  return { topic, payload, qos, retain, properties, expiry };
}

const having = <Member extends keyof Hook>(plugged: readonly Plugged[], member: Member): readonly Plugged[] =>
  plugged.filter(({ hook }) => hook[member] !== undefined);

const toldOf = (plugged: readonly Plugged[]): Readonly<Record<Told, readonly Plugged[]>> => ({
  connected: having(plugged, "connected"),
  published: having(plugged, "published"),
  subscribed: having(plugged, "subscribed"),
  unsubscribed: having(plugged, "unsubscribed"),
  disconnected: having(plugged, "disconnected"),
  delivered: having(plugged, "delivered"),
});

/** The hooks of one gateway, in the order of the configuration. Clients keep it: others may take their place in it. */
export class Hooks {
  #connect: readonly Plugged[] = [];
  #publish: readonly Plugged[] = [];
  #subscribe: readonly Plugged[] = [];
  #told = toldOf([]);
  #followClients = false;
  readonly room: Room;

  constructor(plugged: readonly Plugged[], room: Room) {
    this.room = room;
    this.take(plugged);
  }

  /** These from now on. */
  take(plugged: readonly Plugged[]): void {
    this.#connect = having(plugged, "authConnect");
    this.#publish = having(plugged, "authPublish");
    this.#subscribe = having(plugged, "authSubscribe");
    this.#told = toldOf(plugged);
    const follow = [this.#publish, this.#subscribe, ...Object.values(this.#told)];
    this.#followClients = follow.some((each) => each.length > 0);
  }

  /** They are asked about who wants to come in. */
  get askLogins(): boolean {
    return this.#connect.length > 0;
  }

  /** They are asked or told about who is in. */
  get followClients(): boolean {
    return this.#followClients;
  }

  /** Somebody wants to be told. */
  hear(member: Told): boolean {
    return this.#told[member].length > 0;
  }

  connect<Request extends Credentials>(
    request: Request,
    login: Omit<HookLogin, "clientId" | "username" | "password">,
  ): Decided<Request> | Promise<Decided<Request>> {
    return oneAfterTheOther(this.#connect, request, (plugged, now) => {
      const { clientId, username, password } = now;
      const call = () => plugged.hook.authConnect?.({ ...login, clientId, username, password });
      return plugged.ask("authConnect", call, now, (given) => changedLogin(now, given));
    });
  }

  /** A message, or a will. */
  publish(client: HookClient, message: Message): Decided<Message> | Promise<Decided<Message>> {
    return oneAfterTheOther(this.#publish, message, (plugged, now) => {
      const call = () => plugged.hook.authPublish?.(client, shown(now));
      return plugged.ask("authPublish", call, now, (given) => changedMessage(now, given));
    });
  }

  subscribe(client: HookClient, wanted: Wanted, read: boolean): Decided<Wanted> | Promise<Decided<Wanted>> {
    return oneAfterTheOther(this.#subscribe, wanted, (plugged, now) => {
      const asked = { filter: now.filter, qos: now.options.qos, read };
      const call = () => plugged.hook.authSubscribe?.(client, asked);
      return plugged.ask("authSubscribe", call, now, (given) => changedSubscription(now, given));
    });
  }

  connected(
    client: HookClient,
    how: { readonly cleanStart: boolean; readonly sessionPresent: boolean },
  ): void {
    this.#tell("connected", client, (hook) => hook.connected?.(client, how));
  }

  published(client: HookClient, message: Message): void {
    this.#tell("published", client, (hook) => hook.published?.(client, shown(message)));
  }

  subscribed(client: HookClient, filter: string, qos: QoS): void {
    this.#tell("subscribed", client, (hook) => hook.subscribed?.(client, filter, qos));
  }

  unsubscribed(client: HookClient, filter: string, why: "asked" | "session-ended"): void {
    this.#tell("unsubscribed", client, (hook) => hook.unsubscribed?.(client, filter, why));
  }

  disconnected(client: HookClient, reason: string): void {
    this.#tell("disconnected", client, (hook) => hook.disconnected?.(client, reason));
  }

  /** `topic`: as the client knows it. */
  delivered(client: HookClient, message: Message, topic: string): void {
    this.#tell("delivered", client, (hook) => hook.delivered?.(client, shown(message, topic)));
  }

  #tell(member: Told, client: HookClient, tell: (hook: Hook) => unknown): void {
    for (const plugged of this.#told[member]) plugged.tell(member, client, () => tell(plugged.hook));
  }
}

/** All hooks: which of them a gateway has. */
export class HooksOfAll {
  #plugged: readonly Plugged[];
  readonly #byGateway = new Map<string, Hooks>();
  readonly room: Room;

  constructor(plugged: readonly Plugged[], room: Room) {
    this.#plugged = plugged;
    this.room = room;
  }

  /** The same for as long as this process runs, whoever is in it. */
  of(gateway: string): Hooks {
    let hooks = this.#byGateway.get(gateway);
    if (hooks === undefined) {
      hooks = new Hooks(this.#serving(gateway), this.room);
      this.#byGateway.set(gateway, hooks);
    }
    return hooks;
  }

  #serving(gateway: string): readonly Plugged[] {
    return this.#plugged.filter((plugged) => plugged.serves(gateway));
  }

  /** Takes these in place of those that were there. */
  update(plugged: readonly Plugged[]): void {
    this.#plugged = plugged;
    for (const [gateway, hooks] of this.#byGateway) hooks.take(this.#serving(gateway));
  }

  async close(): Promise<void> {
    this.room.closed = true;
    for (const { hook } of this.#plugged) await hook.close?.();
  }
}
