/** Requests to the server, and how its answers come. */

/** What the server answers; an Error with its line where it refuses, and with `gone` where there is none. */
export async function ask(name, body) {
  return read(await reached(name, body === undefined ? {} : sent(body)));
}

/** Send the bytes of a text, read as `encoding` where one is named; the answer is as that of `ask`. */
export async function send(bytes, encoding) {
  const named = encoding ? `?${new URLSearchParams({ encoding })}` : "";
  const headers = { "content-type": "application/octet-stream" };
  return read(await reached(`text${named}`, { method: "POST", headers, body: bytes }));
}

/** Events as they come, until the server ends the stream; an EventSource would not tell the server its Origin. */
export async function* events(name) {
  const { headers, ...options } = sent({});
  const answer = await reached(name, { ...options, headers: { ...headers, accept: "text/event-stream" } });
  if (!answer.ok) return void (await read(answer));
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const { done, value } = await reader.read().catch(() => {
      throw gone();
    });
    if (done) return;
    const parts = (waiting + value).split("\n\n");
    waiting = parts.pop();
    for (const part of parts) if (part.startsWith("data: ")) yield JSON.parse(part.slice(6));
  }
}

function sent(body) {
  return { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
}

async function reached(address, options) {
  try {
    return await fetch(`api/${address}`, options);
  } catch {
    throw gone();
  }
}

async function read(answer) {
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.error);
  return found;
}

function gone() {
  return Object.assign(new Error(), { gone: true });
}
