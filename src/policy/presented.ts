import type { Credentials } from "../contract/client.ts";
import type { Peer } from "../contract/peer.ts";
import type { GatewaySettings } from "./settings.ts";

const PLACEHOLDER = /%([ceani%])/g;

type Templates = NonNullable<GatewaySettings["presents"]>;

/** Undefined where a value is missing. */
function filled(template: string, { clientId, endpointName }: Credentials, peer: Peer): string | undefined {
  const { address, node, identity } = peer;
  const values: Readonly<Record<string, string | undefined>> = {
    c: clientId === "" ? undefined : clientId,
    e: endpointName,
    a: address,
    n: node,
    i: identity,
    "%": "%",
  };
  let missing = false;
  const text = template.replace(PLACEHOLDER, (_whole, name: string) => {
    missing ||= values[name] === undefined;
    return values[name] ?? "";
  });
  return missing ? undefined : text;
}

/** What a client is taken to have sent where it has sent no user name, as its gateway's configuration says. */
export function presented(request: Credentials, peer: Peer, templates: Templates | undefined): Credentials {
  // The endpoint name of LwM2M is a user name where the device says no other one: nothing that it sends as such.
  const sent = request.username !== undefined && request.username !== request.endpointName;
  if (templates === undefined || sent || request.exchange !== undefined) return request;
  const { username: name, password: secret } = templates;
  if (name === "" && (secret === "" || request.password !== undefined)) return request;
  const username = name === "" ? undefined : filled(name, request, peer);
  const password =
    secret === "" || request.password !== undefined ? undefined : filled(secret, request, peer);
  return {
    ...request,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password: new TextEncoder().encode(password) }),
  };
}
