// Everything a page sends: fetches with all kinds of body, one after the other and side by side, then a form.
const post = (path, body, headers = {}) => fetch(path, { method: "POST", body, headers }).then((r) => r.arrayBuffer());
const form = new FormData();
form.append("file", new Blob([new Uint8Array(70000).fill(7)]), "seven.bin");
form.append("word", "Ω");
(async () => {
  await post("/echo/json", JSON.stringify({ a: [1, 2, 3] }), { "Content-Type": "application/json" });
  await post("/echo/params", new URLSearchParams({ q: "a b&c", e: "é" }));
  await post("/echo/data", form);
  await Promise.all([1, 2, 3, 4, 5, 6].map((n) => post("/echo/blob/" + n, new Blob(["x".repeat(n * 5000)]))));
  await Promise.all([1, 2, 3].map((n) => fetch("/style.css?" + n, { cache: "no-store" }).then((r) => r.text())));
  await fetch("/nothing-there").then((r) => r.text());
  await fetch("/style.css", { method: "HEAD", cache: "no-store" });
  await fetch("/echo/put", { method: "PUT", body: "put" }).then((r) => r.text());
  const sent = new Promise((done) => (document.querySelector("iframe").onload = done));
  document.getElementById("form").submit();
  await sent;
  document.getElementById("done").textContent = "all done";
})();
