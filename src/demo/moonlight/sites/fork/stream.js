/** The page of one stream. Of its query it reads the host and the app. */
import { getApi } from "./api.js";
import { showError } from "./component/error.js";
import { loadSettings } from "./component/settings.js";
import { Stream } from "./stream/index.js";

const query = new URLSearchParams(globalThis.location.search);
const stages = document.querySelector("#stages");

async function start() {
  const stream = new Stream(await getApi(), {
    hostId: Number(query.get("hostId")),
    appId: Number(query.get("appId")),
    settings: loadSettings(),
  });
  stream.addEventListener("stage", ({ detail }) => {
    const line = document.createElement("li");
    line.textContent = detail;
    stages.append(line);
  });
  stream.addEventListener("failure", ({ detail }) => showError(new Error(detail)));
  stream.addEventListener("track", ({ detail }) => {
    document.querySelector("video").srcObject = new MediaStream([detail]);
  });
}

start().catch(showError);
