import { Socket } from "node:net";
import type { RawSocket } from "./transport.ts";

export const rawSocket = (): RawSocket => new Socket();
