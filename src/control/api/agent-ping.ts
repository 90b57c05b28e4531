/** The round trip to an agent: a PING on its tunnel connection. */
import { TurnaboutError } from "../../wire/errors.ts";
import { Guard } from "../../wire/streams/guard.ts";
import { PING_TIMEOUT_MS } from "./limits.ts";
import type { AgentConnection } from "../registry/agent-connection.ts";

/** @returns milliseconds @throws TurnaboutError `tunnel_timeout` */
export function pingAgent(connection: AgentConnection): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const fail = (): void => {
    clearTimeout(timer);
    reject(new TurnaboutError("tunnel_timeout", `ping ${connection.id}: no response`));
  };
  const timer = setTimeout(fail, PING_TIMEOUT_MS);
  const onAcknowledged = (error: Error | null, durationMs: number): void => {
    if (error !== null) return fail();
    clearTimeout(timer);
    resolve(durationMs);
  };
  // node throws where the HTTP/2 session has just ended.
  new Guard(fail).run(() => connection.tunnel.ping(onAcknowledged));
  return promise;
}
