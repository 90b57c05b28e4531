/** Entry of `npm run certs`. */
import { main } from "./command.ts";

await main(process.argv.slice(2));
