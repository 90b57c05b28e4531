/** The apps of a host as tiles. A click opens the stream in a window of its own. */
import { fetchImage } from "../api.js";
import { buildUrl } from "../config_.js";
import { tile } from "./tile.js";

export function gameList(api, hostId, apps) {
  return Promise.all(
    apps.map(async ({ app_id, title }) =>
      tile("game", {
        name: title,
        image: await fetchImage(api, `/app/image?host_id=${hostId}&app_id=${app_id}`),
        onClick: () => globalThis.open(buildUrl(`/stream.html?hostId=${hostId}&appId=${app_id}`)),
      }),
    ),
  );
}
