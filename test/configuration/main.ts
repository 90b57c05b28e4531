/** Writes the generated part of docs/configuration.md, and the JSON schema of the configuration file. */
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { DOCUMENT, SCHEMA, schemaText, withReference } from "./reference.ts";

const at = (name: string): string => path.join(import.meta.dirname, "../..", name);

writeFileSync(at(SCHEMA), schemaText());
writeFileSync(at(DOCUMENT), withReference(readFileSync(at(DOCUMENT), "utf8")));
