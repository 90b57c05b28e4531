/** The directory on a storage engine, for the hop between nodes. */
import { randomUUID } from "node:crypto";
import { VERSION } from "../wire/version.ts";
import type { ClusterOptions } from "./cluster.ts";
import { systemClock } from "./directory/clock.ts";
import { Directory } from "./directory/directory.ts";
import type { KeyValue } from "./directory/key-value.ts";

/** For the option `createDirectory` of `createCluster()`, with the same id and URL. The engine is closed by its owner. */
export function directoryOn(
  keyValue: KeyValue,
  { nodeId, url }: Pick<ClusterOptions, "nodeId" | "url">,
): ClusterOptions["createDirectory"] {
  return ({ log, onRefused }) => {
    const directory = new Directory({
      keyValue,
      clock: systemClock(),
      log,
      nodeId,
      url,
      version: VERSION,
      createEpoch: randomUUID,
      onRefused,
    });
    return {
      nodes: () => directory.nodes(),
      placeOf: (runnerId) => directory.placeOf(runnerId),
      runnersAt: (id) => directory.runnersAt(id),
      onChange: (listener) => directory.onChange(listener),
      register: async (local) => {
        const result = await directory.register(local);
        if (result === "registered") return;
        // Of a credential that held the runner the directory goes on trying.
        if (result.kind !== "unavailable" || !result.isKnown) onRefused(local, result);
      },
      unregister: (lost) => directory.unregister(lost),
      missing: () => (directory.status().lease === "held" ? undefined : "the cluster's directory"),
      start: () => directory.start(),
      close: () => directory.close(),
    };
  };
}
