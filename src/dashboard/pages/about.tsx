/** What this node is. */

import type { Node } from "../../api/answers/node.ts";
import { apiAddress } from "../lib/api.ts";
import { useAsk } from "../lib/asking.ts";
import { moment } from "../lib/format.ts";
import { bytes, count, length } from "../lib/quantities.ts";
import { Facts, Part, Text, When } from "../parts/basic.tsx";

/** `residentBytes` as words. */
const wordsOf = (name: string): string =>
  name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`).replace(/ bytes$/, "");

export function About() {
  const asked = useAsk<Node>("/node", {}, 2);
  return (
    <>
      <h1>About this node</h1>
      <When asked={asked} lines={6}>
        {(node) => (
          <div class="stack">
            <Part title="Node">
              <Facts
                facts={[
                  ["Name", <Text text={node.name} mono={false} />],
                  ["Isthmus", node.version],
                  ["Started", moment(node.startedAt)],
                  ["Up for", length(node.uptime * 1_000)],
                  ["Its clock", moment(node.time)],
                  ["Platform", node.platform],
                  ["Node.js", node.runtime],
                  ["Process", String(node.pid)],
                ]}
              />
            </Part>
            <Part title="Numbers">
              <Facts
                facts={Object.entries(node.numbers).map(
                  ([name, value]) =>
                    [wordsOf(name), /bytes/i.test(name) ? bytes(value) : count(value)] as const,
                )}
              />
            </Part>
            <Part title="For programs">
              <p>
                Everything here is also in the API: <a href={apiAddress("/openapi.json")}>OpenAPI document</a>
                , <a href={apiAddress("/metrics")}>all numbers as JSON</a>.
              </p>
            </Part>
          </div>
        )}
      </When>
    </>
  );
}
