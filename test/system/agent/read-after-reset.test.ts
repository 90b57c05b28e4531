import assert from "node:assert/strict";
import http from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { afterEach, describe, it } from "node:test";
import { curl } from "../../support/curl.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { missing } from "../../support/parts.ts";
import { ADMIN_TOKEN, startSystem } from "../../support/system.ts";

afterEach(() => assertNothingOpen());

const UPLOADS = 10;

describe("a target that responds to an upload at once and closes", () => {
  it("has its response delivered, although writes to it have failed", { skip: missing("curl") }, async () => {
    const target = http.createServer((_request, response) => {
      response.writeHead(413, { connection: "close" }).end("too big");
    });
    target.listen(0, "127.0.0.1");
    await once(target, "listening");
    const address = `127.0.0.1:${(target.address() as AddressInfo).port}`;
    await using system = await startSystem({ agent: { runners: { "runner-1": { web: address } } } });
    const responses: string[] = [];
    for (let i = 0; i < UPLOADS; i += 1) {
      // 32 MiB, more than all buffers on the path.
      const { stdout } = await curl(
        ["-s", "-w", " %{http_code}", "-H", "Expect:", "-H", `Authorization: Bearer ${ADMIN_TOKEN}`].concat([
          "--data-binary",
          "@-",
          `${system.url}/api/v1/runners/runner-1/targets/web/upload`,
        ]),
        Buffer.alloc(32 * 1024 * 1024),
      );
      responses.push(stdout);
    }
    assert.deepEqual(
      responses,
      Array.from({ length: UPLOADS }, () => "too big 413"),
    );
    target.close();
    target.closeAllConnections();
    await once(target, "close");
  });
});
