import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { proxyFor } from "./proxy-for.ts";

const NAMES = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"].flatMap((name) => [
  name,
  name.toUpperCase(),
]);
const before = new Map(NAMES.map((name) => [name, process.env[name]]));

function withEnvironment(variables: Record<string, string>): void {
  for (const name of NAMES) delete process.env[name];
  Object.assign(process.env, variables);
}

afterEach(() => {
  for (const [name, value] of before) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
});

const CASES: readonly [string, Record<string, string>, string, string | undefined][] = [
  ["a URL", { HTTPS_PROXY: "http://u:p@proxy:3128" }, "https://cp.example", "http://u:p@proxy:3128/"],
  [
    "a value without a scheme, as http",
    { HTTPS_PROXY: "proxy:3128" },
    "https://cp.example",
    "http://proxy:3128/",
  ],
  ["an https proxy", { https_proxy: "https://proxy:443" }, "https://cp.example", "https://proxy/"],
  ["the scheme's own variable only", { HTTPS_PROXY: "http://proxy:1" }, "http://cp.example", undefined],
  ["ALL_PROXY for what has none", { ALL_PROXY: "proxy:1" }, "http://cp.example", "http://proxy:1/"],
  [
    "nothing for NO_PROXY",
    { HTTPS_PROXY: "proxy:1", NO_PROXY: "cp.example" },
    "https://cp.example",
    undefined,
  ],
];

describe("the outbound proxy of the environment", () => {
  for (const [what, variables, url, expected] of CASES) {
    it(`is ${what}`, () => {
      withEnvironment(variables);
      assert.equal(proxyFor(new URL(url))?.href, expected);
    });
  }
});
