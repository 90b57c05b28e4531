/** The flooding caller, in a process of its own. */
import { openFlood } from "../load/floods.ts";
import { serve } from "./serve.ts";

export interface FloodCalls {
  start(name: string, port: number): void;
  stop(): void;
}

let stop = (): void => {};

serve({
  start: (name, port) => {
    stop = openFlood(name, port);
  },
  stop: () => stop(),
} satisfies FloodCalls);
