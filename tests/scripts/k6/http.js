// k6/http as far as a script of ours needs it: prints each request instead of sending it.
class CookieJar {}

function request(method, url, body, { headers, jar }) {
  if (!(jar instanceof CookieJar)) throw new Error('no cookie jar');
  const sent = body === null ? null : Buffer.from(body).toString('base64');
  console.log(JSON.stringify({ method, url, body: sent, headers }));
}

export default { CookieJar, request };
