import type { ClientId } from "../contract/answers.ts";
import type { Peer } from "../contract/peer.ts";
import type { Instant } from "../lib/time.ts";
import type { Identity } from "./policy.ts";
import type { Rights } from "./rights.ts";
import type { AccessRule } from "./settings.ts";
import type { SourcedRights } from "./sourced-rights.ts";

/** An identity that this policy has accepted; it carries its rights along, which spares the search for them. */
export class AcceptedIdentity implements Identity {
  readonly gateway: string;
  readonly listener: string;
  readonly host: string | undefined;
  readonly clientId: ClientId;
  readonly username: string | undefined;
  readonly proven: string | undefined;
  readonly endpointName: string | undefined;
  readonly peer: Peer;
  readonly superuser: boolean;
  readonly expiresAt: Instant | undefined;
  readonly rules: readonly AccessRule[] | undefined;
  /** Of the generation it names; made when first asked for. */
  rights: Rights | SourcedRights | undefined = undefined;

  constructor(identity: Identity) {
    this.gateway = identity.gateway;
    this.listener = identity.listener;
    this.host = identity.host;
    this.clientId = identity.clientId;
    this.username = identity.username;
    this.proven = identity.proven;
    this.endpointName = identity.endpointName;
    this.peer = identity.peer;
    this.superuser = identity.superuser;
    this.expiresAt = identity.expiresAt;
    this.rules = identity.rules;
  }
}
