import { MergedOutput } from "../net/merged-output.ts";

/** The way out of one connection to a server. */
export class Wire extends MergedOutput {
  /** The transport takes no more for now. */
  full = false;

  protected override filled(): void {
    this.full = true;
  }

  /** Sends what is there, then the end of the stream. */
  end(): void {
    if (this.closed) return;
    this.flush();
    this.closed = true;
    this.connection.end();
  }

  destroy(): void {
    if (this.closed) return;
    this.drop();
    this.connection.destroy();
  }
}
