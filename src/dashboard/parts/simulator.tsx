/** The simulated fleet: offered where there is nobody yet, and stopped from every page. */
import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import type { Fleet } from "../../api/answers/simulator.ts";
import { ask, Problem, read } from "../lib/api.ts";
import { due } from "../lib/format.ts";
import { beat } from "../lib/live.ts";
import { may } from "../lib/session.ts";
import { Button, Choice, Field } from "./basic.tsx";
import { carryOut } from "./dialog.tsx";

/** Undefined: not known yet; "none": this node has no simulator. */
const fleet = signal<Fleet | "none" | undefined>(undefined);

async function look(): Promise<void> {
  try {
    fleet.value = await read<Fleet>("/simulator");
  } catch (error) {
    if (error instanceof Problem && error.status === 404) fleet.value = "none";
  }
}

const SCENARIOS = [
  ["cold-chain", "cold chain"],
  ["street-lamps", "street lamps"],
  ["water-meters", "water meters"],
] as const;

const LOSSES = [
  ["0", "none"],
  ["5", "5 %"],
  ["15", "15 %"],
  ["30", "30 %"],
] as const;

export function StartFleet() {
  const [scenario, setScenario] = useState<string>("cold-chain");
  const [devices, setDevices] = useState("100");
  const [loss, setLoss] = useState("0");
  useEffect(() => void look(), []);
  const now = fleet.value;
  if (now === undefined || now === "none" || now.running) return null;
  if (now.offered === false) return <p class="second">A simulated fleet is not offered here: {now.why}</p>;
  return (
    <>
      <p>Or see how it looks with devices that are not there:</p>
      <form
        class="row"
        onSubmit={(event) => {
          event.preventDefault();
          if (!may("operator")) return;
          const body = { scenario, devices: Number(devices), loss: Number(loss) };
          void carryOut("The simulated fleet comes", () => ask("POST", "/simulator", { body })).then(look);
        }}
      >
        <Field label="Scenario">
          <Choice value={scenario} of={SCENARIOS} onChoice={setScenario} />
        </Field>
        <Field label="Devices">
          <Choice value={devices} of={["10", "100", "1000"]} onChoice={setDevices} />
        </Field>
        <Field label="Loss">
          <Choice value={loss} of={LOSSES} onChoice={setLoss} />
        </Field>
        <Button type="submit" kind="main" icon="play" needs="operator">
          Start a simulated fleet
        </Button>
      </form>
      <p class="second">It ends after 10 min, and all of it is gone then. Its ids begin with sim-.</p>
    </>
  );
}

const LOOK_EVERY = 5;

export function SimulatorBanner() {
  useEffect(() => {
    void look();
    return beat.subscribe((now) => {
      if (now % LOOK_EVERY === 0 && now > 0 && fleet.peek() !== "none") void look();
    });
  }, []);
  const now = fleet.value;
  if (now === undefined || now === "none" || !now.running) return null;
  const what = SCENARIOS.find(([name]) => name === now.wish?.scenario)?.[1];
  return (
    <div class="hint-bar">
      <span>
        A simulated fleet runs
        {now.wish === undefined ? "" : `: ${now.wish.devices} devices, ${what ?? now.wish.scenario}`}
        {now.until === undefined ? "" : `; ends ${due(now.until)}`}
      </span>
      <Button
        small
        needs="operator"
        onClick={() =>
          void carryOut("The simulated fleet is gone", () => ask("DELETE", "/simulator")).then(look)
        }
      >
        Stop
      </Button>
    </div>
  );
}
