/** The page of the control plane as a browser gets it: its fields, its caching, its bytes, and where it is. */
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { buildPage } from "../../../agents/packaging/page.ts";
import { PAGE_POLICY, pageRoutes } from "../../../src/control/page/page-routes.ts";
import { call, errorCode, open } from "../../support/http.ts";
import type { HttpResponse } from "../../support/http.ts";
import { startSystem } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import { tempPath } from "../../support/temp.ts";

const BUILT = path.join(import.meta.dirname, "../../../dist/page");
const FIRST_LOAD_BYTES = 150 * 1024;

let system: System;

before(async () => {
  await buildPage(BUILT);
  system = await startSystem({ agents: 0 });
});
after(() => system.close());

function get(address: string, headers: Record<string, string> = {}, method = "GET"): Promise<HttpResponse> {
  return call(address, { token: null, headers, method });
}

async function bytesOf(address: string, encoding: string): Promise<{ encoding: string; bytes: Buffer }> {
  const response = await open(address, { token: null, headers: { "accept-encoding": encoding } });
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return { encoding: response.headers["content-encoding"] ?? "identity", bytes: Buffer.concat(chunks) };
}

/** Addresses that the document names, below the folder that it is in. */
function filesOf(html: string): string[] {
  return [...html.matchAll(/(?:href|src)="(page\/[^"]+)"/g)].map(([, name = ""]) => name);
}

describe("the page", () => {
  it("is a document without a script or a style in it, and says what it may load", async () => {
    const { status, headers, body } = await get(`${system.url}/`);
    assert.equal(status, 200);
    assert.equal(headers["content-type"], "text/html; charset=utf-8");
    assert.equal(headers["content-security-policy"], PAGE_POLICY);
    for (const directive of [
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self'",
      "frame-ancestors 'none'",
    ])
      assert.ok(PAGE_POLICY.split("; ").includes(directive), directive);
    assert.doesNotMatch(PAGE_POLICY, /unsafe|https?:|\*/);
    assert.equal(headers["referrer-policy"], "no-referrer");
    assert.equal(headers["x-content-type-options"], "nosniff");
    assert.doesNotMatch(body, /<style|style=|<script(?![^>]* src=)|\son\w+=|https?:/);
    assert.equal(filesOf(body).length, 3, "a script, a style sheet and an icon");
  });

  it("is revalidated, and its files are kept: their names have a hash", async () => {
    const first = await get(`${system.url}/`);
    assert.equal(first.headers["cache-control"], "no-cache");
    const again = await get(`${system.url}/`, { "if-none-match": first.headers.etag ?? "" });
    assert.deepEqual([again.status, again.body], [304, ""]);
    for (const file of filesOf(first.body)) {
      const { status, headers } = await get(`${system.url}/${file}`);
      assert.equal(status, 200, file);
      assert.match(headers["cache-control"] ?? "", /max-age=31536000, immutable/);
      assert.equal(headers["x-content-type-options"], "nosniff");
      assert.match(headers["content-type"] ?? "", /^(text\/(javascript|css)|image\/svg\+xml)/);
      assert.match(file, /-[A-Za-z0-9]{8}\.\w+$/);
    }
    const head = await get(`${system.url}/`, {}, "HEAD");
    assert.deepEqual([head.status, head.body], [200, ""]);
  });

  it("comes compressed as the browser takes it, and is at most 150 KB at the first load", async () => {
    const { body } = await get(`${system.url}/`);
    let total = 0;
    for (const file of ["", ...filesOf(body)]) {
      const [br, gzip, plain] = await Promise.all(
        ["gzip, br", "gzip;q=1, br;q=0", "identity"].map((encoding) =>
          bytesOf(`${system.url}/${file}`, encoding),
        ),
      );
      assert.ok(br !== undefined && gzip !== undefined && plain !== undefined);
      assert.deepEqual([br.encoding, gzip.encoding, plain.encoding], ["br", "gzip", "identity"]);
      assert.deepEqual(brotliDecompressSync(br.bytes), plain.bytes);
      assert.deepEqual(gunzipSync(gzip.bytes), plain.bytes);
      total += gzip.bytes.length;
    }
    assert.ok(total <= FIRST_LOAD_BYTES, `${total} bytes`);
  });

  it("explains every code of the API's document that it may meet", async () => {
    const { body } = await get(`${system.url}/`);
    const [script = ""] = filesOf(body).filter((name) => name.endsWith(".js"));
    const { body: text } = await get(`${system.url}/${script}`);
    const [, name = ""] = /"(errors-\w{8}\.json)"/.exec(text) ?? [];
    const explanations = JSON.parse((await get(`${system.url}/page/${name}`)).body) as Record<
      string,
      { remedy: string }
    >;
    for (const code of ["runner_offline", "target_refused", "unauthenticated"])
      assert.ok((explanations[code]?.remedy.length ?? 0) > 20, code);
  });

  it("has no other files, and none from outside its folder", async () => {
    for (const name of [
      "none.js",
      "index.html",
      "..%2Fpage%2Findex.html",
      "%2e%2e%2Findex.js",
      "..%2F..%2Fpackage.json",
    ]) {
      const response = await get(`${system.url}/page/${name}`);
      assert.deepEqual([response.status, errorCode(response)], [404, "not_found"], name);
    }
  });

  it("is below the base path, whose last slash is added by a relative address", async () => {
    await using based = await startSystem({ agents: 0, controlPlane: { basePath: "/base" } });
    const { status, body } = await get(`${based.url}/base/`);
    assert.equal(status, 200);
    const [file = ""] = filesOf(body);
    assert.equal((await get(`${based.url}/base/${file}`)).status, 200);
    const redirect = await get(`${based.url}/base`);
    assert.deepEqual([redirect.status, redirect.headers.location], [308, "./base/"]);
    const outside = await get(`${based.url}/`);
    assert.deepEqual([outside.status, errorCode(outside)], [404, "not_found"]);
  });

  it("that has not been built says what to run, and is there without a restart afterwards", async () => {
    const folder = tempPath("");
    mkdirSync(folder);
    const { routes } = pageRoutes(path.join(folder, "page"));
    const absent = await routes.request("/");
    assert.deepEqual([absent.status, absent.headers.get("cache-control")], [404, "no-store"]);
    assert.match(await absent.text(), /npm run page/);
    await buildPage(path.join(folder, "page"));
    assert.equal((await routes.request("/")).status, 200);
  });
});
