/** The page of one stream. */
import { Stream } from "./stream/index.js";

const query = new URLSearchParams(globalThis.location.search);
const stages = document.querySelector("#stages");

const stream = new Stream({ hostId: Number(query.get("hostId")), appId: Number(query.get("appId")) });
stream.addEventListener("stage", ({ detail }) => {
  const line = document.createElement("li");
  line.textContent = detail;
  stages.append(line);
});
stream.addEventListener("track", ({ detail }) => {
  document.querySelector("video").srcObject = new MediaStream([detail]);
});
