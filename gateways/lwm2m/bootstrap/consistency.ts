/** A profile must leave the device with accounts that work (LwM2M 1.1 §6.1.6, Appendix E.1, E.2, E.12). */
import type { Entry, Value } from "../content/value.ts";
import { isObjectLink } from "../content/value.ts";
import type { BootstrapWrite } from "./profile.ts";

const SECURITY = 0;
const SERVER = 1;
const OSCORE = 21;
/** Resources of /0/x: server URI, is bootstrap server, security mode, short server id, OSCORE. */
const Security = {
  Uri: 0,
  Bootstrap: 1,
  Mode: 2,
  PublicKey: 3,
  SecretKey: 5,
  ShortId: 10,
  Oscore: 17,
} as const;
const Server = { ShortId: 0, Lifetime: 1, Binding: 7 } as const;
const MODE_NOSEC = 3;

/** What is wrong, in one sentence; `undefined` when nothing is. */
export function inconsistency(writes: readonly BootstrapWrite[]): string | undefined {
  const accounts = writes.filter((write) => write.path.object === SECURITY);
  const servers = writes.filter((write) => write.path.object === SERVER);
  const twice = writes.find(
    (write, index) => writes.findIndex((other) => other.path.equals(write.path)) !== index,
  );
  if (twice !== undefined) return `${twice.path} is written twice`;
  const problem = [
    ...accounts.map((account) => accountProblem(account, writes)),
    ...servers.map(serverProblem),
  ].find(Boolean);
  if (problem !== undefined) return problem;
  if (accounts.filter((account) => valueAt(account, Security.Bootstrap) === true).length > 1) {
    return "more than one bootstrap server account";
  }
  return pairingProblem(accounts, servers);
}

/** Exactly one Security instance for each Server instance, found by the short server id, and the other way. */
function pairingProblem(
  accounts: readonly BootstrapWrite[],
  servers: readonly BootstrapWrite[],
): string | undefined {
  const accountIds = accounts
    .filter((account) => valueAt(account, Security.Bootstrap) !== true)
    .map((account) => valueAt(account, Security.ShortId));
  const serverIds = servers.map((server) => valueAt(server, Server.ShortId));
  for (const id of accountIds) {
    if (accountIds.filter((other) => other === id).length > 1)
      return `short server id ${id} has two Security instances`;
    if (!serverIds.includes(id))
      return `short server id ${id} has a Security instance but no Server instance`;
  }
  for (const id of serverIds) {
    if (serverIds.filter((other) => other === id).length > 1)
      return `short server id ${id} has two Server instances`;
    if (!accountIds.includes(id))
      return `short server id ${id} has a Server instance but no Security instance`;
  }
  return undefined;
}

function accountProblem(account: BootstrapWrite, writes: readonly BootstrapWrite[]): string | undefined {
  const uri = valueAt(account, Security.Uri);
  if (typeof uri !== "string" || !/^coaps?(?:\+tcp|\+sms|\+nidd)?:\/\//.test(uri)) {
    return `${account.path}: resource 0 is not a CoAP URI`;
  }
  const bootstrap = valueAt(account, Security.Bootstrap) === true;
  const shortId = valueAt(account, Security.ShortId);
  if (!bootstrap && !isShortId(shortId))
    return `${account.path}: resource 10 is not a short server id of 1 to 65534`;
  const mode = valueAt(account, Security.Mode);
  if (typeof mode !== "number" || mode < 0 || mode > 4)
    return `${account.path}: resource 2 is not a security mode`;
  if (mode !== MODE_NOSEC && valueAt(account, Security.SecretKey) === undefined && mode !== 4) {
    return `${account.path}: security mode ${mode} needs a key in resource 5`;
  }
  if (mode === MODE_NOSEC && /^coaps/.test(uri))
    return `${account.path}: coaps needs a security mode other than 3`;
  const oscore = valueAt(account, Security.Oscore);
  if (oscore === undefined || !isObjectLink(oscore)) return undefined;
  const linked = writes.some(
    (write) => write.path.object === OSCORE && write.path.instance === oscore.instance,
  );
  return linked && oscore.object === OSCORE
    ? undefined
    : `${account.path}: resource 17 links to no OSCORE instance`;
}

function serverProblem(server: BootstrapWrite): string | undefined {
  if (!isShortId(valueAt(server, Server.ShortId)))
    return `${server.path}: resource 0 is not a short server id of 1 to 65534`;
  const lifetime = valueAt(server, Server.Lifetime);
  if (typeof lifetime !== "number" || lifetime < 0) return `${server.path}: resource 1 is not a lifetime`;
  const binding = valueAt(server, Server.Binding);
  if (typeof binding !== "string" || !/^[UTSNMHQ]+$/.test(binding))
    return `${server.path}: resource 7 is not a binding`;
  return undefined;
}

const isShortId = (value: Value | undefined): boolean =>
  typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= 65_534;

const valueAt = (write: BootstrapWrite, resource: number): Value | undefined =>
  write.entries.find((entry: Entry) => entry.path.resource === resource)?.value;
