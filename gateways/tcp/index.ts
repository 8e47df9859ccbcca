import { Type } from "@sinclair/typebox";
import type { Gateway, GatewayModule, SettingProblem } from "#core/contract/gateway.ts";
import { TcpChannel } from "./channel.ts";
import { type TcpConfig, tcpSchema } from "./config.ts";
import { countersOf } from "./counters.ts";
import { RawDissector, TcpDissector } from "./dissector.ts";
import { packetDialect } from "./packet-dialect.ts";
import { patternProblem, RawDialects } from "./raw-dialect.ts";

/** Devices on plain TCP: the framed protocol, and raw frames on the listeners that the configuration names. */
export const tcp: GatewayModule<TcpConfig> = {
  name: "tcp",
  schema: tcpSchema,
  transports: ["tcp", "tls"],
  enabledByDefault: false,
  // A connection keeps what it was told when it began.
  restart: [],
  describes: Type.Object({
    lostAt: Type.Optional(Type.Integer({ description: "When it counts as lost if nothing comes from it." })),
  }),
  anyTopic: true,
  check,
  dissector: ({ listener }, { raw }) =>
    raw.some((one) => one.listener === listener) ? new RawDissector() : new TcpDissector(),
  open(config, host): Gateway<TcpConfig> {
    const counters = countersOf(host);
    let options = config;
    let raw = rawDialects(config);
    return {
      endpoint: ({ name }) => ({
        open: (peer, channelHost, now) => {
          const dialect = raw.get(name)?.open(peer) ?? packetDialect;
          return new TcpChannel(options, counters, dialect, channelHost, now);
        },
      }),
      reload(config) {
        raw = rawDialects(config);
        options = config;
      },
    };
  },
};

const rawDialects = ({ raw }: TcpConfig): ReadonlyMap<string, RawDialects> =>
  new Map(raw.map((one) => [one.listener, new RawDialects(one)]));

function check({ raw }: TcpConfig): SettingProblem[] {
  const problems: SettingProblem[] = [];
  const named = new Set<string>();
  raw.forEach(({ listener, framing, identity }, index) => {
    const report = (path: readonly string[], value: unknown, allowed: string): void => {
      problems.push({ path: ["raw", index, ...path], value, allowed });
    };
    if (named.has(listener)) report(["listener"], listener, "a listener without an entry before this one");
    named.add(listener);
    if (framing.kind === "length" && framing.strip && framing.offset > 0) {
      report(
        ["framing", "offset"],
        framing.offset,
        "0 with strip: octets before the length cannot be put back",
      );
    }
    const wrong = identity.pattern === "" ? undefined : patternProblem(identity.pattern);
    if (wrong !== undefined) report(["identity", "pattern"], identity.pattern, `RE2 syntax (${wrong})`);
  });
  return problems;
}
