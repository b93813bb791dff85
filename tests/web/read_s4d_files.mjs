// Read every .s4d file of a folder and print, as JSON, the error of each (null without one) and the largest
// resident memory after a file, bytes.

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [viewer, folder] = process.argv.slice(2);
const { readS4D } = await import(pathToFileURL(join(viewer, "s4d.mjs")).href);
const verdicts = {};
let memory = 0;
for (const name of await readdir(folder)) {
  try {
    await readS4D(new Uint8Array(await readFile(join(folder, name))));
    verdicts[name] = null;
  } catch (error) {
    verdicts[name] = `${error.name}: ${error.message}`;
  }
  memory = Math.max(memory, process.memoryUsage.rss());
}
console.log(JSON.stringify({ verdicts, memory }));
