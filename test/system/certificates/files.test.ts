/** Errors in a certificate or key name the file, and the remedy. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkDates, checkPair } from "../../../src/wire/tls/pem.ts";
import type { TurnaboutError } from "../../../src/wire/errors.ts";
import { createPki, issueServer } from "../../support/pki.ts";

const pki = await createPki();
const good = await issueServer(pki);
const other = await issueServer(pki);
const old = { notBefore: new Date(Date.now() - 9e8), notAfter: new Date(Date.now() - 1e8) };
const expired = await pki.issue({ commonName: "localhost", ...old });

describe("a certificate and its key", () => {
  const cases: [string, { cert: string; key: string }, RegExp, RegExp][] = [
    ["no PEM", { ...good, cert: "nonsense" }, /^C: no PEM certificate in it$/, /BEGIN CERTIFICATE/],
    ["a key in its place", { ...good, cert: good.key }, /^C: a key, not a certificate$/, /BEGIN CERTIFICATE/],
    ["no key", { ...good, key: "nonsense" }, /^K: no PEM key in it$/, /BEGIN PRIVATE KEY/],
    [
      "a certificate as key",
      { ...good, key: good.cert },
      /^K: a certificate, not a key$/,
      /BEGIN PRIVATE KEY/,
    ],
    ["another's key", { ...good, key: other.key }, /^K: not the key of C$/, /a matching pair/],
    [
      "a passphrase",
      { ...good, key: "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----" },
      /^K: the key has a passphrase$/,
      /openssl pkey/,
    ],
    ["an expired certificate", expired, /^C: the certificate expired at .*Z$/, /renew it/],
  ];
  for (const [what, { cert, key }, message, hint] of cases) {
    it(`${what} is named, with a hint, and without the key`, () => {
      const certificate = { text: cert, from: "C" };
      assert.throws(
        () => {
          checkPair(certificate, { text: key, from: "K" });
          checkDates(certificate);
        },
        (error: TurnaboutError) => {
          assert.equal(error.code, "config_invalid");
          assert.match(error.message, message);
          assert.match(error.hint ?? "", hint);
          assert.ok(
            !`${error.stack}`.includes(key.slice(30, 60)) || key === "nonsense" || key.includes("CERT"),
          );
          return true;
        },
      );
    });
  }
});
