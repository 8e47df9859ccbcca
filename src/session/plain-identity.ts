import type { Identity } from "../contract/identity.ts";

/** What is kept of an identity whose client has left: not the connection that its peer may stand for. */
export function plainIdentity(identity: Identity): Identity {
  const { gateway, listener, host, clientId, username, proven, endpointName, superuser, expiresAt } =
    identity;
  const { transport, address, port, node, identity: name } = identity.peer;
  const peer = { transport, address, port, node, identity: name };
  const rules = identity.rules === undefined ? {} : { rules: identity.rules };
  return {
    ...{ gateway, listener, host, clientId, username, proven, endpointName, peer, superuser, expiresAt },
    ...rules,
  };
}
