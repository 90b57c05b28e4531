import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { pageConfig, withoutAddresses } from "./page-content.ts";

const PATH = "/base/moonlight/s/ses_1";
const OURS = `"enable_credential_authentication":false,"path_prefix":"${PATH}"`;

describe("pageConfig", () => {
  it("has the form of the target's own: a module or a classic script", () => {
    for (const [text, expected] of [
      [
        `export default {"enable_credential_authentication":true,"path_prefix":""}`,
        `export default {${OURS}}`,
      ],
      [
        `export default {"path_prefix":"/moonlight"}\n`,
        `export default {"path_prefix":"${PATH}","enable_credential_authentication":false}`,
      ],
      [`\n export   default { } ;\n`, `export   default {${OURS}}`],
      [
        `window.__CONFIG_JS__ = {"path_prefix":""}`,
        `window.__CONFIG_JS__ = {"path_prefix":"${PATH}","enable_credential_authentication":false}`,
      ],
      [`window.__CONFIG_JS__={};`, `window.__CONFIG_JS__= {${OURS}}`],
    ] as const) {
      assert.equal(pageConfig(text, PATH), expected);
    }
  });

  it("keeps members of newer versions, with the digits of their numbers", () => {
    assert.equal(
      pageConfig(
        `export default {"a":[1.50,12345678901234567890],"path_prefix":"/x","__proto__":{"b":1}}`,
        PATH,
      ),
      `export default {"a":[1.50,12345678901234567890],"path_prefix":"${PATH}","__proto__":{"b":1},"enable_credential_authentication":false}`,
    );
  });

  it("leaves out what is no JSON object", () => {
    for (const own of ["{path_prefix:''}", "[1]", "null", "12", "", "{}/*", "{} + steal()"]) {
      assert.equal(pageConfig(`export default ${own}`, PATH), `export default {${OURS}}`, own);
    }
  });

  it("writes a path as text, whatever is in it", () => {
    const text = pageConfig("window.__CONFIG_JS__ = {}", `/"+alert(1)+"\\/`);
    assert.match(text, /"path_prefix":"\/\\"\+alert\(1\)\+\\"\\\\\/"/);
  });

  it("refuses what has neither form", () => {
    for (const text of [
      "",
      "<!doctype html>",
      "exports.default = {}",
      "export defaults {}",
      "window.__CONFIG_JS__ {}",
    ]) {
      assert.throws(() => pageConfig(text, PATH), { code: "target_protocol" }, text);
    }
  });
});

describe("withoutAddresses", () => {
  it("keeps all of a host but its addresses, and adds none", () => {
    const host = {
      host_id: 0,
      name: "Wolf",
      address: "172.19.0.50",
      http_port: 47_989,
      local_ip: "10.0.0.7",
    };
    assert.deepEqual(JSON.parse(withoutAddresses(JSON.stringify({ host, more: 1 }))), {
      host: { ...host, address: "", local_ip: "" },
      more: 1,
    });
    assert.equal(
      withoutAddresses('{"host":{"mac":"00:11:22:33:44:55","unique_id":12345678901234567890}}'),
      '{"host":{"mac":null,"unique_id":12345678901234567890}}',
    );
  });

  it("refuses what is no host", () => {
    for (const text of [
      "",
      "[]",
      "1",
      "{}",
      '{"host":[{"address":"10.0.0.7"}]}',
      '{"host":{}} {"host":{}}',
    ]) {
      assert.throws(() => withoutAddresses(text), { code: "target_protocol" }, text);
    }
  });
});
