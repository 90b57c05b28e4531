/** What keeps a test process alive, in words. */
import { Server, Socket } from "node:net";
import type { ChildProcess } from "node:child_process";
import { GO_ON } from "./messages.ts";

export function openResources(): string[] {
  const described = (process as unknown as { _getActiveHandles(): object[] })
    ._getActiveHandles()
    .map(describe);
  const other = process.getActiveResourcesInfo().filter((kind) => kind === "Timeout" || kind === "Immediate");
  return [...described, ...other].filter((text) => text !== "");
}

function describe(handle: object): string {
  const kind = handle.constructor.name;
  if (handle instanceof Server) return `${kind} listening on ${JSON.stringify(handle.address())}`;
  if (handle instanceof Socket) {
    if ("fd" in handle && Number(handle.fd) <= GO_ON) return ""; // standard streams
    const { localAddress, localPort, remoteAddress, remotePort } = handle;
    return localAddress === undefined
      ? `${kind} (pipe or Unix socket)`
      : `${kind} ${localAddress}:${localPort} to ${remoteAddress}:${remotePort}`;
  }
  if ("spawnargs" in handle) {
    const { pid, spawnargs } = handle as ChildProcess;
    return `${kind} ${pid}: ${spawnargs.join(" ")}`;
  }
  return kind;
}
