// Runs a script for k6 as its executor `shared-iterations` does, and refuses what k6 refuses.
globalThis.__ENV = process.env;
const { default: exec } = await import('./execution.js');
const script = await import(process.argv[2]);
const { executor, vus, iterations } = script.options.scenarios.captured;
if (executor !== 'shared-iterations') throw new Error(`another executor: ${executor}`);
if (!Number.isInteger(vus) || vus < 1) throw new Error(`${vus} is no number of users`);
if (iterations < vus) throw new Error(`${iterations} iterations for ${vus} users`);
for (let n = 0; n < iterations; n += 1) {
  exec.scenario.iterationInTest = n;
  script.default();
}
