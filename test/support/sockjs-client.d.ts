/** As much of sockjs-client as the tests use; the package brings no types. */
declare module "sockjs-client" {
  interface Options {
    readonly transports?: string | readonly string[];
    readonly timeout?: number;
  }
  class SockJS {
    constructor(url: string, protocols?: null, options?: Options);
    readonly transport: string;
    readonly readyState: number;
    onopen: (() => void) | null;
    onmessage: ((event: { readonly data: string }) => void) | null;
    onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null;
    send(data: string): void;
    close(code?: number, reason?: string): void;
  }

  export = SockJS;
}
