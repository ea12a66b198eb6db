// GitHub's own language service over a repository's workflows and actions: one line for each thing that it finds.
// node --import ./json.mjs check.mjs REPOSITORY INPUTS.json, the latter with the inputs of each foreign action, by its commit.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { validate } from "@actions/languageservice";
import { TextDocument } from "vscode-languageserver-textdocument";
import YAML from "yaml";

const [repository, inputs] = process.argv.slice(2);
const foreign = JSON.parse(readFileSync(inputs, "utf8"));

const fileProvider = {
  getFileContent: async (reference) => {
    const file = path.join(repository, reference.path ?? "");
    if (reference.repository || !existsSync(file)) throw new Error(`there is no ${reference.path}`);
    return { name: reference.path, content: readFileSync(file, "utf8") };
  },
};

const actionsMetadataProvider = {
  fetchActionMetadata: async (action) => {
    const own = path.join(repository, action.path ?? action.name ?? "", "action.yml");
    if (!action.owner || action.owner === ".") return existsSync(own) ? YAML.parse(readFileSync(own, "utf8")) : undefined;
    const names = foreign[`${action.owner}/${action.name}@${action.ref}`];
    return names && { name: action.name, inputs: Object.fromEntries(names.map((name) => [name, { description: name }])) };
  },
};

for (const name of readdirSync(path.join(repository, ".github"), { recursive: true })) {
  if (!/^(workflows\/[^/]+|actions\/[^/]+\/action)\.yml$/.test(name)) continue;
  const file = path.join(repository, ".github", name);
  const document = TextDocument.create(`file://${file}`, "yaml", 0, readFileSync(file, "utf8"));
  for (const found of await validate(document, { fileProvider, actionsMetadataProvider })) {
    console.log(`${name}:${found.range.start.line + 1}: ${found.message}`);
  }
}
