/** One host. One that is not paired, or not reached, shows it. */
import { HOST_IMAGE, HOST_OFFLINE_IMAGE } from "../../resources/index.js";
import { tile } from "../tile.js";

export function host({ name, paired, server_state }, onClick) {
  const isReady = paired === "Paired" && server_state !== null;
  return tile("host", {
    name: isReady ? name : `${name} (${paired})`,
    image: isReady ? HOST_IMAGE : HOST_OFFLINE_IMAGE,
    onClick,
  });
}
