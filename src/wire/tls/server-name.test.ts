import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { certificateName, sniName } from "./server-name.ts";

describe("the name in SNI", () => {
  for (const [host, sni, name] of [
    ["cp.example", "cp.example", "cp.example"],
    ["cp.example.", "cp.example", "cp.example"],
    ["localhost", "localhost", "localhost"],
    ["my_host.example", "my_host.example", "my_host.example"],
    ["b\u00fccher.example.", "xn--bcher-kva.example", "xn--bcher-kva.example"],
    ["192.0.2.1", "", "192.0.2.1"],
    ["2001:db8::1", "", "2001:db8::1"],
    ["fe80::1%eth0", "", "fe80::1"],
    ["fe80::1%en_0", "", "fe80::1"],
  ] as const) {
    it(`of ${host} is ${JSON.stringify(sni)}`, () => {
      assert.equal(sniName(host), sni);
      assert.equal(certificateName(host), name);
    });
  }
});
