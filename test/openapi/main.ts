/** `npm run api-types`: writes the types of the API anew. */
import { writeFileSync } from "node:fs";
import { generateTypes, TYPES_FILE } from "./api-types.ts";

writeFileSync(TYPES_FILE, await generateTypes());
