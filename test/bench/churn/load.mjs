/** Lets clients of all gateways come at a rate, live for a second or two, and leave in every way. */
import { crowd } from "../../soak/crowd.mjs";
import { serve } from "../lib/serve.mjs";

/** Messages that the gateway gives to clients. */
const HANDED_OUT = ["mqtt publish", "stomp MESSAGE", "mqtt-sn c", "coap 2.05"];
const TICK_MS = 5;

/**
 * @param {{ports: Record<string, number>, seed: number, rate: number, seconds: number}} how   `rate`: clients a second
 */
async function churn({ ports, seed, rate, seconds }) {
  const began = Date.now();
  const clients = crowd(ports, seed, began + seconds * 1000);
  const usage = process.cpuUsage();
  const lives = new Set();
  let together = 0;
  while (!clients.over()) {
    const due = ((Date.now() - began) / 1000) * rate;
    while (clients.born < due) {
      const life = clients.live().finally(() => lives.delete(life));
      lives.add(life);
    }
    together = Math.max(together, lives.size);
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
  const elapsed = (Date.now() - began) / 1000;
  const { user, system } = process.cpuUsage(usage);
  const { counts, born } = clients;
  const share = (user + system) / 1e6 / elapsed;
  const given = HANDED_OUT.reduce((sum, name) => sum + counts.of(name), 0);
  await Promise.all(lives);
  return { clients: born / elapsed, sent: counts.sent / elapsed, given: given / elapsed, together, share };
}

serve({ churn });
