// k6/encoding as far as a script of ours needs it.
export const b64decode = (text) => Buffer.from(text, 'base64');
