/** The hosts as tiles. */
import { host } from "./index.js";

export function hostList(hosts, open) {
  return hosts.map((entry) => host(entry, () => open(entry.host_id)));
}
