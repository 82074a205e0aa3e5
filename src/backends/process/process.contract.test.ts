import { backendContract } from "../contract.ts";
import { processHarness } from "./testing/process-harness.ts";

await backendContract("process", await processHarness());
