import { SETTLED, settle, settlementOf } from "../acknowledgements.ts";
import type { Frame } from "../codec/frame.ts";
import type { Connection } from "../connection.ts";
import { Header } from "../frames.ts";
import { DONE, type Outcome } from "../problem.ts";

/** ACK and NACK, at once or as part of a transaction. */
export function acknowledge(frame: Frame, connection: Connection): Outcome {
  const settlement = settlementOf(frame, connection);
  if (settlement === SETTLED) return DONE;
  if ("message" in settlement) return settlement;
  const { counters } = connection.settings;
  if (frame.command === "ACK") counters.acknowledged.value++;
  else counters.returned.value++;
  const name = frame.text(Header.transaction);
  if (name === undefined) {
    settle(settlement, connection);
    return DONE;
  }
  const transaction = connection.transactions.get(name);
  if ("message" in transaction) return transaction;
  return connection.transactions.addSettlement(transaction, settlement) ?? DONE;
}
