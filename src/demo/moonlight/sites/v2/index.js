/** The page with the hosts of a user and, behind a click, their apps. */
import { callApi, callLines, fetchImage } from "./api.js";
import { buildUrl } from "./config_.js";

const list = document.querySelector("#list");
const tiles = new Map();

async function start() {
  localStorage.setItem("mlSettings", localStorage.getItem("mlSettings") ?? "{}");
  const [user, { role }] = await Promise.all([callApi("/user"), callApi("/role")]);
  document.querySelector("#user").textContent = `${user.name} (${role.name})`;
  await callApi("/settings/permissions");
  for await (const line of callLines("/hosts")) {
    for (const host of line.hosts ?? [line]) showHost(host);
  }
}

/** Again with each line that tells more of the host. */
function showHost({ host_id, name, server_state }) {
  const tile = tiles.get(host_id) ?? newTile(host_id);
  tile.textContent = `${name} ${server_state ?? ""}`;
}

function newTile(hostId) {
  const tile = document.createElement("button");
  tile.className = "host";
  tile.addEventListener("click", () => void showApps(hostId));
  tiles.set(hostId, tile);
  list.append(tile);
  return tile;
}

async function showApps(hostId) {
  const { host } = await callApi(`/host?host_id=${hostId}`);
  const { apps } = await callApi(`/apps?host_id=${host.host_id}`);
  list.replaceChildren();
  for (const { app_id, title } of apps) {
    const tile = document.createElement("button");
    const picture = document.createElement("img");
    picture.src = await fetchImage(`/app/image?host_id=${hostId}&app_id=${app_id}`);
    picture.alt = "";
    tile.className = "game";
    tile.append(picture, title);
    tile.addEventListener("click", () => {
      globalThis.open(buildUrl(`/stream.html?hostId=${hostId}&appId=${app_id}`));
    });
    list.append(tile);
  }
}

await start();
