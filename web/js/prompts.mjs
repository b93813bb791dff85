// The prompts that this page has queued: the inputs and the workflow of each, and which outputs it has given.

import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { inputsHash } from "./inputs_hash.mjs";
import { rootGraph } from "./nodes.mjs";

/** @typedef {import("../../../scripts/app.js").NodeOutput} NodeOutput */
/** @typedef {import("../../../scripts/app.js").Workflow} Workflow */

/** @typedef {{inputs: number, workflow: Workflow | undefined}} Prompt ``inputs``: see ``inputsHash`` */

const MAX_OUTPUTS = 200; // whose prompts are known

/** By id. @type {Map<string, Prompt>} */
const prompts = new Map();

/**
 * Prompts by their outputs as JSON, since the host sends copies of outputs later.
 * @type {Map<string, Prompt>}
 */
const promptsByOutput = new Map();

/** The prompt that is being sent, until its id is known. @type {Prompt | undefined} */
let sent;

/** The prompt that was started last, if this page has queued it. @type {Prompt | undefined} */
let started;

/** Take the inputs of each prompt when it is queued: afterwards the host changes seeds for the next one. */
export function watchPrompts() {
  const { queuePrompt } = api;
  api.queuePrompt = async function (number, data, ...others) {
    const { activeWorkflow: workflow } = app.extensionManager.workflow;
    // Not the workflow in ``data``, from which the host has removed input slots.
    const prompt = { inputs: inputsHash(rootGraph().serialize()), workflow };
    sent = prompt;
    try {
      const answer = await queuePrompt.call(this, number, data, ...others);
      if (answer.prompt_id) prompts.set(answer.prompt_id, prompt);
      return answer;
    } finally {
      if (sent === prompt) sent = undefined;
    }
  };
  api.addEventListener("execution_start", ({ detail }) => (started = prompts.get(detail.prompt_id) ?? sent));
  api.addEventListener("executed", ({ detail }) => {
    const prompt = prompts.get(detail.prompt_id) ?? sent;
    const output = JSON.stringify(detail.output);
    promptsByOutput.delete(output); // so that it comes last
    if (prompt) promptsByOutput.set(output, prompt);
    const [oldest] = promptsByOutput.keys();
    if (promptsByOutput.size > MAX_OUTPUTS) promptsByOutput.delete(oldest);
  });
  for (const end of ["execution_success", "execution_error", "execution_interrupted"]) {
    api.addEventListener(end, ({ detail }) => prompts.delete(detail.prompt_id));
  }
}

/**
 * Return the prompt that has given an output; undefined if this page has not queued it.
 * @param {NodeOutput} output
 */
export function promptOf(output) {
  return promptsByOutput.get(JSON.stringify(output));
}

/**
 * Whether an output is known to come from a run of a workflow in another tab. The host passes outputs to the
 * open workflow's node of the same id, whichever workflow was run.
 * @param {NodeOutput} output as passed to ``onExecuted``, after all listeners to the event have run
 */
export function isFromAnotherTab(output) {
  return isInAnotherTab(promptOf(output));
}

/** Whether the prompt that was started last is known to be one of a workflow in another tab. */
export function isAnotherTabRunning() {
  return isInAnotherTab(started);
}

/** @param {Prompt | undefined} prompt */
function isInAnotherTab(prompt) {
  const { activeWorkflow, openWorkflows = [] } = app.extensionManager.workflow;
  const path = prompt?.workflow?.path;
  return path !== activeWorkflow?.path && openWorkflows.some((other) => other.path === path);
}
