// Read every clip of a folder and print, as JSON, what was wrong with each, null when nothing was, and the most
// memory that there was after one.

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [viewer, folder] = process.argv.slice(2);
const { readClip } = await import(pathToFileURL(join(viewer, "clip.mjs")).href);
const verdicts = {};
let memory = 0;
for (const name of await readdir(folder)) {
  try {
    await readClip(new Uint8Array(await readFile(join(folder, name))));
    verdicts[name] = null;
  } catch (error) {
    verdicts[name] = `${error.name}: ${error.message}`;
  }
  memory = Math.max(memory, process.memoryUsage.rss());
}
console.log(JSON.stringify({ verdicts, memory }));
