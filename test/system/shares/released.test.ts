/** What callers leave unread is freed when they go, while the agent stays connected. */
import assert from "node:assert/strict";
import http from "node:http";
import { afterEach, it } from "node:test";
import v8 from "node:v8";
import { TunnelSocket } from "../../../src/wire/streams/tunnel-socket.ts";
import { eventually, next, turn, within } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { ADMIN_TOKEN, RUNNER, startSystem, TARGET } from "../../support/system.ts";
import { startHttpTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

const DOWNLOADS = 12;
const CHUNK = Buffer.alloc(64 * 1024);

it("downloads that are broken off leave nothing behind", async () => {
  await using target = await startHttpTarget((_request, response) => {
    const send = (): void => {
      while (!response.destroyed && response.write(CHUNK));
    };
    response.on("drain", send);
    response.on("error", () => {});
    send();
  });
  await using system = await startSystem({ target });
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
  const url = `${system.url}/api/v1/runners/${RUNNER}/targets/${TARGET}/`;
  const downloads = Array.from({ length: DOWNLOADS }, () => http.get(url, { agent: false, headers }));
  await Promise.all(
    downloads.map(async (request) => {
      request.on("error", () => {});
      const [response] = await next<[http.IncomingMessage]>(request, "response");
      response.on("error", () => {});
      await next(response, "readable"); // and no more is read
    }),
  );
  assert.ok(v8.queryObjects(TunnelSocket, { format: "count" }) >= DOWNLOADS);
  const closed = downloads.map((request) => next(request, "close"));
  for (const request of downloads) request.destroy();
  await within(Promise.all(closed), "the ends of the downloads");
  await turn(200); // each look collects garbage
  await eventually(() => v8.queryObjects(TunnelSocket, { format: "count" }) === 0, "all to be freed");
});
