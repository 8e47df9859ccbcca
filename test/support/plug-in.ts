/** Hooks in a virtual world: the first refuses when it fails, the others let pass. */
import { HooksOfAll } from "#core/hooks/hooks.ts";
import { type HooksHost, Plugged } from "#core/hooks/plugged.ts";
import type { Hook } from "#core/hooks/plugin.ts";
import { Room } from "#core/hooks/room.ts";
import { seconds } from "#core/lib/time.ts";
import type { World } from "./world.ts";

export function plugIn(hooks: readonly Hook[], world: World): HooksOfAll {
  const { core, deadlines } = world;
  const room = new Room({ ofClient: 8, ofAll: 1000, linger: seconds(10) });
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
  const plugged = hooks.map((hook, index) => {
    const onError = index === 0 ? "refuse" : "pass";
    return new Plugged(hook, { name: `hook${index}`, onError, timeLimit: seconds(1) }, host);
  });
  return new HooksOfAll(plugged, room);
}
