/* Signing in to a CRM through Nango: a session from our server, Nango's own dialog, its answer back to our server.
   Our server checks that the connection was made for this account; nothing here is trusted. */

import { csrfToken, toast } from "./app.js";

const SENTENCES = {
  blocked_by_browser: "Your browser blocked the sign-in window. Allow pop-ups for this site, then try again.",
  window_closed: "The sign-in window was closed before it was finished. Nothing was connected.",
  resource_capped: "The sign-in service has reached its number of connections. Ask whoever runs this site.",
  connection_test_failed: "The CRM did not accept this sign-in. Check that you may read contacts there, then try again.",
};

async function post(path, body) {
  const reply = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRFToken": csrfToken() },
    body: JSON.stringify(body),
  });
  const answer = await reply.json().catch(() => ({}));
  if (!reply.ok) throw new Error(answer.error?.message ?? "That did not work. Try again in a moment.");
  return answer;
}

export async function signIn(button) {
  button.disabled = true;
  try {
    const asked = { provider: button.dataset.nango };
    if (button.dataset.nangoConnection) asked.connectionId = Number(button.dataset.nangoConnection);
    const [{ default: Nango }, session] = await Promise.all([
      import("../vendor/nango.js"),
      post("/api/crm/session-token", asked),
    ]);
    document.querySelector("#dialog")?.close(); // Nango's dialog would open behind ours
    openDialog(Nango, session);
  } catch (error) {
    toast(error.message, "bad");
  } finally {
    button.disabled = false;
  }
}

function openDialog(Nango, session) {
  let isConnected = false;
  let trouble = "";
  const nango = new Nango({ host: session.apiUrl, connectSessionToken: session.token });
  const dialog = nango.openConnectUI({
    baseURL: session.connectUrl,
    apiURL: session.apiUrl,
    sessionToken: session.token,
    detectClosedAuthWindow: true,
    onEvent: (event) => {
      if (event.type === "connect") {
        isConnected = true;
        dialog.close();
        finish(event.payload);
      } else if (event.type === "error") {
        trouble = SENTENCES[event.payload?.errorType] ?? "The sign-in did not work. Try again in a moment.";
        toast(trouble, "bad");
      } else if (event.type === "close" && !isConnected && !trouble) {
        toast("The sign-in was closed. Nothing was connected.");
      }
    },
  });
  dialog.open();
}

async function finish({ connectionId, providerConfigKey }) {
  toast("Signed in. Reading the newest contacts…");
  try {
    await post("/api/crm/connect", { connectionId, providerConfigKey });
    location.assign("/");
  } catch (error) {
    toast(error.message, "bad");
  }
}
