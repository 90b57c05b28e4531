/** `turnabout open`: a target in the user's browser, and in no other page. */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { it } from "node:test";
import { Command } from "../../support/commands.ts";
import { eventually } from "../../support/events.ts";
import { call } from "../../support/http.ts";
import { ADMIN_TOKEN, startSystem } from "../../support/system.ts";
import { startHttpTarget } from "../../support/target.ts";
import { tempPath } from "../../support/temp.ts";

it("turnabout open starts a browser at a local address without the token, for the user's own requests only", async () => {
  const target = await startHttpTarget((request, response) =>
    response.end(`${request.url ?? ""} ${request.headers.authorization ?? "-"}`),
  );
  await using system = await startSystem({ target });
  const folder = tempPath("");
  mkdirSync(folder);
  const seen = path.join(folder, "arguments");
  for (const name of ["xdg-open", "open"]) {
    writeFileSync(path.join(folder, name), `#!/bin/sh\necho "$@" > ${seen}.new && mv ${seen}.new ${seen}\n`);
    chmodSync(path.join(folder, name), 0o755);
  }
  const env = { TURNABOUT_TOKEN: ADMIN_TOKEN, PATH: `${folder}:${process.env["PATH"] ?? ""}` };
  const args = ["open", "runner-1/echo/a b?c=d", "--server", system.url];
  await using open = new Command("turnabout", args, { env });
  const address = await open.output.find(() => true, "the address");
  const { port } = new URL(address);
  assert.equal(address, `http://127.0.0.1:${port}/a%20b?c=d`);
  await eventually(() => {
    try {
      return readFileSync(seen, "utf8") === `${address}\n`;
    } catch {
      return false;
    }
  }, "the browser");
  const get = (headers: Record<string, string> = {}) => call(address, { token: null, headers });
  for (const headers of [
    {},
    { host: `localhost:${port}`, origin: `http://localhost:${port}` },
    { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" },
  ])
    assert.deepEqual([(await get(headers)).status, (await get(headers)).body], [200, "/a%20b?c=d -"]);
  for (const headers of [
    { host: `evil.example:${port}` },
    { origin: "https://evil.example" },
    { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" },
  ])
    assert.equal((await get(headers)).status, 403, JSON.stringify(headers));
  assert.equal((await open.end("SIGINT")).code, 0);
});
