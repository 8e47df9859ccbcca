/** Several paths of a device in one request: read, or observed, together (LwM2M 1.1 §6.3.9, §6.4.4). */
import type { Order } from "../lib/lwm2m.ts";
import { Button, Text } from "../parts/basic.tsx";

interface SeveralProps {
  readonly paths: readonly string[];
  /** As the node lists them: those that are observed together with commas between. */
  readonly observed: readonly string[];
  readonly order: Order;
}

export function Several({ paths, observed, order }: SeveralProps) {
  const none = paths.length === 0;
  return (
    <div class="actions several" role="group" aria-label="several at once">
      <span class="second" role="status">
        {paths.length} chosen
      </span>
      <Button small needs="operator" disabled={none} onClick={() => void order("read-composite", { paths })}>
        Read together
      </Button>
      <Button
        small
        needs="operator"
        disabled={none}
        onClick={() => void order("observe-composite", { paths })}
      >
        Observe together
      </Button>
      {observed
        .filter((one) => one.includes(","))
        .map((together) => (
          <p key={together}>
            observed together: <Text text={together.replaceAll(",", ", ")} />{" "}
            <Button
              small
              needs="operator"
              label={`end observing ${together.replaceAll(",", ", ")}`}
              onClick={() => void order("cancel-observe-composite", { paths: together.split(",") })}
            >
              End
            </Button>
          </p>
        ))}
    </div>
  );
}
