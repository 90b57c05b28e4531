/** HTTP feature by feature through nginx, Go's ReverseProxy and Turnabout; docs/http.md's table is made of it. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { CONNECTIONS } from "./connections.ts";
import type { Feature } from "./features.ts";
import { COLUMNS, startProxies } from "./reverse-proxies.ts";
import type { ReverseProxy } from "./reverse-proxies.ts";
import { REQUESTS } from "./requests.ts";
import { RESPONSES } from "./responses.ts";
import { HTTP2_TARGETS } from "./http2.ts";
import type { Http2Proxy } from "./http2.ts";
import { isPresent } from "./programs.ts";
import { documented, rows, write } from "./table.ts";
import type { Row } from "./table.ts";

const HTTP2_PART = "targets that speak HTTP/2";
const PARTS: readonly (readonly [string, readonly Feature[]])[] = [
  ["requests", REQUESTS],
  ["responses", RESPONSES],
  ["connections", CONNECTIONS],
];

afterEach(() => assertNothingOpen());

describe("the table in docs/http.md", () => {
  for (const name of ["nginx", "Go"] as const) {
    it(`is compared with ${name}`, { skip: isPresent[name]() ? false : `not installed: ${name}` }, () => {});
  }

  it("says what was seen", async () => {
    await using stand = await startProxies();
    const known = documented([]);
    const measured = PARTS.flatMap(([part, features]) =>
      features.map(({ name, rfc, why = "" }): Row => ({ part, name, rfc, why, cells: {} })),
    );
    const all = PARTS.flatMap(([, features]) => features);
    // Side by side, each proxy in the order of the table.
    const measure = async (proxy: ReverseProxy): Promise<void> => {
      for (const [index, row] of measured.entries()) {
        const feature = all[index];
        const isKnown = (text: string): boolean =>
          known.some(
            ({ part, name, cells: old }) =>
              part === row.part && name === row.name && old[proxy.column] === text,
          );
        let text = (await feature?.cell(proxy)) ?? "–";
        // Once more: a busy machine can be late, and nothing is late twice.
        if (!isKnown(text)) text = (await feature?.cell(proxy)) ?? "–";
        row.cells[proxy.column] = text;
      }
    };
    const http2Rows = HTTP2_TARGETS.map(({ name, rfc, why = "" }): Row => {
      const nowhere = Object.fromEntries(COLUMNS.map((column) => [column, "–"]));
      return { part: HTTP2_PART, name, rfc, why, cells: nowhere };
    });
    const measureHttp2 = async (proxy: Http2Proxy): Promise<void> => {
      for (const [index, feature] of HTTP2_TARGETS.entries()) {
        const row = http2Rows[index];
        if (row === undefined) continue;
        const isKnown = (text: string): boolean =>
          known.some(
            (old) => old.part === row.part && old.name === row.name && old.cells[proxy.column] === text,
          );
        let text = await feature.cell(proxy);
        // Once more, as above: a proxy that pools connections may not have seen its target's GOAWAY yet.
        if (!isKnown(text)) text = await feature.cell(proxy);
        row.cells[proxy.column] = text;
      }
    };
    await Promise.all([...stand.proxies.map(measure), ...stand.http2.map(measureHttp2)]);
    measured.push(...http2Rows);
    if (process.env["WRITE_TABLE"] !== undefined) write(measured);
    const absent = COLUMNS.filter((column) => !stand.proxies.some((proxy) => proxy.column === column));
    assert.deepEqual(rows(measured, absent), documented(absent), "WRITE_TABLE=yes writes docs/http.md anew");
    assert.ok(measured.length >= 60, `${measured.length} features`);
  });

  it("has a reason where we differ from both nginx and Go", () => {
    const unexplained = documented([]).filter(({ cells, why }) => {
      const ours = COLUMNS.slice(2).map((column) => cells[column] ?? "–");
      const differs = ours.some((cell) => cell !== "–" && cell !== cells.nginx && cell !== cells.Go);
      return differs && why === "";
    });
    assert.deepEqual(
      unexplained.map(({ part, name }) => `${part}: ${name}`),
      [],
    );
  });
});
