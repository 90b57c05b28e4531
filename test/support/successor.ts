/** A control plane in a process of its own that listens on a socket of this one. */
import type { AddressInfo } from "node:net";
import { Command } from "./commands.ts";
import { ADMIN_TOKEN } from "./system.ts";

export interface Successor extends Command {
  address: AddressInfo;
}

/** Resolves when it listens. */
export async function startSuccessor(descriptor: number | undefined): Promise<Successor> {
  if (descriptor === undefined) throw new Error("the socket has no descriptor");
  const script = new URL("./control-plane.child.ts", import.meta.url);
  const env = { TURNABOUT_ADMIN_TOKEN: ADMIN_TOKEN };
  const command = new Command(script, [], { env, descriptors: [descriptor] });
  const line = await command.output.find(() => true, "the successor's address", { timeoutMs: 60_000 });
  return Object.assign(command, { address: JSON.parse(line) as AddressInfo });
}
