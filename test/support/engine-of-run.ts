import type { Deadlines } from "#core/drive/deadlines.ts";
import { days, minutes } from "#core/lib/time.ts";
import type { Attendance } from "#core/session/attendance.ts";
import type { EmbeddedEngine } from "#core/session/embedded-engine.ts";
import type { SessionEngine } from "#core/session/engine.ts";
import type { UpstreamEngine } from "#core/upstream/engine.ts";
import type { UpstreamOptions } from "#core/upstream/options.ts";
import type { ServerChoice } from "#core/upstream/server-choice.ts";
import { LateEngine } from "./late-engine.ts";
import { mulberry32 } from "./random.ts";
import { onlyServer, upstreamContext, upstreamEngine, VirtualBroker } from "./upstream-world.ts";
import { permissive, SESSION, type World, type WorldOptions } from "./world.ts";

/** The brokers behind worlds, in the runs whose gateways have one. */
export const brokers = new WeakMap<World, VirtualBroker>();

const engines = new WeakMap<World, UpstreamEngine>();

/** Ends what an engine before a broker leaves behind by design: sessions that wait for their devices, and its own connections. */
export function endEngine(world: World): void {
  const engine = engines.get(world);
  if (engine === undefined) return;
  const broker = brokers.get(world);
  if (broker !== undefined) broker.closesOver = undefined;
  for (const attendance of [...engine.absent()]) engine.discard(attendance);
  world.advance(minutes(1));
  engine.stop();
  world.advance(minutes(1));
}

/** The engine of a world whose sessions are at a broker. */
export const engineOf = (world: World): UpstreamEngine => {
  const engine = engines.get(world);
  if (engine === undefined) throw new Error("the sessions of this world are its own");
  return engine;
};

/** What is here of a client's session, whoever has its queue. */
export function sessionOf(world: World, gateway: string, clientId: string): Attendance | undefined {
  const engine = engines.get(world);
  if (engine === undefined) return world.sessions.get(gateway, clientId);
  for (const session of engine.sessions())
    if (session.gateway === gateway && session.clientId === clientId) return session;
  return undefined;
}

/** The engine that the tests of this run are about: the embedded one, or one that stands before it. */
export function engineOfRun(
  embedded: EmbeddedEngine,
  deadlines: Deadlines,
  world: World,
  options: WorldOptions,
): SessionEngine {
  const { seed = 1, expiryMax = days(3650), sessions = 1_000_000, otherUser = "refuse" } = options;
  const defer = (run: () => void) => world.defer(run);
  const { failuresMax, inboundMax } = { ...SESSION, ...options.session };
  const limits = { expiryMax, sessions, replayMax: 0, otherUser, failuresMax, inboundMax };
  const now = () => world.now;
  const policy = permissive("mqtt");
  const surroundings = { deadlines, random: mulberry32(seed), now, defer, embedded, policy };
  const before = (choice: ServerChoice, settings?: Partial<UpstreamOptions>): UpstreamEngine => {
    const context = upstreamContext(surroundings, choice, () => world.core.tick(), settings);
    const engine = upstreamEngine(context, limits, options.devices);
    engines.set(world, engine);
    return engine;
  };
  if (options.before !== undefined)
    return before(options.before.choice(surroundings), options.before.options);
  switch (process.env["ISTHMUS_TEST_ENGINE"]) {
    case "late":
      return new LateEngine(embedded, mulberry32(seed), defer);
    case "upstream": {
      const broker = new VirtualBroker(surroundings);
      brokers.set(world, broker);
      return before(onlyServer(broker.server), options.upstream);
    }
    default:
      return embedded;
  }
}
