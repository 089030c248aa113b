// The data of an archive, base64: node unpack.mjs ARCHIVE.js < {"packed": ..., "archives": [base64 ...]}
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { decompress } = await import(pathToFileURL(process.argv[2]));
const { packed, archives } = JSON.parse(readFileSync(0, "utf-8"));
const answers = [];
for (const archive of archives) {
  try {
    const data = await decompress(packed, new Uint8Array(Buffer.from(archive, "base64")));
    answers.push({ data: Buffer.from(data).toString("base64") });
  } catch (error) {
    answers.push({ error: error.message });
  }
}
process.stdout.write(JSON.stringify(answers));
