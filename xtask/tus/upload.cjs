// Sends a file with tus-js-client: `begin` sends about half of it and prints the upload's URL,
// which in place of `begin` sends the rest.

const fs = require("node:fs");
const tus = require("tus-js-client");

const CHUNK_BYTES = 256 * 1024;

const [endpoint, path, uploadUrl] = process.argv.slice(2);
const bytes = fs.readFileSync(path);
const begins = uploadUrl === "begin";
const upload = new tus.Upload(bytes, {
  endpoint,
  uploadUrl: begins ? undefined : uploadUrl,
  chunkSize: CHUNK_BYTES,
  headers: { Authorization: `Bearer ${process.env.TOKEN}` },
  metadata: { filename: "tus-js-client.bin" },
  retryDelays: null,
  onChunkComplete(_size, sent) {
    if (begins && sent >= bytes.length / 2) {
      upload.abort();
      console.log(upload.url);
    }
  },
  onError(error) {
    console.error(error);
    process.exitCode = 1;
  },
});
upload.start();
