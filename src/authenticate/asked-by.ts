import type { Peer } from "../contract/peer.ts";
import { addressBlock } from "../lib/address-block.ts";
import type { Applicant } from "../policy/authentication.ts";

/** For whom work is done that others have to wait for. */
export interface AskedBy {
  /** The block of addresses it comes from, and the name it gives: those take turns. */
  readonly address: string;
  readonly name: string;
  readonly applicant?: Applicant | undefined;
}

export const ANYBODY: AskedBy = { address: "", name: "" };

/** All whose addresses may be forged have one turn together: they could take as many as they like. */
const FORGEABLE = "forgeable";

export const askedBy = (
  { username, clientId }: { readonly username?: string | undefined; readonly clientId: string },
  { address, forgeable }: Peer,
  applicant?: Applicant,
): AskedBy => ({
  address: forgeable === true ? FORGEABLE : addressBlock(address, 32),
  name: username ?? clientId,
  applicant,
});
