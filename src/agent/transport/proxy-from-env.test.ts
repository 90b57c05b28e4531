import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { TurnaboutError } from "../../wire/errors.ts";
import { proxyFor } from "./proxy-from-env.ts";

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
  ["a URL", { HTTPS_PROXY: "http://u:p@proxy:3128" }, "https://cp.example", "http proxy:3128 u:p"],
  [
    "a value without a scheme, as http",
    { HTTPS_PROXY: "proxy:3128" },
    "https://cp.example",
    "http proxy:3128",
  ],
  ["an https proxy", { https_proxy: "https://proxy" }, "https://cp.example", "https proxy:443"],
  [
    "on port 80 if the URL names it",
    { HTTPS_PROXY: "https://proxy:80" },
    "https://cp.example",
    "https proxy:80",
  ],
  ["the scheme's own variable only", { HTTPS_PROXY: "http://proxy:1" }, "http://cp.example", undefined],
  ["ALL_PROXY for what has none", { ALL_PROXY: "proxy:1" }, "http://cp.example", "http proxy:1"],
  [
    "the scheme's own before ALL_PROXY",
    { ALL_PROXY: "all:1", http_proxy: "own" },
    "http://a.b",
    "http own:80",
  ],
  ["a SOCKS proxy", { ALL_PROXY: "socks5://proxy" }, "https://cp.example", "socks5 proxy:1080"],
  ["a SOCKS proxy on port 80", { all_proxy: "SOCKS5h://proxy:80" }, "http://a.b", "socks5h proxy:80"],
  ["capitals before small letters", { http_proxy: "small", HTTP_PROXY: "big" }, "http://a.b", "http big:80"],
  [
    "small letters where capitals are empty",
    { http_proxy: "small", HTTP_PROXY: " " },
    "http://a.b",
    "http small:80",
  ],
  ["an encoded credential", { HTTP_PROXY: "u%40d:p%3a%25@proxy" }, "http://a.b", "http proxy:80 u@d:p:%"],
  [
    "a password that is not encoded",
    { HTTP_PROXY: "http://u:100%@proxy" },
    "http://a.b",
    "http proxy:80 u:100%",
  ],
  ["an IPv6 proxy", { HTTP_PROXY: "http://[2001:db8::1]:3128" }, "http://a.b", "http 2001:db8::1:3128"],
  ["a zone", { HTTP_PROXY: "http://[fe80::1%br-12ab]:3128" }, "http://a.b", "http fe80::1%br-12ab:3128"],
  ["an encoded zone", { ALL_PROXY: "socks5://[fe80::1%25en_0]" }, "http://a.b", "socks5 fe80::1%en_0:1080"],
  [
    "an internationalised name",
    { ALL_PROXY: "socks5://b\u00fccher.example" },
    "http://a.b",
    "socks5 xn--bcher-kva.example:1080",
  ],
];

/** NO_PROXY, URL, whether it goes past the proxy. */
const BYPASSES: readonly [string, string, boolean][] = [
  ["", "http://a.example", false],
  ["a.example", "http://a.example", true],
  ["a.example", "http://b.a.example", true],
  ["a.example", "http://ba.example", false],
  ["a.example", "http://a.example.", true],
  ["A.Example.", "http://a.example", true],
  [".a.example", "http://b.a.example", true],
  [".a.example", "http://a.example", false],
  ["*.a.example", "http://c.b.a.example", true],
  ["*.a.example", "http://a.example", false],
  ["a*", "http://ab", false],
  ["*", "http://a.example", true],
  ["x, *", "http://a.example", true],
  ["a.example:8080", "http://a.example:8080", true],
  ["a.example:8080", "http://a.example:8081", false],
  ["a.example:80", "http://a.example", true],
  ["a.example:443", "https://a.example", true],
  ["a.example:http", "http://a.example", false],
  [":80", "http://a.example", false],
  [" x.example ,\ta.example ", "http://a.example", true],
  ["x.example a.example", "http://a.example", true],
  ["b\u00fccher.example", "http://xn--bcher-kva.example", true],
  ["xn--bcher-kva.example", "http://b\u00fccher.example", true],
  ["a_b.example", "http://a_b.example", true],
  ["10.0.0.0/8", "http://10.1.2.3", true],
  ["10.0.0.0/8", "http://11.1.2.3", false],
  ["10.0.0.0/8", "http://[::ffff:10.1.2.3]", true],
  ["10.0.0.0/33", "http://10.1.2.3", false],
  ["10.0.0.0/8", "http://10.example", false],
  ["10.1.2.3", "http://10.1.2.3:8080", true],
  ["10.1.2.3:8080", "http://10.1.2.3:8080", true],
  ["10.1.2.3:8080", "http://10.1.2.3:8081", false],
  ["2.3", "http://10.1.2.3", false],
  ["fd00::/8", "http://[fd12::1]", true],
  ["fd00::/8", "http://[fe80::1]", false],
  ["fd00::1", "http://[fd00:0::1]:81", true],
  ["[fd00::1]", "http://[fd00::1]", true],
  ["[fd00::1]:81", "http://[fd00::1]:81", true],
  ["[fd00::1]:81", "http://[fd00::1]:82", false],
  ["fe80::1%eth0", "http://[fe80::1]", true],
  ["", "http://localhost:8080", true],
  ["", "http://LOCALHOST.", true],
  ["", "https://127.0.0.1", true],
  ["", "https://127.9.9.9", true],
  ["", "http://[::1]:8080", true],
  ["", "http://[::ffff:127.0.0.1]", true],
  ["", "http://0.0.0.0:8080", false],
  ["", "http://localhost.example", false],
];

describe("the outbound proxy of the environment", () => {
  for (const [what, variables, url, expected] of CASES) {
    it(`is ${what}`, () => {
      withEnvironment(variables);
      const found = proxyFor(new URL(url));
      const login = found?.username === "" ? "" : ` ${found?.username}:${found?.password}`;
      assert.equal(found && `${found.scheme} ${found.host}:${found.port}${login}`, expected);
    });
  }

  for (const [list, url, bypassed] of BYPASSES) {
    it(`is ${bypassed ? "not " : ""}used for ${url} with NO_PROXY=${JSON.stringify(list)}`, () => {
      withEnvironment({ ALL_PROXY: "http://proxy:3128", NO_PROXY: list });
      assert.equal(proxyFor(new URL(url)) === undefined, bypassed);
    });
  }

  it("is excepted by NO_PROXY before no_proxy, and by no_proxy where that is empty", () => {
    withEnvironment({ ALL_PROXY: "proxy", NO_PROXY: "a.example", no_proxy: "b.example" });
    assert.equal(proxyFor(new URL("http://a.example")), undefined);
    assert.ok(proxyFor(new URL("http://b.example")));
    withEnvironment({ ALL_PROXY: "proxy", NO_PROXY: "", no_proxy: "b.example" });
    assert.equal(proxyFor(new URL("http://b.example")), undefined);
  });

  it("is refused by the variable's name, without its value, where it is none", () => {
    for (const value of [
      "ftp://u:secret@proxy",
      "http://u:secret@",
      "http://u:secret@[::1",
      "socks://secret",
    ]) {
      withEnvironment({ ALL_PROXY: value });
      assert.throws(
        () => proxyFor(new URL("http://cp.example")),
        (error) =>
          error instanceof TurnaboutError &&
          error.code === "config_invalid" &&
          error.message.startsWith("ALL_PROXY: use ") &&
          !error.message.includes("secret"),
        value,
      );
    }
  });
});
