// k6/execution as far as a script of ours needs it.
export default { scenario: { iterationInTest: 0 } };
