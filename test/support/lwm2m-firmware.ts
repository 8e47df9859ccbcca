/** The firmware object (LwM2M 1.1 Appendix E.6) of a scripted device: takes a package, updates, and says how it went. */
import type { Asked, Lwm2mDevice, Reaction } from "./lwm2m-device.ts";

const BLOCK1 = 27;
const MORE = 8;

export class FirmwareObject {
  readonly #device: Lwm2mDevice;
  /** What was pushed. */
  readonly package: Buffer[] = [];
  /** What was to be fetched. */
  uri = "";
  #state = "0";
  #result = "0";
  #observed: Asked | undefined = undefined;

  /** `outcome`: of the update, as Update Result has it; 1 is success. */
  constructor(device: Lwm2mDevice, outcome = "1") {
    this.#device = device;
    const shown = (value: () => string) => (asked: Asked) => ({
      code: "2.05",
      payload: value(),
      ...(asked.observe === 0 ? { observe: 1 } : {}),
    });
    device
      .on(
        "GET /5/0/3",
        shown(() => this.#state),
      )
      .on("GET /5/0/5", (asked) => {
        if (asked.observe === 0) this.#observed = asked;
        return shown(() => this.#result)(asked);
      })
      .on("PUT /5/0/0", (asked) => this.#took(asked))
      .on("PUT /5/0/1", (asked) => {
        this.uri = Buffer.from(asked.payload).toString();
        this.#state = "2";
        return { code: "2.04" };
      })
      .on("POST /5/0/2", () => {
        this.#state = "3";
        // Behind the answer to this request.
        setImmediate(() => this.#updated(outcome));
        return { code: "2.04" };
      });
  }

  #took(asked: Asked): Reaction {
    this.package.push(Buffer.from(asked.payload));
    const block = asked.message.options.find(({ number }) => number === BLOCK1)?.value;
    const more = ((block?.at(-1) ?? 0) & MORE) !== 0;
    if (!more) this.#state = "2";
    return {
      code: more ? "2.31" : "2.04",
      ...(block === undefined ? {} : { options: [{ number: BLOCK1, value: block }] }),
    };
  }

  #updated(outcome: string): void {
    this.#state = "0";
    this.#result = outcome;
    this.#device.notify(this.#observed!, 9, { code: "2.05", payload: outcome });
  }
}
