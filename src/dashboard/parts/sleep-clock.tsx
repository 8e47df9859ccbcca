/** One client's promise: when it was heard, until when it has promised to be heard again, and where now is. */

import { nodeNow } from "../lib/api.ts";
import type { ClientRow } from "../lib/clients.ts";
import { age, due, millis, moment, second } from "../lib/format.ts";
import { span } from "../lib/quantities.ts";
import { State } from "./basic.tsx";

export function SleepClock({ client }: { readonly client: ClientRow }) {
  void second.value;
  const heard = millis(client.heardAt);
  const promised = millis(client.dueAt);
  const now = nodeNow();
  if (promised === undefined) {
    return (
      <p class="second">
        <State state={client.state} /> It has never promised to be heard
        {heard === undefined ? "." : `; it was heard ${age(heard)} ago.`}
      </p>
    );
  }
  const from = heard ?? millis(client.since) ?? Math.min(now, promised);
  const to = Math.max(promised, now) + (Math.max(promised, now) - from) * 0.05 + 1;
  const part = (time: number): number => Math.min(100, Math.max(0, ((time - from) / (to - from)) * 100));
  const sentence = `${client.state}: heard ${heard === undefined ? "not since the start" : `${span(now - heard)} ago`}, promised to be heard ${due(promised)}`;
  return (
    <figure class="clock" aria-label={sentence}>
      <div class="bar" aria-hidden="true">
        <div
          class={`band ${client.state}`}
          style={{ left: "0%", width: `${part(Math.min(now, promised))}%` }}
        />
        {now > promised ? (
          <div
            class="band overdue"
            style={{ left: `${part(promised)}%`, width: `${part(now) - part(promised)}%` }}
          />
        ) : null}
        <div class="mark due" style={{ left: `${part(promised)}%` }} />
        <div class="mark now" style={{ left: `${part(now)}%` }} />
      </div>
      <figcaption>
        <span>heard {heard === undefined ? "not since the start of this node" : `${age(heard)} ago`}</span>
        <State state={client.state} />
        <span title={moment(promised)}>due {due(promised)}</span>
      </figcaption>
    </figure>
  );
}
