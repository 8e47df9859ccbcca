/** As much of stompit as the tests use; the package brings no types. */
declare module "stompit" {
  import type { Duplex, Writable } from "node:stream";

  type Headers = Record<string, string | number>;
  interface FrameOptions {
    onReceipt?: () => void;
    onError?: (error: Error) => void;
  }
  interface Message {
    headers: Record<string, string>;
    readString(encoding: string, done: (error: Error | null, body: string) => void): void;
  }
  interface Transaction {
    send(headers: Headers, options?: FrameOptions): Writable;
    commit(options?: FrameOptions): void;
    abort(options?: FrameOptions): void;
  }
  interface Subscription {
    unsubscribe(headers?: Headers): void;
  }
  interface Client {
    headers: Record<string, string>;
    send(headers: Headers, options?: FrameOptions): Writable;
    subscribe(headers: Headers, listener: (error: Error | null, message: Message) => void): Subscription;
    ack(message: Message, headers?: Headers, options?: FrameOptions): void;
    nack(message: Message, headers?: Headers, options?: FrameOptions): void;
    begin(headers?: Headers | string): Transaction;
    disconnect(done: (error: Error | null) => void): void;
    destroy(error?: Error): void;
    on(event: "error", listener: (error: Error) => void): this;
  }
  const stompit: {
    connect(
      options: {
        host: string;
        port: number;
        ssl?: boolean;
        rejectUnauthorized?: boolean;
        connectHeaders?: Headers;
      },
      done: (error: Error | null, client: Client) => void,
    ): Duplex;
  };
  // biome-ignore lint/style/noDefaultExport: the package is CommonJS.
  export default stompit;
  export type { Client, Message, Transaction };
}
