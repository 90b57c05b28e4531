/** The page with the hosts and, behind a click, their apps. */
import { callApi, getApi } from "./api.js";
import { showError } from "./component/error.js";
import { gameList } from "./component/game.js";
import { hostList } from "./component/host/list.js";
import { loadSettings } from "./component/settings.js";

const list = document.querySelector("#list");

async function start() {
  loadSettings();
  const api = await getApi();
  document.querySelector("#add-host").addEventListener("click", () => {
    callApi(api, "/host", { method: "PUT", body: { address: "127.0.0.1" } }).then(() => show(api), showError);
  });
  await show(api);
}

async function show(api) {
  const { hosts } = await callApi(api, "/hosts");
  list.replaceChildren(...hostList(hosts, (id) => open(api, id).catch(showError)));
}

async function open(api, hostId) {
  const { host } = await callApi(api, `/host?host_id=${hostId}`);
  const { apps } = await callApi(api, `/apps?host_id=${host.host_id}`);
  list.replaceChildren(...(await gameList(api, host.host_id, apps)));
}

start().catch(showError);
