/** How many steps regular expressions may take: characters of the text times instructions of the expression. */

/** Of one match: a step is 10 to 20 ns at worst, so that is a tenth of a second or two of the gateway's only thread. */
export const STEPS_MAX = 10_000_000;
/** Of all matches that one message is the cause of. */
export const STEPS_OF_ALL_MAX = 2 * STEPS_MAX;
