// A server with what the others do not send: chunks and trailers, 103, 204, 304, answers that end with the connection.
const http = require("http"), fs = require("fs"), path = require("path"), zlib = require("zlib");
const [root, port] = [process.argv[2], Number(process.argv[3])];

// The whole body first: a proxy may not read an answer before it has sent its request.
function echo(req, res) {
  const parts = [];
  req.on("data", (part) => parts.push(part));
  req.on("end", () => res.write(Buffer.concat(parts), () => res.end()));
}

function answer(req, res) {
  const url = new URL(req.url, "http://v1");
  const file = path.join(root, path.normalize(url.pathname === "/" ? "/index.html" : url.pathname));
  if (req.method === "POST" || req.method === "PUT") return echo(req, res);
  if (url.pathname === "/early") res.writeEarlyHints({ link: "</style.css>; rel=preload" });
  if (url.pathname === "/none") return res.writeHead(204).end();
  if (url.pathname === "/trailers") {
    res.writeHead(200, { Trailer: "X-Sum" });
    for (let i = 0; i < 50; i++) res.write("chunk " + i + "\n");
    res.addTrailers({ "X-Sum": "50" });
    return res.end();
  }
  if (req.headers["if-none-match"]) return res.writeHead(304, { ETag: '"1"' }).end();
  if (!fs.existsSync(file) || url.pathname === "/early") return res.writeHead(404).end("no such file\n");
  const type = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css" }[path.extname(file)];
  const head = { "Content-Type": type || "application/octet-stream", ETag: '"1"' };
  if (/gzip/.test(req.headers["accept-encoding"] || "") && type) {
    res.writeHead(200, { ...head, "Content-Encoding": "gzip" });
    return fs.createReadStream(file).pipe(zlib.createGzip()).pipe(res);
  }
  res.writeHead(200, { ...head, "Content-Length": fs.statSync(file).size });
  return req.method === "HEAD" ? res.end() : fs.createReadStream(file).pipe(res);
}
http.createServer(answer).listen(port, "127.0.0.1");
