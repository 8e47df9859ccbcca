/** Hooks in a virtual world: the first refuses when it fails, the others let pass. */
import { HooksOfAll } from "#core/hooks/hooks.ts";
import { type HooksHost, Plugged } from "#core/hooks/plugged.ts";
import type { Hook } from "#core/hooks/plugin.ts";
import { Room } from "#core/hooks/room.ts";
import { seconds } from "#core/lib/time.ts";
import type { World } from "./world.ts";

export function plugIn(hooks: readonly Hook[], world: World): HooksOfAll {
  const room = new Room({ ofClient: 8, ofAll: 1000, linger: seconds(10) });
  return new HooksOfAll(pluggedOf(hooks, room, world), room);
}

/** These take the place of those that are there, as at a reload. */
export function plugAgain(hooks: readonly Hook[], world: World): void {
  const all = world.core.hooks!;
  all.update(pluggedOf(hooks, all.room, world));
}

function pluggedOf(hooks: readonly Hook[], room: Room, world: World): readonly Plugged[] {
  const { core, deadlines } = world;
  const host: HooksHost = {
    alarms: deadlines,
    tick() {
      core.tick();
      return core.now;
    },
    count: (hook, member, result) => world.counter(`${hook} ${member} ${result}`).value++,
    note: (event, detail) => core.note("hooks", { level: "warn", event, detail }),
    room,
  };
  return hooks.map((hook, index) => {
    const onError = index === 0 ? "refuse" : "pass";
    return new Plugged(hook, { name: `hook${index}`, onError, timeLimit: seconds(1) }, host);
  });
}
