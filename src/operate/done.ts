/** What becomes of an operator's order. */
export type Done =
  | { readonly ok: true }
  | {
      readonly ok: false;
      /** `unknown`: there is nothing of that name. `conflict`: not as things stand. `failed`: it was tried. */
      readonly refusal: "unknown" | "conflict" | "failed";
      /** One sentence, with the fix where there is one. */
      readonly reason: string;
    };

export const DONE: Done = { ok: true };

export const refused = (refusal: Exclude<Done, { ok: true }>["refusal"], reason: string): Done => ({
  ok: false,
  refusal,
  reason,
});
