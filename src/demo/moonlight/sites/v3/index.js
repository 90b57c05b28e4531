/** The bundle of the page: it knows its prefix from the classic script before it. */
const { path_prefix: prefix } = globalThis.window.__CONFIG_JS__;

async function start() {
  const response = await fetch(`${globalThis.location.origin}${prefix}/api/hosts`, {
    credentials: "include",
  });
  for (const line of (await response.text()).trim().split("\n")) {
    const entry = document.createElement("p");
    entry.className = "host";
    entry.textContent = JSON.parse(line).name ?? "";
    document.querySelector("#list").append(entry);
  }
}

void start();
