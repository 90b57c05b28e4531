/** Wolf behind the API route: HTTP/1.0, one request a connection, bodies only with a length. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { MAX_MEASURED_BODY_BYTES } from "../../../src/control/limits.ts";
import { CALLERS, errorCode, openCaller } from "../../support/callers.ts";
import { startDoubles, viaWolf } from "../../support/doubles.ts";
import { ending, within } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";

afterEach(() => assertNothingOpen());

const APP = {
  title: "T",
  id: "7",
  support_hdr: false,
  start_virtual_compositor: true,
  start_audio_server: true,
  render_node: "r",
  runner: { type: "process", run_cmd: "sleep 1" },
};

for (const kind of CALLERS) {
  describe(`Wolf over ${kind}`, () => {
    it("responds to GET with its own JSON, and its connection is closed after it", async () => {
      await using doubles = await startDoubles({ tls: true });
      await using caller = await openCaller(kind, doubles.system);
      const response = await caller.call({ path: viaWolf("/api/v1/apps") });
      assert.equal(response.status, 200);
      assert.equal(response.headers["content-type"], "application/json");
      assert.equal(response.kind, "end");
      const { success, apps } = JSON.parse(response.text) as { success: boolean; apps: { title: string }[] };
      assert.deepEqual([success, apps[0]?.title], [true, "Wolf UI"]);
      await within(doubles.wolf.whenIdle(), "Wolf idle");
    });

    it("gets a POST with a length as it is", async () => {
      await using doubles = await startDoubles({ tls: true });
      await using caller = await openCaller(kind, doubles.system);
      const body = JSON.stringify(APP);
      const response = await caller.call({ method: "POST", path: viaWolf("/api/v1/apps/add"), body });
      assert.deepEqual([response.status, response.text], [200, '{"success":true}']);
      const [seen] = doubles.wolf.requests.filter(({ method }) => method === "POST");
      assert.deepEqual([seen?.body, seen?.headers.get("content-length")], [body, String(body.length)]);
    });

    it("gets a POST without a length with one", async () => {
      await using doubles = await startDoubles({ tls: true });
      await using caller = await openCaller(kind, doubles.system);
      const body = JSON.stringify(APP);
      const call = caller.open({ method: "POST", path: viaWolf("/api/v1/apps/add") });
      call.request.write(body.slice(0, 10));
      call.request.end(body.slice(10));
      const { status, body: response } = await within(call.response, "Wolf's response");
      assert.deepEqual([status, (await ending(response)).data.toString()], [200, '{"success":true}']);
      const [seen] = doubles.wolf.requests.filter(({ method }) => method === "POST");
      assert.equal(seen?.body, body);
      assert.equal(seen?.headers.get("content-length"), String(body.length));
      assert.equal(seen?.headers.has("transfer-encoding"), false);
    });

    it("is spared a body without a length that is too large to be measured: 411", async () => {
      await using doubles = await startDoubles({ tls: true });
      await using caller = await openCaller(kind, doubles.system);
      const call = caller.open({ method: "POST", path: viaWolf("/double/sink") });
      call.request.on("error", () => {}); // the rest of the body is not wanted
      call.request.end(Buffer.alloc(MAX_MEASURED_BODY_BYTES + 1));
      const { status, headers, body } = await within(call.response, "the refusal");
      assert.equal(status, 411);
      assert.match(String(headers["proxy-status"]), /details="length_required"/);
      assert.equal(errorCode((await ending(body)).data.toString()), "length_required");
      assert.deepEqual(
        doubles.wolf.requests.filter(({ method }) => method === "POST"),
        [],
      );
    });

    it("closes without a response: 502, at once", async () => {
      await using doubles = await startDoubles({ tls: true });
      await using caller = await openCaller(kind, doubles.system);
      const response = await caller.call({
        method: "POST",
        path: viaWolf("/api/v1/docker/images/pull"),
        body: "not JSON",
      });
      assert.deepEqual([response.status, errorCode(response.text)], [502, "target_closed"]);
    });
  });
}
