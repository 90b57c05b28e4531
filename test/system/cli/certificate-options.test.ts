/** Errors in the certificates that `turnabout serve` is given. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { file } from "../../support/agents.ts";
import { run } from "../../support/commands.ts";
import { createPki, issueServer } from "../../support/pki.ts";

const pki = await createPki();
const good = await issueServer(pki);
const other = await issueServer(pki);

describe("a certificate and its key", () => {
  it("that do not match end `turnabout serve` at the start, with an error and a hint", async () => {
    const files = ["--tls-cert", file(good.cert), "--tls-key", file(other.key)];
    const { code, stderr } = await run("turnabout", ["serve", "--port", "0", ...files], {
      env: { TURNABOUT_ADMIN_TOKEN: "x" },
    });
    assert.match(stderr, /error: --tls-key .*: not the key of --tls-cert .*\nhint: give a matching pair/);
    assert.equal(code, 1);
  });
});
