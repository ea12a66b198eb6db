// The service imports JSON without saying so, which Node refuses: node --import ./json.mjs says it for it.
import { register } from "node:module";

const hook = `export const load = (url, context, next) =>
  next(url, url.endsWith(".json") ? { ...context, importAttributes: { type: "json" } } : context)`;
register("data:text/javascript," + encodeURIComponent(hook));
