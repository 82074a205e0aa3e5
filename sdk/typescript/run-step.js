// The program of a step that is a TypeScript or JavaScript function: reads BERTH_INVOCATION and calls the function.
// Berth mounts this folder and runs `node /berth-sdk/run-step.js`, so nothing has to be installed in the image.

import { runStep } from "./src/run-step.js";

// Not awaited here: where nothing is left to wait for, Node would speak of this line, and the runner speaks of the step.
void runStep();
