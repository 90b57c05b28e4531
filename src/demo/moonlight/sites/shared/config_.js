/** The server's configuration, and URLs that are made with it: origin, prefix, path. */
import CONFIG from "./config.js";

export default CONFIG;

export function buildUrl(path) {
  return `${globalThis.location.origin}${CONFIG.path_prefix}${path}`;
}
