/** What a command that forwards does until it is ended. */
import { setInterval as every } from "node:timers/promises";
import type { RemoteConnection } from "../../clients/dial/remote-connection.ts";
import { joinReasons, toError } from "../../wire/errors.ts";
import { WARM_INTERVAL_MS } from "./limits.ts";

/** Until SIGINT or SIGTERM. A lost connection to the control plane is replaced before the next client needs it. */
export async function keepWarm(remote: RemoteConnection): Promise<void> {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
  let isReachable = true;
  try {
    for await (const _ of every(WARM_INTERVAL_MS, undefined, { signal: stop.signal })) {
      try {
        await remote.warm();
        if (!isReachable) process.stderr.write("the control plane is reachable again\n");
        isReachable = true;
      } catch (error) {
        if (isReachable)
          process.stderr.write(`warning: ${joinReasons([toError(error).message, "trying again"])}\n`);
        isReachable = false;
      }
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  }
}
