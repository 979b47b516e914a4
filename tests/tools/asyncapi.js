// Prints what AsyncAPI's own parser has against a document, a line for each error; nothing when it is content.
const { readFileSync } = require("node:fs");
const { Parser } = require("@asyncapi/parser");

async function main(file) {
  const { diagnostics } = await new Parser().parse(readFileSync(file, "utf8"));
  for (const { severity, code, path, message } of diagnostics)
    if (severity === 0) console.log(`${path.join("/")}: ${message} (${code})`);
}

main(process.argv[2]);
