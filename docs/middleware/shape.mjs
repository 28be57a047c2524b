#!/usr/bin/env node
// Middleware for `shadowtap --middleware 'node shape.mjs'` (JSON, version 1).
//
// Drops what asks for /health, marks the rest with a field of its own, and puts test data in place of the
// `email` in JSON bodies. Nothing to install; runs until its stdin is closed.

import { createInterface } from "node:readline";

function field(message, name) {
    const found = message.headers.find(([key]) => key.toLowerCase() === name);
    return found ? found[1] : "";
}

function answer(message) {
    if (message.target.startsWith("/health")) return { type: "drop" };
    const said = { type: "request", headers: [...message.headers, ["X-Shaped-By", "node"]] };
    if (field(message, "content-type").startsWith("application/json")) {
        try {
            const document = JSON.parse(Buffer.from(message.body, "base64"));
            if (document && "email" in document) {
                document.email = "test@example.org";
                said.body = Buffer.from(JSON.stringify(document)).toString("base64");
            }
        } catch {
            // No JSON: as it is.
        }
    }
    return said;
}

for await (const line of createInterface({ input: process.stdin })) {
    const message = JSON.parse(line);
    // What is new in a later version, and answers, need no word of ours.
    if (message.type !== "request") continue;
    process.stdout.write(JSON.stringify({ v: 1, id: message.id, ...answer(message) }) + "\n");
}
