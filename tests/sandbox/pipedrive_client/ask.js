// Calls Pipedrive's own client for whoever writes to standard input: one question a line as JSON, one answer a line.
//
// {"version": "v2", "api": "PersonsApi", "method": "getPersons", "given": {…}} calls a method of the client;
// {"sign_in": {…}} makes an OAuth configuration that the following calls use instead of the API token, and
// {"oauth": "tokenRefresh", "given": […]} calls a method of that.
const readline = require("node:readline");
const pipedrive = require("pipedrive");

const [url, apiToken] = process.argv.slice(2);
const ROOTS = { v1: `${url}/v1`, v2: `${url}/api/v2` };
let oauth = null;

function configuration(version) {
  const { Configuration } = pipedrive[version];
  if (oauth === null) return new Configuration({ apiKey: apiToken, basePath: ROOTS[version] });
  const basePath = version === "v2" ? oauth.basePath : ROOTS.v1;
  return new Configuration({ accessToken: oauth.getAccessToken, basePath });
}

async function answer(question) {
  if ("sign_in" in question) {
    oauth = question.sign_in && new pipedrive.v2.OAuth2Configuration({ ...question.sign_in, host: url });
    return oauth ? { authorizationUrl: oauth.authorizationUrl } : null;
  }
  if (question.oauth) {
    const told = await oauth[question.oauth](...(question.given || []));
    return { told, basePath: oauth.basePath, refreshToken: oauth.refreshToken };
  }
  const api = new pipedrive[question.version][question.api](configuration(question.version));
  return api[question.method](question.given || undefined);
}

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    let reply;
    try {
      reply = { value: (await answer(JSON.parse(line))) ?? null };
    } catch (error) {
      reply = { error: error instanceof Error ? { message: String(error.message) } : error };
    }
    process.stdout.write(`${JSON.stringify(reply)}\n`);
  }
})();
