/** What an exchange holds in memory: what its target's stream holds, and what its caller has sent. */
import type { Dispatcher } from "undici";
import type { TargetHandler } from "../http1-target/target-client.ts";
import type { Http2Exchange } from "../http2-target/exchange.ts";
import { bufferedBytes } from "../listener/messages.ts";
import type { AnyRequest } from "../listener/messages.ts";

/** @param controller of the target's response, once there is one */
export function heldBytes(
  { connection, received }: Pick<TargetHandler, "connection" | "received">,
  controller: Dispatcher.DispatchController | undefined,
  request: AnyRequest,
): number {
  const { heldBytes: ofExchange = 0 } = (controller ?? {}) as Partial<Http2Exchange>;
  const ofStream = received === undefined ? 0 : (connection?.heldBytes ?? 0);
  return ofExchange + ofStream + bufferedBytes(request);
}
