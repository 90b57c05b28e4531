/** The types of the API's client are those of the document as it is now, and each operation has a name. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { it } from "node:test";
import { helix } from "../../src/helix/helix.ts";
import { fetchDocument } from "../support/openapi-schemas.ts";
import { startControlPlane } from "../support/system.ts";
import { generateTypes, TYPES_FILE } from "./api-types.ts";

const ROOT = path.join(import.meta.dirname, "../..");

it("has the types that `npm run api-types` writes", async () => {
  const formatter = path.join(ROOT, "node_modules/.bin/oxfmt");
  const { stdout, status } = spawnSync(formatter, [`--stdin-filepath=${TYPES_FILE}`], {
    cwd: ROOT,
    input: await generateTypes(),
    encoding: "utf8",
  });
  assert.equal(status, 0);
  assert.equal(stdout, readFileSync(path.join(ROOT, TYPES_FILE), "utf8"));
});

it("gives each operation of the document a name of its own", async () => {
  await using controlPlane = await startControlPlane({ extensions: [helix()] });
  const { paths } = await fetchDocument(`http://127.0.0.1:${controlPlane.port}`);
  const operations = Object.entries(paths).flatMap(([route, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ route: `${method} ${route}`, ...operation })),
  );
  const names = operations.map(({ operationId = "" }) => operationId);
  assert.deepEqual(
    operations.filter(({ operationId = "" }) => !/^[a-z]\w+$/.test(operationId)).map(({ route }) => route),
    [],
  );
  assert.equal(new Set(names).size, names.length);
});
