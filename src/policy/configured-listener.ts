import type { QoS } from "../bus/message.ts";
import type { Refusal } from "../contract/answers.ts";
import type { Credentials } from "../contract/client.ts";
import type { Peer } from "../contract/peer.ts";
import { type Duration, type Instant, NEVER } from "../lib/time.ts";
import { AcceptedIdentity } from "./accepted-identity.ts";
import { AccessRules } from "./access.ts";
import { type Applicant, anonymousLogin, isStillKnown, type Login, runChain } from "./authentication.ts";
import type { ConfiguredPolicy, RuleBook } from "./configured-policy.ts";
import { TopicTemplate } from "./placeholders.ts";
import type {
  AskedOfPolicy,
  AutomaticSubscription,
  Identity,
  ListenerLimits,
  ListenerPolicy,
  Question,
  Verdict,
} from "./policy.ts";
import { presented } from "./presented.ts";
import { isReservedTopic } from "./rights.ts";
import type { AuthenticationSettings, Ban, GatewaySettings, ListenerSettings } from "./settings.ts";
import { TokenBucket } from "./token-bucket.ts";
import { UNLIMITED } from "./unlimited.ts";

/** A listener that the configuration does not name, as in tests: open, and without limits. */
const UNNAMED: ListenerSettings = { authenticate: true, accessRules: [], limits: UNLIMITED };

const banned = (ban: Ban): Verdict => ({
  ok: false,
  refusal: "banned",
  reason: ban.reason,
  by: banText(ban),
});

/** A ban for whoever reads the log: whom it names, and until when. */
function banText({ clientId, user, address, until, reason }: Ban): string {
  const named = [clientId && `client ${clientId}`, user && `user ${user}`, address && `address ${address}`];
  const end = until === NEVER ? "for good" : `until ${new Date(until).toISOString()}`;
  return `ban of ${named.filter(Boolean).join(", ")} ${end}${reason === "" ? "" : ` (${reason})`}`;
}

/** What a listener makes of one generation of the rules. */
class ListenerRules {
  readonly book: RuleBook;
  readonly settings: ListenerSettings;
  readonly authentication: AuthenticationSettings;
  readonly access: AccessRules;
  readonly mountpoint: TopicTemplate | undefined;
  readonly presents: GatewaySettings["presents"];

  /** A listener that new rules no longer name stays open until a restart, so it keeps what it had. */
  constructor(book: RuleBook, gateway: string, listener: string, host: string, before?: ListenerRules) {
    const own = book.settings.gateways[gateway];
    this.book = book;
    this.settings = book.settings.gateways[host]?.listeners[listener] ?? before?.settings ?? UNNAMED;
    const named = this.settings.chain === undefined ? undefined : book.settings.chains?.[this.settings.chain];
    this.authentication = named ?? own?.authentication ?? book.settings.authentication;
    this.presents = own?.presents;
    this.access = new AccessRules(this.settings.accessRules);
    const mountpoint = (host === gateway ? this.settings.mountpoint : undefined) ?? own?.mountpoint ?? "";
    this.mountpoint = mountpoint === "" ? undefined : new TopicTemplate(mountpoint);
  }
}

/** One listener's view of the policy; follows `ConfiguredPolicy.update`. */
export class ConfiguredListener implements ListenerPolicy {
  readonly gateway: string;
  readonly listener: string;
  readonly #policy: ConfiguredPolicy;
  readonly #host: string;
  #rules: ListenerRules;
  #connections: TokenBucket;

  constructor(policy: ConfiguredPolicy, gateway: string, listener: string, host: string) {
    this.#policy = policy;
    this.#host = host;
    this.gateway = gateway;
    this.listener = listener;
    this.#rules = new ListenerRules(policy.rules, gateway, listener, host);
    this.#connections = new TokenBucket(this.#rules.settings.limits.connectionRate);
  }

  get limits(): ListenerLimits {
    return this.#current().settings.limits;
  }

  get generation(): number {
    return this.#policy.generation;
  }

  get revoked(): "disconnect" | "quiet" {
    return this.#policy.rules.settings.authorization.revoked ?? "disconnect";
  }

  get rewritePublish() {
    return this.#policy.rules.rewritePublish;
  }

  get rewriteSubscribe() {
    return this.#policy.rules.rewriteSubscribe;
  }

  allows({ address }: Pick<Peer, "address">, now: Instant): "accepted" | Refusal {
    if (!this.#current().access.allows(address)) return "forbidden";
    return this.#policy.banOf(undefined, undefined, address, now) === undefined ? "accepted" : "banned";
  }

  admit(peer: Peer, now: Instant): "accepted" | Refusal {
    const allowed = this.allows(peer, now);
    if (allowed !== "accepted") return allowed;
    return this.#connections.tryTake(1, now) ? "accepted" : "congested";
  }

  roomIn(now: Instant): Duration {
    return this.#connections.until(1, now);
  }

  authenticate(
    request: Credentials,
    peer: Peer,
    now: Instant,
    applicant?: Applicant,
  ): Verdict | Promise<Verdict> {
    const { clientId, username } = request;
    const ban = this.#policy.banOf(clientId, username, peer.address, now);
    if (ban !== undefined) return banned(ban);
    const { settings, authentication, presents } = this.#current();
    const asked = presented(request, peer, presents);
    if (!settings.authenticate) {
      return this.#prepared(this.#conclude(anonymousLogin(request), request, peer, now));
    }
    const { attempts } = this.#policy.rules.settings;
    // What may come from anybody says nothing of who has this address, or this name.
    if (
      peer.forgeable !== true &&
      this.#policy.attempts.refuses(attempts, peer.address, asked.username, now)
    ) {
      return {
        ok: false,
        refusal: "congested",
        reason: "too many logins have failed",
        by: "authentication.attempts",
      };
    }
    // As it is now: by the time the answer is here the device may be elsewhere.
    const counted = peer.forgeable === true ? undefined : { address: peer.address, username: asked.username };
    const login = runChain(authentication, asked, peer, now, applicant);
    const conclude = (verdict: Login): Verdict | Promise<Verdict> => {
      if (!verdict.ok && verdict.refusal === "unauthenticated" && counted !== undefined)
        this.#policy.attempts.failed(
          this.#policy.rules.settings.attempts,
          counted.address,
          counted.username,
          now,
        );
      return this.#prepared(this.#conclude(verdict, request, peer, now));
    };
    return login instanceof Promise ? login.then(conclude) : conclude(login);
  }

  get checks(): boolean {
    const { settings, authentication } = this.#current();
    return settings.authenticate && authentication.chain.length > 0;
  }

  /** Sources that know a client's rules are asked for them before it comes in: then they are at hand. */
  #prepared(verdict: Verdict): Verdict | Promise<Verdict> {
    const rights = verdict.ok ? this.#policy.sourcedRightsOf(verdict.identity) : undefined;
    return rights === undefined ? verdict : rights.prepare().then(() => verdict);
  }

  get methods(): readonly string[] {
    const { settings, authentication } = this.#current();
    return settings.authenticate ? authentication.chain.flatMap(({ methods }) => methods ?? []) : [];
  }

  mayStay(identity: Identity, now: Instant): "accepted" | Refusal {
    const { clientId, username, peer } = identity;
    const { settings, authentication, access } = this.#current();
    if (!access.allows(peer.address)) return "forbidden";
    if (this.#policy.banOf(clientId, username, peer.address, now) !== undefined) return "banned";
    return !settings.authenticate || isStillKnown(authentication, identity) ? "accepted" : "unauthenticated";
  }

  disconnected(identity: Identity, now: Instant): void {
    this.#policy.noteDisconnect(identity, now);
  }

  get asks(): boolean {
    return this.#policy.rules.asks;
  }

  ask(identity: Identity, question: Question): Promise<boolean> {
    const rights = this.#policy.sourcedRightsOf(identity);
    return rights === undefined ? Promise.resolve(false) : rights.ask(question);
  }

  mayPublish(identity: Identity, topic: string, qos: QoS, retain: boolean): boolean | undefined {
    return identity.superuser
      ? !isReservedTopic(topic)
      : this.#policy.rightsOf(identity).mayPublish(topic, qos, retain);
  }

  maySubscribe(identity: Identity, filter: string, qos: QoS): boolean | undefined {
    return identity.superuser || this.#policy.rightsOf(identity).maySubscribe(filter, qos);
  }

  decidedBy(asked: AskedOfPolicy): string {
    if (asked.identity.superuser) return "superuser";
    const said = this.#policy.rules.acl.decidedBy(asked);
    return this.asks && said.startsWith("no rule") ? `${said}, or what authorization.sources said` : said;
  }

  addressDecidedBy({ address }: Pick<Peer, "address">, now: Instant): string {
    const { access, settings } = this.#current();
    if (!access.allows(address)) return access.decidedBy(address);
    const ban = this.#policy.banOf(undefined, undefined, address, now);
    return ban === undefined ? `limits.connectionRate ${settings.limits.connectionRate}` : banText(ban);
  }

  mountpoint(identity: Identity): string {
    return this.#current().mountpoint?.fill(identity) ?? "";
  }

  automaticSubscriptions(identity: Identity): readonly AutomaticSubscription[] {
    return this.#policy.rules.subscriptions.for(identity);
  }

  #conclude(login: Login, request: Credentials, peer: Peer, now: Instant): Verdict {
    if (!login.ok) return login;
    const identity = new AcceptedIdentity({
      gateway: this.gateway,
      listener: this.listener,
      host: this.#host === this.gateway ? undefined : this.#host,
      clientId: request.clientId,
      username: login.username,
      proven: login.proven,
      endpointName: request.endpointName,
      peer,
      superuser: login.superuser,
      expiresAt: login.expiresAt,
      rules: login.rules,
    });
    const ban = this.#policy.banOf(identity.clientId, identity.username, peer.address, now);
    if (ban !== undefined) return banned(ban);
    const { mountpoint } = this.#current();
    if (mountpoint !== undefined && mountpoint.fill(identity) === undefined) {
      // Without its own prefix the client would share the topics of all who lack one.
      return {
        ok: false,
        refusal: "forbidden",
        reason: "the mountpoint needs a name that this client lacks",
      };
    }
    return { ok: true, identity };
  }

  #current(): ListenerRules {
    if (this.#rules.book === this.#policy.rules) return this.#rules;
    const rate = this.#rules.settings.limits.connectionRate;
    this.#rules = new ListenerRules(this.#policy.rules, this.gateway, this.listener, this.#host, this.#rules);
    const newRate = this.#rules.settings.limits.connectionRate;
    if (newRate !== rate) this.#connections = new TokenBucket(newRate);
    return this.#rules;
  }
}
